//! What a function is given, built at its cold start.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, Error};
use serde_json::json;
use tokio::sync::OnceCell;
use tracing::warn;

use super::{
    adapters::{self, Aws, Containers},
    clock::SystemClock,
    master_key,
    metrics::{Measured, Outcome},
    settings::{OutboxSettings, Settings, StoresSettings, TasksSettings},
    trace::{self, Changes},
};
use crate::{
    auth::Keyring,
    aws::signed::SignedCalls,
    ops::duties::chain,
    platform::{Clock, NoObjects, NoOutbox, NoRuntime, Objects, Outbox, Platform},
    service::{Config, Limits, Service},
    wire::Problem,
};

/// How long before a function is ended its last answer must be on its way.
const LAST_SECONDS: i64 = 2;

/// How long an HTTP API waits for a function, the cold start included, less
/// what that and the way back may take. A function's URL waits to its end.
const API_SECONDS: i64 = 28;

type MakeObjects = fn(&Aws, &StoresSettings, &Arc<dyn Clock>) -> Arc<dyn Objects>;
type MakeContainers = fn(&Aws, &Arc<dyn Clock>) -> Result<Containers, Error>;
type MakeOutbox = fn(&Aws, &Settings, &Arc<dyn Clock>) -> Result<Arc<dyn Outbox>, Error>;

/// Where a function's keys come from.
#[derive(Clone, Copy)]
enum Keys {
    /// All follow from the installation's master key, which has to be fetched.
    Master,
    /// They are made up, and open nothing: nobody else has them.
    Idle,
}

/// What makes the ports that a function may have no use for: handed in, so that
/// it is linked without their adapters, which are a third of a program.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    keys: Keys,
    objects: MakeObjects,
    containers: MakeContainers,
    outbox: MakeOutbox,
}

impl Ports {
    /// For actions that keep to the table: what they change is acted on by
    /// reactions.
    pub const TABLE: Ports = Ports {
        keys: Keys::Master,
        objects: no_objects,
        containers: no_containers,
        outbox: no_outbox,
    };

    /// For actions that know nothing, and do not ask who wants to know.
    pub const NONE: Ports = Ports { keys: Keys::Idle, ..Ports::TABLE };

    /// For actions that know objects as well.
    pub const STORES: Ports = Ports { objects: adapters::objects, ..Ports::TABLE };

    /// For actions that ask what could run.
    pub const RUNTIME: Ports = Ports { containers, ..Ports::TABLE };

    /// For the one that tells callers: of what an archive says, too.
    pub const OUTBOX: Ports = Ports { outbox, ..Ports::STORES };

    /// For all other reactions.
    pub const ALL: Ports = Ports { containers, ..Ports::STORES };
}

fn no_objects(_: &Aws, _: &StoresSettings, _: &Arc<dyn Clock>) -> Arc<dyn Objects> {
    Arc::new(NoObjects("this function is hosted without objects"))
}

#[expect(clippy::unnecessary_wraps, reason = "it takes the place of what may fail")]
fn no_containers(_: &Aws, _: &Arc<dyn Clock>) -> Result<Containers, Error> {
    Ok(Box::new(|_| Arc::new(NoRuntime("an action starts no container"))))
}

fn containers(aws: &Aws, clock: &Arc<dyn Clock>) -> Result<Containers, Error> {
    adapters::containers(aws, TasksSettings::from_env()?, clock)
}

#[expect(clippy::unnecessary_wraps, reason = "it takes the place of what may fail")]
fn no_outbox(_: &Aws, _: &Settings, _: &Arc<dyn Clock>) -> Result<Arc<dyn Outbox>, Error> {
    Ok(Arc::new(NoOutbox("this function tells nobody")))
}

fn outbox(
    aws: &Aws,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Outbox>, Error> {
    adapters::outbox(aws, &OutboxSettings::from_env(), &settings.message_queues, clock)
}

/// A function, ready for its first invocation.
pub(super) struct Host {
    function: &'static str,
    settings: Settings,
    changes: Changes,
    aws: Aws,
    clock: Arc<dyn Clock>,
    stores: StoresSettings,
    ports: Ports,
    containers: Containers,
    outbox: Arc<dyn Outbox>,
    service: OnceCell<Service>,
}

impl Host {
    /// Reads the environment and makes what needs no answer from outside. What
    /// is wrong here fails the cold start, and says why.
    pub async fn start(function: &'static str, ports: Ports) -> Result<Self, Error> {
        Host::prepare(function, ports).await.inspect_err(|error| {
            // What logs may be what is wrong.
            let error = chain(error.as_ref());
            let line = json!({ "level": "ERROR", "message": "cannot start", "error": error });
            println!("{line}");
        })
    }

    async fn prepare(function: &'static str, ports: Ports) -> Result<Self, Error> {
        let settings = Settings::from_env()?;
        let changes = trace::start(settings.log.clone())?;
        let stores = StoresSettings::from_env()?;
        let aws = Aws::from_env()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = Host {
            containers: (ports.containers)(&aws, &clock)?,
            outbox: (ports.outbox)(&aws, &settings, &clock)?,
            ports,
            service: OnceCell::new(),
            function,
            settings,
            changes,
            aws,
            clock,
            stores,
        };
        // Now, while the processor is lent in full; if it fails, callers are
        // told so, and the next one tries again.
        if let Err(problem) = host.service().await {
            warn!(function, error = chain(&problem), "not ready yet");
        }
        Ok(host)
    }

    /// What every function is given.
    pub async fn service(&self) -> Result<&Service, Problem> {
        self.service.get_or_try_init(|| self.make()).await
    }

    async fn make(&self) -> Result<Service, Problem> {
        let keyring = self.keyring().await?;
        let table = adapters::table(&self.aws, &self.stores, &self.clock);
        let objects = (self.ports.objects)(&self.aws, &self.stores, &self.clock);
        let runtime = (self.containers)(&keyring);
        let (outbox, clock) = (Arc::clone(&self.outbox), Arc::clone(&self.clock));
        Ok(Service {
            platform: Platform { table, objects, runtime, outbox, clock },
            keyring,
            limits: limits(),
            config: Config {
                public_url: self.settings.public_url.clone(),
                longest_wait_seconds: 0,
                pic_process_image: self.settings.pic_process_image.clone(),
                message_queues: adapters::queue_names(&self.settings.message_queues),
                prices: self.settings.prices,
            },
            backlog: Arc::default(),
            queues: Arc::default(),
            turns: Arc::default(),
        })
    }

    async fn keyring(&self) -> Result<Keyring, Problem> {
        match self.ports.keys {
            Keys::Master => {
                let calls = SignedCalls::new(&self.aws, Arc::clone(&self.clock));
                let keyring = master_key::keyring(&calls, &self.settings.master_key_secret).await;
                keyring.map_err(|error| Problem::Unavailable(error.into()))
            }
            Keys::Idle => Ok(Keyring::new(&self.clock.random())),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Measures an invocation that began at `began`.
    pub fn measure(&self, request_id: &str, began: Timestamp, outcome: Outcome, parked: u64) {
        let at = self.now();
        let measured = Measured {
            stack: &self.settings.stack,
            function: self.function,
            request_id,
            at,
            took: at.duration_since(began).try_into().unwrap_or_default(),
            outcome,
            jobs_changed: self.changes.take(),
            parked,
        };
        measured.emit();
    }
}

/// Until when an invocation may take; `is_patient` if whoever waits for it
/// waits to the function's own end.
pub(super) fn until(context: &Context, now: Timestamp, is_patient: bool) -> Timestamp {
    let end =
        i64::try_from(context.deadline).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let end = end.unwrap_or(now) - SignedDuration::from_secs(LAST_SECONDS);
    if is_patient { end } else { end.min(now + SignedDuration::from_secs(API_SECONDS)) }
}

/// What differs here from the limits that everybody has: what Lambda carries
/// in one request, and what Fargate has at most.
fn limits() -> Limits {
    Limits { body_bytes: 4 << 20, cpu_millis: 16_000, memory_mib: 120 << 10, ..Limits::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_answered_before_it_gives_up_and_a_url_before_the_function_ends() {
        let now = Timestamp::from_second(1_000).unwrap();
        let mut context = Context::default();
        let seconds = |context: &Context, is_patient| {
            until(context, now, is_patient).duration_since(now).as_secs()
        };
        context.deadline = 1_900_000;
        assert_eq!((seconds(&context, true), seconds(&context, false)), (898, 28));
        context.deadline = 1_010_000;
        assert_eq!((seconds(&context, true), seconds(&context, false)), (8, 8));
    }
}
