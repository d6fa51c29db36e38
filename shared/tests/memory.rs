//! The adapters in memory are what they say.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use shared::{
    conformance::{
        memory::{Happening, MemoryObjects, MemoryRuntime, MemoryTable},
        objects::{Call, Caller, Subject},
        runtime::{Act, Stage, TOTAL},
    },
    job::{AttemptId, AttemptKey, ProjectId, ResolvedImage},
    platform::{
        Clock, GrantMethod, Objects, ObjectsError, Put, Runtime, Table, collect, one_chunk,
    },
};
use tokio::sync::{mpsc, watch};

/// The suites' expiries are by the system's time.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the suites say when something expires by it")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

mod table {
    use super::*;

    #[expect(clippy::unused_async, reason = "the suite awaits what makes a table")]
    async fn table() -> (Arc<dyn Table>, ()) {
        (Arc::new(MemoryTable::new(Arc::new(SystemClock))), ())
    }

    shared::table_suite!(table);
}

mod objects {
    use super::*;

    /// Does with a signed URL what a host would.
    struct Host(Arc<MemoryObjects>);

    #[async_trait]
    impl Caller for Host {
        async fn call(&self, call: Call) -> (u16, Bytes) {
            let Call { method, url, range, body } = call;
            let nothing = |status| (status, Bytes::new());
            let Some(grant) = self.0.granted(&url.url) else { return nothing(403) };
            match (grant.method, method) {
                (GrantMethod::Get, "GET" | "HEAD") => {
                    match self.0.get(&grant.key, range).await.expect("an answer") {
                        Some(stored) => {
                            let status = if range.is_some() { 206 } else { 200 };
                            (status, collect(stored.body).await.expect("its bytes"))
                        }
                        None => nothing(404),
                    }
                }
                (GrantMethod::Put { if_absent, length }, "PUT") => {
                    let put = Put { if_absent, length, content_type: None };
                    match self.0.put(&grant.key, one_chunk(body), put).await {
                        Ok(_) => nothing(200),
                        Err(ObjectsError::Exists(_)) => nothing(412),
                        Err(ObjectsError::WrongLength { .. }) => nothing(400),
                        Err(error) => panic!("{error:?}"),
                    }
                }
                (GrantMethod::Get | GrantMethod::Put { .. }, _) => nothing(403),
            }
        }
    }

    #[expect(clippy::unused_async, reason = "the suite awaits what makes a store")]
    async fn subject() -> (Box<Subject>, ()) {
        let objects = Arc::new(MemoryObjects::new(Arc::new(SystemClock)));
        let caller = Arc::new(Host(Arc::clone(&objects)));
        (Box::new(Subject { objects, caller }), ())
    }

    shared::objects_suite!(subject);
}

mod runtime {
    use super::*;

    /// The runtime, and a player of the suite's stand-ins.
    struct Theatre {
        runtime: Arc<MemoryRuntime>,
        arrivals: mpsc::UnboundedReceiver<AttemptId>,
        deaths: mpsc::UnboundedReceiver<AttemptKey>,
    }

    impl Theatre {
        fn of(runtime: MemoryRuntime) -> Self {
            let runtime = Arc::new(runtime);
            let (arrived, arrivals) = mpsc::unbounded_channel();
            let (died, deaths) = mpsc::unbounded_channel();
            tokio::spawn(play(Arc::clone(&runtime), runtime.happenings(), arrived, died));
            Theatre { runtime, arrivals, deaths }
        }

        #[expect(clippy::unused_async, reason = "the suite awaits what makes a stage")]
        async fn open() -> Self {
            let runtime = MemoryRuntime::new();
            runtime.set_room(TOTAL);
            Theatre::of(runtime)
        }
    }

    /// Acts as each container's token says.
    async fn play(
        runtime: Arc<MemoryRuntime>,
        mut happenings: mpsc::UnboundedReceiver<Happening>,
        arrived: mpsc::UnboundedSender<AttemptId>,
        died: mpsc::UnboundedSender<AttemptKey>,
    ) {
        while let Some(happening) = happenings.recv().await {
            match happening {
                Happening::Launched(launch) => {
                    let attempt = launch.attempt;
                    arrived.send(attempt.attempt).ok();
                    if let Some(code) = launch.token.strip_prefix("exit ") {
                        runtime.exit(attempt, code.parse().expect("a code"), false);
                    }
                    if launch.token == "greedy" {
                        runtime.exit(attempt, 137, true);
                    }
                }
                Happening::Stopped(attempt) => {
                    let launched = runtime.launched();
                    let launch = launched.iter().find(|launch| launch.attempt == attempt);
                    if launch.is_some_and(|launch| launch.token == "until term") {
                        runtime.exit(attempt, 0, false);
                    }
                }
                Happening::Ended(attempt) => {
                    died.send(attempt).ok();
                }
            }
        }
    }

    #[async_trait]
    impl Stage for Theatre {
        fn runtime(&self) -> Arc<dyn Runtime> {
            self.runtime.clone()
        }

        async fn image(&self) -> ResolvedImage {
            let image = "stand-in".parse().expect("an image");
            let resolved = self.runtime.resolve(ProjectId::new([7; 16]), &image, None).await;
            resolved.expect("it is there")
        }

        fn token(&self, act: Act) -> String {
            match act {
                Act::Exit(code) => format!("exit {code}"),
                Act::UntilTerm => "until term".into(),
                Act::Stubborn => "stubborn".into(),
                Act::Greedy => "greedy".into(),
            }
        }

        async fn arrival(&mut self) -> AttemptId {
            self.arrivals.recv().await.expect("the player lives")
        }

        async fn death(&mut self) -> AttemptKey {
            self.deaths.recv().await.expect("the player lives")
        }

        fn freed(&self) -> watch::Receiver<u64> {
            self.runtime.freed()
        }

        async fn restart(&mut self) {
            *self = Theatre::of(self.runtime.restarted());
        }
    }

    shared::runtime_suite!(Theatre::open());
    shared::machine_suite!(Theatre::open());
    shared::container_suite!(Theatre::open());
}
