//! Commands without a terminal: what they say is kept.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::Parser;
use serde_json::Value;

use crate::cli::{
    Command,
    client::{Backoff, Client},
    connect::{AccessKey, Target},
    screen::{Manner, Screen},
    session::Session,
};

/// What a command said, stream by stream.
#[derive(Clone, Default)]
pub struct Spoken {
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
}

struct Ear(Arc<Mutex<Vec<u8>>>);

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Spoken {
    pub fn new() -> Self {
        Spoken::default()
    }

    pub fn screen(&self) -> Screen {
        let (out, err) = (Ear(self.out.clone()), Ear(self.err.clone()));
        Screen::new(Box::new(out), Box::new(err), Manner::Lines)
    }

    pub fn out_bytes(&self) -> Vec<u8> {
        self.out.lock().unwrap().clone()
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.out_bytes()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.err.lock().unwrap().clone()).unwrap()
    }

    /// Standard output's lines as JSON.
    pub fn json(&self) -> Vec<Value> {
        self.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A session with nobody at the other end.
pub fn offline() -> (Session, Spoken) {
    let spoken = Spoken::new();
    (session("http://127.0.0.1:9", &spoken, "s1"), spoken)
}

/// A session with the server at `url`, in no mood to wait.
pub fn session(url: &str, spoken: &Spoken, secret: &str) -> Session {
    let key = AccessKey { id: "tp1".into(), secret: secret.into() };
    let mut client = Client::new(Target { url: url.parse().unwrap(), key }).unwrap();
    client.backoff = Backoff { first: Duration::from_millis(2), tries: 4 };
    let now = "2026-01-01T00:10:00Z".parse().unwrap();
    Session { client, screen: spoken.screen().into(), json: false, now }
}

#[derive(Parser)]
#[command(name = "tarpon")]
pub struct Line {
    #[command(subcommand)]
    pub command: Command,
}
