//! What lives in a container: an agent that does as ours does, and the user's
//! process, whose deeds are what all of this is for.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use data_encoding::BASE64;
use futures::{
    FutureExt, StreamExt,
    future::{Either, select},
    stream,
};
use grant_upload::GrantUpload;
use http::header;
use read_plan::ReadPlan;
use report_attempt::ReportAttempt;
use serde_json::{Value, json};
use shared::{
    agent::exit_code,
    auth::Keyring,
    job::AttemptKey,
    platform::{GrantMethod, ObjectsError, Put, Sighting},
    service::Service,
};
use tokio::sync::watch;

use crate::{
    archive,
    ask::{Answer, Ask},
    executor::{Process, Sim},
    host::{Host, Work},
    runtime::exited,
    sabotage::Sabotage,
};

/// How long a service may be away before the agent gives up.
const ENDURANCE: Duration = Duration::from_hours(12);

/// What the user's process will do.
struct Script {
    runs: Duration,
    code: i32,
    /// The kernel kills it, and perhaps the agent with it.
    out_of_memory: bool,
    deaf: bool,
    /// Of its archive.
    bytes: usize,
    writes: bool,
}

impl Script {
    fn drawn(sim: &Sim, is_brief: bool) -> Self {
        let script = Script::any(sim);
        let runs = if is_brief { script.runs / 100 } else { script.runs };
        Script { runs, ..script }
    }

    fn any(sim: &Sim) -> Self {
        sim.roll(|dice| Script {
            runs: Duration::from_millis(match dice.u32(0..10) {
                0..6 => dice.u64(0..5_000),
                6..9 => dice.u64(0..60_000),
                _ => dice.u64(0..400_000),
            }),
            code: if dice.u32(0..4) == 0 { dice.i32(1..4) } else { 0 },
            out_of_memory: dice.u32(0..30) == 0,
            deaf: dice.u32(0..6) == 0,
            bytes: if dice.u32(0..50) == 0 { (1 << 20) + 7 } else { dice.usize(100..400) },
            writes: dice.u32(0..4) == 0,
        })
    }
}

/// Why there is no more to be done.
enum End {
    /// The agent exits with this code.
    Exit(i32),
    /// It hangs, and is never heard of again.
    Hangs,
}

/// Lets a container come up, and live.
pub fn come_up(host: &Arc<Host>, attempt: AttemptKey, process: Process, after: Duration) {
    let (host, sim) = (Arc::clone(host), Arc::clone(&host.sim));
    let doom = sim.weather().ended;
    if sim.chance(doom) {
        let host = Arc::clone(&host);
        sim.spawn(Process::OUTSIDE, async move {
            let lives = host.sim.roll(|dice| dice.u64(0..90_000));
            host.sim.sleep(after + Duration::from_millis(lives)).await;
            let out_of_memory = host.sim.chance(200);
            let code = host.sim.chance(500).then_some(137);
            let message = None;
            host.runtime.ended(attempt, Sighting::Exited { code, out_of_memory, message });
        });
    }
    sim.spawn(process, async move {
        host.sim.sleep(after).await;
        let Some(terminated) = host.runtime.started(attempt) else { return };
        let token = Keyring::new(&[7; 32]).attempt_token(attempt).reveal().to_owned();
        let agent = Agent { host, attempt, bearer: format!("Bearer {token}"), terminated };
        match agent.live().await {
            End::Exit(code) => agent.host.runtime.ended(attempt, exited(code)),
            End::Hangs => std::future::pending().await,
        }
    });
}

struct Agent {
    host: Arc<Host>,
    attempt: AttemptKey,
    bearer: String,
    terminated: watch::Receiver<bool>,
}

impl Agent {
    async fn live(&self) -> End {
        let hangs = |sim: &Sim| sim.chance(sim.weather().ended / 10);
        if hangs(&self.host.sim) {
            return End::Hangs;
        }
        let plan = Ask::of(ReadPlan, &self.path("plan")).json(&json!({"agent": "simulated"}));
        let plan = std::pin::pin!(self.insist(plan));
        let plan = match select(plan, std::pin::pin!(self.term())).await {
            Either::Left((plan, _)) => plan,
            Either::Right(_) => return self.stopped_early().await,
        };
        match plan {
            Some(plan) if plan.is_ok() => {
                let end = self.run(&plan.json).await;
                if hangs(&self.host.sim) { End::Hangs } else { self.report(&end).await }
            }
            Some(_) if self.host.sim.is_broken(Sabotage::NoFence) => {
                let end = self.run(&json!({"timeout_seconds": 60, "grace_seconds": 5})).await;
                self.report(&end).await
            }
            Some(_) => {
                self.host.watch.note(|seen| seen.refused += 1);
                End::Exit(exit_code::REFUSED)
            }
            None => End::Exit(exit_code::FAULT),
        }
    }

    fn path(&self, verb: &str) -> String {
        format!("/v1/attempts/{}/{verb}", self.attempt.attempt)
    }

    /// Waits for TERM.
    async fn term(&self) {
        let mut terminated = self.terminated.clone();
        if terminated.wait_for(|told| *told).await.is_err() {
            // Whoever might have told is gone, and this with it.
            std::future::pending::<()>().await;
        }
    }

    async fn ask(&self, ask: Ask) -> Option<Answer> {
        self.host.ask(ask.header(header::AUTHORIZATION, &self.bearer)).await
    }

    /// Asks until there is an answer that counts: done, or 409.
    async fn insist(&self, ask: Ask) -> Option<Answer> {
        let until = self.host.sim.now() + jiff::SignedDuration::try_from(ENDURANCE).ok()?;
        let mut pause = Duration::from_millis(50);
        while self.host.sim.now() < until {
            let answer = self.ask(ask.clone()).await;
            match answer.filter(|answer| answer.is_ok() || answer.status == 409) {
                Some(answer) => return Some(answer),
                None => self.host.sim.sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(20));
        }
        None
    }

    /// It may have been let start, and the answer lost.
    async fn stopped_early(&self) -> End {
        let report = report(None, Some("interrupted"), None);
        let asked = Ask::of(ReportAttempt, &self.path("report")).json(&report);
        let told = std::pin::pin!(self.insist(asked));
        let patience = std::pin::pin!(self.host.sim.sleep(Duration::from_secs(20)));
        match select(told, patience).await {
            Either::Left((Some(_), _)) => End::Exit(0),
            Either::Left((None, _)) | Either::Right(_) => End::Exit(exit_code::FAULT),
        }
    }

    /// Runs the user's process; what there is to report.
    async fn run(&self, plan: &Value) -> Value {
        let sim = &self.host.sim;
        let script = Script::drawn(sim, plan["env"]["BRIEF"] == "1");
        let seconds = |name: &str| Duration::from_secs(plan[name].as_u64().unwrap_or(0));
        self.host.watch.user_code_starts(sim.now(), self.attempt.attempt);
        if script.writes {
            self.write().await;
        }
        let runs = std::pin::pin!(sim.sleep(script.runs));
        let timeout = std::pin::pin!(sim.sleep(seconds("timeout_seconds")));
        let stop = std::pin::pin!(self.term());
        let cut = match select(select(runs, timeout), stop).await {
            Either::Left((Either::Left(_), _)) => None,
            Either::Left((Either::Right(_), _)) => Some("timed_out"),
            Either::Right(_) => Some("interrupted"),
        };
        if cut.is_some() && script.deaf {
            sim.sleep(seconds("grace_seconds")).await;
        }
        let (exit, cause) = match cut {
            None if script.out_of_memory => (json!({"signal": 9}), Some("out_of_memory")),
            None if script.code == 0 => (json!({"code": 0}), None),
            None => (json!({"code": script.code}), Some("exited")),
            Some(cause) => (json!({"signal": if script.deaf { 9 } else { 15 }}), Some(cause)),
        };
        let well = cause.is_none();
        self.host.watch.user_code_ends(self.attempt.attempt, well);
        sim.log(|| format!("{} user code ended: {cause:?}", self.attempt.attempt));
        let archive = self.upload(script.bytes, &exit).await;
        let cause = cause.or(archive.is_none().then_some("output_failed"));
        report(Some(&exit), cause, archive.as_ref())
    }

    /// A batch of what the process has written, once.
    async fn write(&self) {
        let piece = json!({"stream": "stdout", "offset": 0, "data": BASE64.encode(b"hello\n")});
        let ask = Ask::of(append_logs::AppendLogs, &self.path("logs"));
        self.ask(ask.json(&json!({"pieces": [piece]}))).await;
    }

    /// Brings the archive home, if that is to be had; tried for ten minutes.
    async fn upload(&self, bytes: usize, exit: &Value) -> Option<Value> {
        let archive = archive::of(self.attempt.attempt, bytes);
        let asked = json!({"bytes": archive.len(), "exit": exit});
        let ask = Ask::of(GrantUpload, &self.path("upload")).json(&asked);
        for _ in 0..20 {
            let granted = self.ask(ask.clone()).await.filter(Answer::is_ok);
            if let Some(granted) = granted {
                let url = granted.json["url"].as_str()?.to_owned();
                let put = self.host.ask(put(&self.host, url, archive.clone())).await;
                // 412 says that it is there already, from an answer that was lost.
                if put.is_some_and(|put| put.is_ok() || put.status == 412) {
                    return Some(json!({"bytes": archive.len(), "etag": "", "members": 1}));
                }
            }
            self.host.sim.sleep(Duration::from_secs(10)).await;
        }
        None
    }

    async fn report(&self, report: &Value) -> End {
        match self.insist(Ask::of(ReportAttempt, &self.path("report")).json(report)).await {
            Some(_) => End::Exit(0),
            None => End::Exit(exit_code::FAULT),
        }
    }
}

fn report(exit: Option<&Value>, cause: Option<&str>, archive: Option<&Value>) -> Value {
    json!({
        "exit": exit, "cause": cause, "started_at": null, "ended_at": null,
        "usage": {"wall_ms": 1, "cpu_ms": 1, "peak_memory_bytes": 1, "input_bytes": 0,
                  "output_bytes": 0},
        "archive": archive, "stdout_tail": "", "stderr_tail": "", "stdout_bytes": 0,
        "stderr_bytes": 0,
    })
}

/// A PUT to where it was granted, whose body breaks off now and then.
fn put(host: &Arc<Host>, url: String, archive: Bytes) -> Ask {
    let host = Arc::clone(host);
    Ask::other("put archive", move |service| {
        let Some(grant) = host.objects.inner().granted(&url) else {
            return async { Answer::bare(403) }.boxed();
        };
        let GrantMethod::Put { if_absent, length } = grant.method else {
            return async { Answer::bare(405) }.boxed();
        };
        let put = Put { if_absent, length, content_type: None };
        let (first, rest) =
            (archive.slice(..archive.len() / 2), archive.slice(archive.len() / 2..));
        let broken = host.sim.chance(host.sim.weather().lost);
        let rest = if broken { Err(std::io::Error::other("it broke off")) } else { Ok(rest) };
        let body = stream::iter([Ok(first), rest]).boxed();
        let work: Work<Answer> = Box::pin(stored(service, grant.key, body, put));
        work
    })
}

async fn stored(
    service: Service,
    key: shared::platform::ObjectKey,
    body: shared::platform::ByteStream,
    put: Put,
) -> Answer {
    match service.platform.objects.put(&key, body, put).await {
        Ok(_) => Answer::bare(200),
        Err(ObjectsError::Exists(_)) => Answer::bare(412),
        Err(ObjectsError::WrongLength { .. } | ObjectsError::Body(_)) => Answer::bare(400),
        Err(ObjectsError::OutOfRange { .. } | ObjectsError::Unavailable(_)) => Answer::bare(503),
    }
}
