//! A project on the in-memory platform, with a client that asks functions,
//! and an agent to be played.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test that uses it")]

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::Memory;
use crate::{
    agent::{ArchiveInfo, LogBatch, LogPiece, Plan, Report, Stream, UploadRequest},
    archive,
    auth::{Secret, signing::unreserved},
    dialect::Dialect,
    function::{Action, Route},
    job::{AccessKeyId, AttemptKey, Cause, Exit, Job, JobId, JobKey, Layout, ProjectId, Usage},
    ops::{attempts, callbacks, chunks, jobs, logs, projects, submit, sweep, templates, triggers},
    platform::{Clock, GrantMethod, Objects, Put, collect, one_chunk},
    service::Service,
    wire::{
        Body, Caller, Reply, Request, submit::JobRequest, templates::TemplateRequest,
        triggers::TriggerRequest,
    },
};

/// A project, and everything it takes to use it.
#[derive(Clone)]
pub struct World {
    /// The platform.
    pub memory: Memory,
    /// The service on it.
    pub service: Service,
    /// The project.
    pub project: ProjectId,
    /// Its first access key.
    pub key: AccessKeyId,
    /// That key's secret.
    pub secret: Secret,
}

impl World {
    /// A project on a platform of its own.
    pub async fn new() -> Self {
        let memory = Memory::new(1);
        let service = memory.service();
        World::on(memory, service).await
    }

    /// Another project on the same platform.
    pub async fn neighbour(&self) -> Self {
        World::on(self.memory.clone(), self.service.clone()).await
    }

    async fn on(memory: Memory, service: Service) -> Self {
        let new = projects::create(&service, "project").await.unwrap();
        let projects::NewProject { project, key, secret } = new;
        World { memory, service, project: project.id, key, secret }
    }

    /// `Basic id:secret`, as a header says it.
    pub fn basic(&self) -> String {
        let pair = format!("{}:{}", self.key, self.secret.reveal());
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    /// `Bearer` and an attempt's token, as a header says it.
    pub fn bearer(&self, attempt: AttemptKey) -> String {
        format!("Bearer {}", self.service.keyring.attempt_token(attempt).reveal())
    }

    /// A request by this project's key, of a path as its function sees it
    /// (decoded), with an undecoded `?query` of plain text.
    pub fn ask(&self, target: &str) -> Ask {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        Ask {
            service: self.service.clone(),
            path: path.to_owned(),
            query: pairs.map(pair).collect(),
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Body::Empty,
            caller: Caller::Outside,
        }
        .header("authorization", &self.basic())
    }

    /// The job, as the table has it.
    pub async fn job(&self, id: JobId) -> Job {
        jobs::load(&self.service, self.of(id)).await.unwrap()
    }

    /// What it takes to find a job of this project.
    pub fn of(&self, job: JobId) -> JobKey {
        JobKey { project: self.project, job }
    }

    /// A job of this JSON, accepted.
    pub async fn submit(&self, json: &str) -> Job {
        let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
        let submission = job.check(tasks, &self.service.limits).unwrap();
        let bytes = json.as_bytes();
        submit::submit(&self.service, self.project, submission, bytes, None).await.unwrap().job
    }

    /// A template of this name and JSON, saved.
    pub async fn template(&self, name: &str, json: Value) {
        let asked: TemplateRequest = serde_json::from_value(json).unwrap();
        let name = name.parse().unwrap();
        templates::put(&self.service, self.project, name, asked.into()).await.unwrap();
    }

    /// A trigger of this name and JSON, made.
    pub async fn trigger(&self, name: &str, json: Value) {
        let asked: TriggerRequest = serde_json::from_value(json).unwrap();
        let (name, draft) = (name.parse().unwrap(), asked.draft().unwrap());
        triggers::put(&self.service, self.project, name, draft).await.unwrap();
    }

    /// Does everything that is due, and what that has made due.
    pub async fn settle(&self) {
        for _ in 0..2 {
            sweep::sweep(&self.service).await.unwrap();
        }
    }

    /// Delivers every callback that is due.
    pub async fn tell(&self) {
        callbacks::sweep(&self.service, &[]).await.unwrap();
    }

    /// Gets the job's first live attempt to where its process runs.
    pub async fn start(&self, job: JobId) -> (AttemptKey, Plan) {
        self.settle().await;
        let live = self.live(job).await;
        let attempt = *live.first().expect("the job has a live attempt");
        let plan = attempts::read_plan(&self.service, attempt).await.unwrap();
        (attempt, plan)
    }

    /// The job's live attempts.
    pub async fn live(&self, job: JobId) -> Vec<AttemptKey> {
        let live = chunks::live_attempts(&self.service, &self.job(job).await).await.unwrap();
        let key = |attempt| AttemptKey { project: self.project, attempt };
        live.into_iter().map(key).collect()
    }

    /// The attempt's process writes, and its agent sends that.
    pub async fn write(&self, attempt: AttemptKey, stream: Stream, offset: u64, text: &str) {
        let piece = LogPiece { stream, offset, data: BASE64.encode(text.as_bytes()) };
        let batch = LogBatch { pieces: vec![piece] };
        logs::append(&self.service, attempt, batch).await.unwrap();
    }

    /// The attempt's process ends, and its agent brings home these members.
    pub async fn finish(&self, attempt: AttemptKey, code: i32, members: &[(&str, &str)]) {
        let cause = (code != 0).then_some(Cause::Exited);
        self.end(attempt, code, cause, members).await;
    }

    /// The agent is told to stop: its process ends by the signal, and what
    /// there is so far is brought home.
    pub async fn interrupt(&self, attempt: AttemptKey, members: &[(&str, &str)]) {
        self.end(attempt, 143, Some(Cause::Interrupted), members).await;
    }

    async fn end(
        &self,
        attempt: AttemptKey,
        code: i32,
        cause: Option<Cause>,
        members: &[(&str, &str)],
    ) {
        let job = self.job(attempt.attempt.job).await;
        let layout = attempts::load_spec(&self.service, &job).await.unwrap().layout;
        let tar = laid_out(archive_of(members), layout);
        let exit = Some(Exit::Code(code));
        let asked = UploadRequest { bytes: tar.len() as u64, exit, object: None };
        let upload = attempts::grant_upload(&self.service, attempt, &asked).await.unwrap();
        let grant = self.memory.objects.granted(&upload.url).expect("a URL that is good");
        let GrantMethod::Put { if_absent, length } = grant.method else {
            panic!("a URL to read from is no place to upload to");
        };
        let put = Put { if_absent, length, content_type: None };
        let info = self.memory.objects.put(&grant.key, one_chunk(tar), put).await.unwrap();
        let archive = ArchiveInfo {
            bytes: info.size,
            sha256: None,
            manifest_sha256: String::new(),
            etag: info.etag,
            members: u32::try_from(members.len()).unwrap(),
        };
        self.report(attempt, code, cause, Some(archive)).await;
    }

    /// The agent's report of a process that ended with this code.
    pub async fn report(
        &self,
        attempt: AttemptKey,
        code: i32,
        cause: Option<Cause>,
        archive: Option<ArchiveInfo>,
    ) {
        let now = self.memory.clock.now();
        let report = Report {
            exit: Some(Exit::Code(code)),
            cause,
            message: None,
            started_at: Some(now),
            ended_at: Some(now),
            usage: Usage { wall_ms: 1_500, ..Usage::default() },
            archive,
            stdout_tail: BASE64.encode(b"the end of stdout\n"),
            stderr_tail: String::new(),
            stdout_bytes: 18,
            stderr_bytes: 0,
        };
        attempts::report(&self.service, attempt, report).await.unwrap();
        self.memory.runtime.exit(attempt, 0, false);
        self.settle().await;
    }

    /// The job, run to its end, its archive with these members.
    pub async fn run(&self, job: JobId, code: i32, members: &[(&str, &str)]) -> Job {
        let (attempt, _) = self.start(job).await;
        self.finish(attempt, code, members).await;
        self.job(job).await
    }
}

/// A tar of these members.
fn archive_of(members: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "a-link", archive::STDOUT).unwrap();
    tar.into_inner().unwrap()
}

/// The archive as an agent writes it that is told to.
fn laid_out(tar: Vec<u8>, layout: Layout) -> Vec<u8> {
    if layout.is_native() {
        return tar;
    }
    let mut bytes = archive::Rewritten::new("", layout).push(&tar).unwrap();
    bytes.extend(archive::Rewritten::end());
    bytes
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Ask {
    service: Service,
    path: String,
    query: Vec<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Body,
    caller: Caller,
}

impl Ask {
    /// By this method, where the route does not say it.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// With this header, in place of any other of its name.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Without saying who asks.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.headers.remove("authorization");
        self
    }

    /// By the operator, who needs no credential.
    #[must_use]
    pub fn operator(mut self) -> Self {
        self.caller = Caller::Operator;
        self.nameless()
    }

    /// With one more query parameter, of any text.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, json: impl AsRef<[u8]>) -> Self {
        self.body = Body::Bytes(Bytes::copy_from_slice(json.as_ref()));
        self.header("content-type", "application/json")
    }

    /// With a body that is all there.
    #[must_use]
    pub fn body(mut self, content_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.body = Body::Bytes(Bytes::copy_from_slice(bytes.as_ref()));
        self.header("content-type", content_type)
    }

    /// With a body that comes piece by piece, its length known or not.
    #[must_use]
    pub fn stream(mut self, content_type: &str, pieces: &[&str], length: Option<u64>) -> Self {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok(Bytes::from((*piece).to_owned()))).collect();
        let stream = futures::stream::iter(pieces).boxed();
        self.body = Body::Stream { stream, length, stored: None };
        self.header("content-type", content_type)
    }

    /// What the function answers, its body not yet read.
    pub async fn reply<A: Action>(self, action: A) -> Reply {
        let route = A::ROUTE;
        let request = Request {
            parameters: parameters(&route, &self.path),
            method: route.method,
            path: self.path,
            query_text: encoded(&self.query),
            query: self.query,
            headers: self.headers,
            body: self.body,
            caller: self.caller,
        };
        match action.handle(&self.service, request).await {
            Ok(reply) => reply,
            Err(problem) => problem.reply(),
        }
    }

    /// What a dialect answers.
    pub async fn speak<D: Dialect>(self, dialect: &D) -> Answer {
        let request = Request {
            parameters: BTreeMap::new(),
            method: self.method,
            path: self.path,
            query_text: encoded(&self.query),
            query: self.query,
            headers: self.headers,
            body: self.body,
            caller: self.caller,
        };
        whole(dialect.answer(&self.service, request).await).await
    }

    /// What the function answers, whole.
    pub async fn of<A: Action>(self, action: A) -> Answer {
        whole(self.reply(action).await).await
    }
}

/// A query as it goes over the wire.
fn encoded(pairs: &[(String, String)]) -> String {
    let pair =
        |(name, value): &(String, String)| format!("{}={}", unreserved(name), unreserved(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

async fn whole(reply: Reply) -> Answer {
    let Reply { status, headers, body } = reply;
    let length = body.length();
    let body = collect(body.into_stream()).await.unwrap();
    assert!(length.is_none_or(|length| length == body.len() as u64), "the length is wrong");
    Answer { status, headers, body }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

fn parameters(route: &Route, path: &str) -> BTreeMap<&'static str, String> {
    let Some(found) = route.matched(path) else { panic!("{path} is not of {}", route.path) };
    found.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// What a function answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Fails the test unless the status is this one.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Fails the test unless it is a problem of this status, code and field.
    pub fn refused(&self, status: u16, code: &str, field: &str) {
        let json = self.json();
        let seen = (
            self.status.as_u16(),
            json["code"].as_str().unwrap_or_default(),
            json["field"].as_str().unwrap_or_default(),
        );
        assert_eq!(seen, (status, code, field), "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
    }
}
