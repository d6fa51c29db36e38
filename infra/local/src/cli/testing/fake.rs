//! The server's books, and how a test reads and writes them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::Router;
use bytes::Bytes;
use clap::Parser;
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    server::serve,
    spoken::{Line, Spoken, session},
};
use crate::cli::{interrupts::Interrupts, problem::Failure};

/// A job that the server knows.
#[derive(Clone, Default)]
pub struct FakeJob {
    /// What it looks like next, and next; the last look stays.
    pub views: VecDeque<Value>,
    /// What each attempt writes: stream, offset, bytes.
    pub logs: Vec<Vec<(&'static str, u64, &'static str)>>,
    /// How many answers about its log end early, one piece longer each time.
    pub cuts: usize,
    /// How many did.
    pub cut: usize,
    /// What it brought home.
    pub archive: Option<Vec<u8>>,
}

/// How the next matching answer goes wrong.
pub enum Fault {
    /// This status instead.
    Status(u16),
    /// Done, and the answer lost: the connection is closed without one.
    Lost,
    /// The body breaks off after so many bytes.
    Cut(usize),
}

#[derive(Default)]
pub struct Books {
    pub jobs: BTreeMap<String, FakeJob>,
    pub objects: BTreeMap<String, Vec<u8>>,
    pub uploads: BTreeMap<String, Vec<u8>>,
    /// Submits, by their idempotency key.
    pub submits: BTreeMap<String, (String, Value)>,
    /// `METHOD /path?query`, as they came.
    pub requests: Vec<String>,
    pub headers: Vec<HeaderMap>,
    pub bodies: Vec<Bytes>,
    faults: Vec<(String, Fault)>,
    /// What a submitted job will be.
    pub next_job: FakeJob,
    /// Answers that need no logic, by `METHOD /path`.
    pub canned: BTreeMap<String, Value>,
    /// The pages of a list, by its path.
    pub pages: BTreeMap<String, VecDeque<Value>>,
}

/// The server.
#[derive(Clone)]
pub struct Fake {
    books: Arc<Mutex<Books>>,
    pub changed: Arc<watch::Sender<u64>>,
    pub url: String,
    pub interrupts: Arc<watch::Sender<u32>>,
}

/// How a command ended, and what it said.
pub struct Told {
    pub code: Result<u8, Failure>,
    pub spoken: Spoken,
}

impl Told {
    /// The exit code of a command that did not fail.
    pub fn code(&self) -> u8 {
        match &self.code {
            Ok(code) => *code,
            Err(failure) => panic!("{}\n{}", failure.told(), self.spoken.err()),
        }
    }

    /// What a command that failed says.
    pub fn failure(&self) -> String {
        self.code.as_ref().unwrap_err().told()
    }
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Fake {
            books: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
            url,
            interrupts: Arc::new(watch::Sender::new(0)),
        };
        let router = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// A job that is there already.
    pub fn with_job(&self, id: &str, job: FakeJob) {
        self.books().jobs.insert(id.into(), job);
    }

    /// The next answer to a request that contains `part` goes wrong.
    pub fn fault(&self, part: &str, fault: Fault) {
        self.books().faults.push((part.into(), fault));
    }

    pub async fn command(&self, words: &[&str]) -> Told {
        self.command_as("s1", words).await
    }

    pub async fn command_as(&self, secret: &str, words: &[&str]) -> Told {
        let spoken = Spoken::new();
        let code = self.speak(&spoken, secret, words).await;
        Told { code, spoken }
    }

    /// The command, for a test that listens while it runs.
    pub async fn speak(
        &self,
        spoken: &Spoken,
        secret: &str,
        words: &[&str],
    ) -> Result<u8, Failure> {
        let line = Line::try_parse_from(std::iter::once("tarpon").chain(words.iter().copied()))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut session = session(&self.url, spoken, secret);
        session.json = line.command.common().json;
        let interrupts = Interrupts::from(self.interrupts.subscribe());
        Box::pin(line.command.perform(&session, Some(interrupts))).await
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        self.interrupts.send_modify(|count| *count += 1);
    }

    /// Returns when the server has got a request that contains `part`.
    pub async fn asked(&self, part: &str) {
        let mut changed = self.changed.subscribe();
        while !self.books().requests.iter().any(|request| request.contains(part)) {
            changed.changed().await.unwrap();
        }
    }

    pub fn count(&self, part: &str) -> usize {
        self.books().requests.iter().filter(|request| request.contains(part)).count()
    }

    pub fn take_fault(&self, request: &str) -> Option<Fault> {
        let mut books = self.books();
        let found = books.faults.iter().position(|(part, _)| request.contains(part.as_str()))?;
        Some(books.faults.remove(found).1)
    }
}

/// A job's view.
pub fn view(id: &str, state: &str, more: &Value) -> Value {
    let mut view = json!({
        "id": id, "state": state, "project_id": "p", "queue": "default", "priority": 0, "run": 1,
        "created_at": "2026-01-01T00:00:00Z", "unknown": "passed over",
        "tasks": [{"name": "main", "state": "ready", "image": "hello", "instances": {"waiting": 1}}],
    });
    if state == "succeeded" {
        view["exit_code"] = 0.into();
    }
    view.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    view
}

/// A tar of these files.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}
