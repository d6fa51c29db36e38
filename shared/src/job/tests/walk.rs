//! A job taken from event to event, as short as it can be written.

use jiff::{SignedDuration, Timestamp};

use crate::job::*;

/// A spec of these tasks: nothing is retried, nobody is told.
pub fn job(tasks: impl IntoIterator<Item = TaskSpec>) -> JobSpec {
    JobSpec {
        v: JobSpec::VERSION,
        name: None,
        queue: "default".parse().unwrap(),
        priority: 0,
        tags: [].into(),
        tasks: tasks.into_iter().collect(),
        fail_fast: false,
        deadline_seconds: None,
        retain_days: 30,
        callback: None,
        origin: None,
    }
}

/// A task of one instance.
pub fn task(name: &str) -> TaskSpec {
    TaskSpec {
        name: name.parse().unwrap(),
        image: "tarpon/hello:1".parse().unwrap(),
        registered: None,
        entrypoint: None,
        command: None,
        env: [].into(),
        secret_env: [].into(),
        workdir: None,
        user: None,
        stdin: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        stdout_to: None,
        stderr_to: None,
        resources: Resources { cpu_millis: 250, memory_mib: 512 },
        network: Network::default(),
        read_only_root: false,
        instances: 1,
        index: None,
        max_concurrent: None,
        after: Vec::new(),
        retry: RetryRules::default(),
        deadlines: Deadlines::default(),
    }
}

/// What tests say of a task and a job beyond the plain ones.
pub trait With: Sized {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl With for TaskSpec {}
impl With for JobSpec {}

/// The task after others, by their places.
pub fn after<const N: usize>(name: &str, edges: [(u32, When); N]) -> TaskSpec {
    task(name).with(|task| {
        task.after = edges.into_iter().map(|(task, when)| Edge { task, when }).collect();
    })
}

/// A task of `instances` instances.
pub fn array(name: &str, instances: u32) -> TaskSpec {
    task(name).with(|task| task.instances = instances)
}

pub fn told_at(url: &str) -> CallbackSpec {
    CallbackSpec {
        to: CallbackTarget::Url(url.to_owned()),
        secrets: Vec::new(),
        started: false,
        format: CallbackFormat::Json,
    }
}

pub fn exit(code: i32) -> Ended {
    let cause = (code != 0).then_some(Cause::Exited);
    Ended { exit: Some(Exit::Code(code)), cause, archive_bytes: Some(4096) }
}

pub fn lost() -> Ended {
    Ended::without_exit(Cause::AgentLost)
}

pub fn interrupted() -> Ended {
    Ended { exit: Some(Exit::Signal(15)), cause: Some(Cause::Interrupted), archive_bytes: Some(1) }
}

pub fn resolved() -> ResolvedImage {
    ResolvedImage {
        digest: format!("tarpon/hello@sha256:{}", "5".repeat(64)),
        entrypoint: vec!["/hello".to_owned()],
        command: Vec::new(),
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        workdir: None,
        user: None,
        platform: "linux/amd64".to_owned(),
        pull_secret: None,
    }
}

pub fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub fn key() -> JobKey {
    JobKey {
        project: ProjectId::new([7; 16]),
        job: JobId::new(noon(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    }
}

/// A job, and what time it is.
#[derive(Clone, Debug)]
pub struct Walk {
    pub job: Job,
    pub now: Timestamp,
}

impl Walk {
    /// A job that was just accepted.
    pub fn unresolved(spec: &JobSpec) -> Walk {
        Walk { job: Job::new(key(), spec, noon()), now: noon() }
    }

    /// The same with its images known.
    pub fn new(spec: &JobSpec) -> Walk {
        let mut walk = Walk::unresolved(spec);
        for image in (0..).take(walk.job.images.len()) {
            walk.take(&Event::ImageResolved { image, resolved: resolved() });
        }
        walk
    }

    pub fn take(&mut self, event: &Event) -> &mut Self {
        match self.job.after(event, self.now) {
            Ok(next) => self.job = next,
            Err(why) => panic!("{} was refused: {why}\n{:#?}", event.name(), self.job),
        }
        self
    }

    pub fn refused(&self, event: &Event) -> Refused {
        self.job.after(event, self.now).expect_err(event.name())
    }

    /// Time passes, and a sweep comes by.
    pub fn pass(&mut self, seconds: i64) -> &mut Self {
        self.wait(seconds).take(&Event::Ticked)
    }

    pub fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    /// The latest attempt of an instance, or one that comes `later`.
    pub fn attempt(&self, task: u32, instance: u32, later: u32) -> AttemptId {
        let id = AttemptId { job: self.job.id, run: self.job.run, task, instance, number: 0 };
        AttemptId { number: self.job.instance(id).unwrap().attempts + later, ..id }
    }

    pub fn send(&mut self, task: u32, instance: u32, event: AttemptEvent) -> &mut Self {
        let later = u32::from(event == AttemptEvent::Claimed);
        self.take(&Event::Attempt(self.attempt(task, instance, later), event))
    }

    pub fn claim(&mut self, task: u32, instance: u32) -> &mut Self {
        self.send(task, instance, AttemptEvent::Claimed)
    }

    pub fn launch(&mut self, task: u32, instance: u32) -> &mut Self {
        self.claim(task, instance).send(task, instance, AttemptEvent::Launched { handle: None })
    }

    pub fn start(&mut self, task: u32, instance: u32) -> &mut Self {
        self.launch(task, instance).send(task, instance, AttemptEvent::PlanRead)
    }

    pub fn collect(&mut self, task: u32, instance: u32, code: i32) -> &mut Self {
        let exit = Exit::Code(code);
        self.start(task, instance).send(task, instance, AttemptEvent::Collecting { exit })
    }

    pub fn end(&mut self, task: u32, instance: u32, ended: Ended) -> &mut Self {
        self.send(task, instance, AttemptEvent::Ended(ended))
    }

    /// One attempt, from its claim to this exit code.
    pub fn run(&mut self, task: u32, instance: u32, code: i32) -> &mut Self {
        self.start(task, instance).end(task, instance, exit(code))
    }

    pub fn cancel(&mut self) -> &mut Self {
        self.take(&Event::CancelAsked)
    }

    pub fn retry(&mut self, all: bool) -> &mut Self {
        self.take(&Event::RetryAsked { all })
    }

    pub fn states(&self) -> Vec<TaskState> {
        self.job.tasks.iter().map(|task| task.state).collect()
    }

    pub fn ending(&self) -> Option<Ending> {
        self.job.ending().map(|(ending, _)| ending)
    }

    pub fn instance(&self, task: u32, instance: u32) -> &Instance {
        self.job.instance(self.attempt(task, instance, 0)).unwrap()
    }

    /// Why an instance ended, or is to stop, or was tried before.
    pub fn cause(&self, task: u32, instance: u32) -> Option<Cause> {
        match &self.instance(task, instance).state {
            InstanceState::Waiting { last, .. } => *last,
            InstanceState::Live(attempt) => attempt.stop.map(|stop| stop.why),
            InstanceState::Succeeded(outcome)
            | InstanceState::Failed(outcome)
            | InstanceState::Stopped(outcome) => outcome.cause,
        }
    }

    pub fn owes(&self, duty: Duty) -> bool {
        self.due(duty).is_some()
    }

    /// In how many seconds a duty is due.
    pub fn due(&self, duty: Duty) -> Option<i64> {
        let due = self.job.owes().into_iter().filter(|due| due.duty == duty).map(|due| due.at);
        due.min().map(|at| at.duration_since(self.now).as_secs())
    }
}
