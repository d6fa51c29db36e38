//! The job's record: its state; and its spec, where that is small.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, Callback, Cause, ChunkEntry, Deadlines, Edge, INLINE_INSTANCES, ImageReference,
    Instance, JobId, JobKey, JobSpec, MadeBy, Members, Name, ProjectId, ResolvedImage, Resources,
    RetryRules, Spent, TaskSpec, Telling,
    array::{self, Rules},
    attempt::later,
    members::INLINE_IN_ALL,
};

/// A job as stored: one item, replaced whole at each change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The stored shape's version.
    pub v: u8,
    /// The job.
    pub id: JobId,
    /// Its owner.
    pub project: ProjectId,
    /// What the client calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The queue it waits in.
    pub queue: Name,
    /// Higher starts first.
    pub priority: i16,
    /// Labels for the client's own use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The current run, from 1.
    pub run: u32,
    /// When this run was asked for.
    pub run_at: Timestamp,
    /// Where the run stands.
    pub phase: Phase,
    /// When the run's first container was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Whether the first final failure stops everything.
    #[serde(default)]
    pub fail_fast: bool,
    /// Seconds that a run may take in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u32>,
    /// Days that a finished job is kept.
    pub retain_days: u16,
    /// The images its tasks use, each once.
    pub images: Vec<Image>,
    /// The tasks, in the spec's order.
    pub tasks: Vec<Task>,
    /// How telling the caller of this run's ending stands.
    #[serde(default, skip_serializing_if = "Callback::is_unwanted")]
    pub callback: Callback,
    /// Whether the caller is told of a run's start as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_start: bool,
    /// What is yet to be told besides: of this run's start, and of earlier runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<Telling>,
    /// What led to it.
    #[serde(default, skip_serializing_if = "MadeBy::is_request")]
    pub made_by: MadeBy,
    /// Since when the job is being removed; nobody sees it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What was asked for, if it is small: an item less to write and to read.
    /// Otherwise, and in records of version 1, it is an item of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Box<JobSpec>>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Phase {
    /// No container of it has been claimed.
    Queued,
    /// At least one has.
    Running,
    /// Everything is to stop; what is alive brings its outputs home.
    Stopping {
        /// Why.
        why: Halt,
        /// Since when.
        at: Timestamp,
    },
    /// It is over.
    Finished {
        /// How.
        ending: Ending,
        /// When.
        at: Timestamp,
    },
}

/// Why everything is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// A caller asked.
    Cancelled,
    /// The job's deadline passed.
    DeadlinePassed,
    /// A task of a `fail_fast` job failed for good.
    FailedFast,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// No instance failed for good.
    Succeeded,
    /// None succeeded.
    Failed,
    /// Some succeeded and some failed.
    PartlyFailed,
    /// A caller stopped it while something was still to do.
    Cancelled,
    /// Its deadline stopped it while something was still to do.
    TimedOut,
}

/// An image that tasks of the job use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As the client named it.
    pub reference: ImageReference,
    /// The registered image that it was named by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Name>,
    /// What is known of it.
    pub state: ImageState,
}

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It is to be looked up.
    Wanted {
        /// From when on.
        at: Timestamp,
        /// How often that failed.
        faults: u32,
    },
    /// It was looked up, and is pinned.
    Resolved(ResolvedImage),
    /// It cannot be used.
    Refused(Cause),
}

/// A node of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Unique in the job.
    pub name: Name,
    /// What has to have ended before, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Edge>,
    /// Its image's place in [`Job::images`].
    pub image: u32,
    /// What each container may use.
    pub resources: Resources,
    /// When a failed attempt is tried again.
    pub retry: RetryRules,
    /// How long each stage may take.
    pub deadlines: Deadlines,
    /// How many instances may be live at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// Whether the result of an equal will do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caches: bool,
    /// Where it stands.
    pub state: TaskState,
    /// Since when.
    pub since: Timestamp,
    /// What its attempts used, those of chunks in this run aside.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
    /// Its instances.
    pub members: Members,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Its dependencies have not all ended.
    Pending,
    /// It may start.
    Ready,
    /// It has started.
    Running,
    /// All instances succeeded.
    Succeeded,
    /// No instance succeeded.
    Failed,
    /// Some instances succeeded, some failed.
    PartlyFailed,
    /// It was stopped.
    Stopped,
    /// A dependency can no longer hold.
    Skipped,
}

impl TaskState {
    /// Whether the task is over, for this run.
    pub fn is_ended(self) -> bool {
        match self {
            TaskState::Pending | TaskState::Ready | TaskState::Running => false,
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::PartlyFailed
            | TaskState::Stopped
            | TaskState::Skipped => true,
        }
    }
}

impl Job {
    /// The version of the shape written today.
    pub const VERSION: u8 = 2;

    /// The record of a job that was just accepted: its tasks have passed
    /// [`super::check_graph`].
    pub fn new(key: JobKey, spec: &JobSpec, at: Timestamp) -> Job {
        let (mut images, mut room) = (Vec::new(), INLINE_IN_ALL);
        let task = |task| Task::new(task, &mut images, &mut room, at);
        let tasks = spec.tasks.iter().map(task).collect();
        let job = Job {
            v: Job::VERSION,
            id: key.job,
            project: key.project,
            name: spec.name.clone(),
            queue: spec.queue.clone(),
            priority: spec.priority,
            tags: spec.tags.clone(),
            run: 1,
            run_at: at,
            phase: Phase::Queued,
            started_at: None,
            fail_fast: spec.fail_fast,
            deadline_seconds: spec.deadline_seconds,
            retain_days: spec.retain_days,
            images,
            tasks,
            callback: match spec.callback {
                Some(_) => Callback::Wanted,
                None => Callback::Unwanted,
            },
            tells_start: spec.callback.as_ref().is_some_and(|callback| callback.started),
            untold: Vec::new(),
            made_by: MadeBy::default(),
            deleted_at: None,
            spec: spec.is_small().then(|| Box::new(spec.clone())),
        };
        job.settled(at)
    }

    /// What it takes to find this job again.
    pub fn key(&self) -> JobKey {
        JobKey { project: self.project, job: self.id }
    }

    /// How the run ended, and when, if it has.
    pub fn ending(&self) -> Option<(Ending, Timestamp)> {
        match self.phase {
            Phase::Queued | Phase::Running | Phase::Stopping { .. } => None,
            Phase::Finished { ending, at } => Some((ending, at)),
        }
    }

    /// Why everything is to stop, if it is.
    pub fn halt(&self) -> Option<Halt> {
        match self.phase {
            Phase::Stopping { why, .. } => Some(why),
            Phase::Queued | Phase::Running | Phase::Finished { .. } => None,
        }
    }

    /// The instances of this job that are live and held in the record.
    pub fn live_attempts(&self) -> Vec<AttemptId> {
        let mut live = Vec::new();
        for (task, instances) in self.inline() {
            for (place, instance) in instances.iter().enumerate() {
                if instance.live().is_some() {
                    live.push(self.attempt(task, place, instance.attempts));
                }
            }
        }
        live
    }

    /// The tasks that have instances which wait in chunks, as far as is known
    /// here.
    pub fn waiting_in_chunks(&self) -> impl Iterator<Item = &Task> {
        self.tasks
            .iter()
            .filter(|task| task.is_open() && task.chunks().iter().any(ChunkEntry::waits))
    }

    /// The first of those chunks: the places of its task and of itself.
    pub fn waiting_chunk(&self) -> Option<(u32, u32)> {
        let open = (0..).zip(&self.tasks).filter(|(_, task)| task.is_open());
        open.into_iter().find_map(|(place, task)| {
            let (chunk, _) = (0..).zip(task.chunks()).find(|(_, chunk)| chunk.waits())?;
            Some((place, chunk))
        })
    }

    /// The instance that an attempt is of, if the record holds it.
    pub fn instance(&self, attempt: AttemptId) -> Option<&Instance> {
        match &self.tasks.get(attempt.task as usize)?.members {
            Members::Inline(instances) => instances.get(attempt.instance as usize),
            Members::Chunked(_) => None,
        }
    }

    /// What all its attempts used that have ended, those of earlier runs
    /// included.
    pub fn spent(&self) -> Spent {
        self.tasks.iter().map(Task::spent).sum()
    }

    /// The live attempts in the record for which nobody answers any more at
    /// `at`: a tick would end them.
    pub fn given_up(&self, at: Timestamp) -> Vec<AttemptId> {
        let mut all = Vec::new();
        for (place, instances) in self.inline() {
            let deadlines = &self.tasks[place].deadlines;
            let given_up = array::given_up(instances, deadlines, at);
            all.extend(given_up.map(|(instance, number)| self.attempt(place, instance, number)));
        }
        all
    }

    /// The place of the chunk that holds an attempt's instance, if one does.
    pub fn chunk_of(&self, attempt: AttemptId) -> Option<u32> {
        match &self.tasks.get(attempt.task as usize)?.members {
            Members::Inline(_) => None,
            Members::Chunked(_) => Some(attempt.instance / INLINE_INSTANCES),
        }
    }

    /// The instance of a job that has but one.
    pub fn only_instance(&self) -> Option<&Instance> {
        match self.tasks.as_slice() {
            [task] => match task.instances() {
                [instance] => Some(instance),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether this attempt is the one that counts for its instance.
    pub fn is_live(&self, attempt: AttemptId) -> bool {
        attempt.run == self.run
            && self
                .instance(attempt)
                .is_some_and(|i| i.attempts == attempt.number && i.live().is_some())
    }

    /// The id of an attempt, by the places of task and instance: of this run,
    /// or of the earlier one in which the instance succeeded.
    pub fn attempt_id(&self, task: usize, instance: usize, number: u32) -> AttemptId {
        let kept = self.tasks.get(task).and_then(|task| task.instances().get(instance)?.kept_from);
        AttemptId { run: kept.unwrap_or(self.run), ..self.attempt(task, instance, number) }
    }

    /// Each task that holds its instances itself, with its place.
    pub(super) fn inline(&self) -> impl Iterator<Item = (usize, &[Instance])> {
        self.tasks.iter().enumerate().filter_map(|(place, task)| match &task.members {
            Members::Inline(instances) => Some((place, instances.as_slice())),
            Members::Chunked(_) => None,
        })
    }

    /// The id of an attempt of this run.
    pub(super) fn attempt(&self, task: usize, instance: usize, number: u32) -> AttemptId {
        let place = |n: usize| u32::try_from(n).expect("a job is bounded far below 2^32");
        AttemptId {
            job: self.id,
            run: self.run,
            task: place(task),
            instance: place(instance),
            number,
        }
    }

    /// When the run's own deadline passes.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline_seconds.map(|seconds| later(self.run_at, seconds.into()))
    }

    /// When a finished job's time is up: a day later at the earliest, a day
    /// after its callback was given up, and not while somebody is to be told.
    pub fn expiry(&self) -> Option<Timestamp> {
        const DAY: u64 = 24 * 3600;
        let (_, ended) = self.ending()?;
        if self.tellings().next().is_some() {
            return None;
        }
        let expiry = later(ended, u64::from(self.retain_days.max(1)) * DAY);
        match self.callback {
            Callback::GivenUp { at, .. } => Some(expiry.max(later(at, DAY))),
            Callback::Unwanted
            | Callback::Wanted
            | Callback::Owed(_)
            | Callback::Told { .. }
            | Callback::Needless => Some(expiry),
        }
    }

    /// The chunks of `task` that are to be created now.
    pub(super) fn owed_chunks(&self, task: &Task) -> impl Iterator<Item = u32> {
        let open = task.is_open() && self.halt().is_none() && self.is_pinned(task);
        task.next_chunks().filter(move |_| open)
    }

    /// Whether the task's image is known, and so what it would run.
    pub(super) fn is_pinned(&self, task: &Task) -> bool {
        matches!(self.images[task.image as usize].state, ImageState::Resolved(_))
    }
}

impl Task {
    fn new(spec: &TaskSpec, images: &mut Vec<Image>, room: &mut u32, at: Timestamp) -> Task {
        let same =
            |image: &Image| image.reference == spec.image && image.registered == spec.registered;
        let image = images.iter().position(same).unwrap_or_else(|| {
            images.push(Image {
                reference: spec.image.clone(),
                registered: spec.registered.clone(),
                state: ImageState::Wanted { at, faults: 0 },
            });
            images.len() - 1
        });
        Task {
            name: spec.name.clone(),
            after: spec.after.clone(),
            image: u32::try_from(image).expect("a job has at most 1,000 images"),
            resources: spec.resources,
            retry: spec.retry.clone(),
            deadlines: spec.deadlines,
            max_concurrent: spec.max_concurrent,
            caches: spec.cache.is_some(),
            state: TaskState::Pending,
            since: at,
            spent: Spent::default(),
            members: Members::new(spec.instances, room, at),
        }
    }

    /// What all its attempts used that have ended, those of earlier runs
    /// included.
    pub fn spent(&self) -> Spent {
        self.spent + self.chunks().iter().map(|chunk| chunk.spent).sum()
    }

    /// The instances that the record holds itself; none of a wide task.
    pub fn instances(&self) -> &[Instance] {
        match &self.members {
            Members::Inline(instances) => instances,
            Members::Chunked(_) => &[],
        }
    }

    pub(super) fn rules(&self, halt: Option<Halt>) -> Rules<'_> {
        let Task { retry, deadlines, max_concurrent, caches, .. } = self;
        Rules { retry, deadlines, halt, at_once: *max_concurrent, caches: *caches }
    }

    /// Its instances, and apart from them the rules by which they change.
    pub(super) fn parts(&mut self, halt: Option<Halt>) -> (&mut Members, Rules<'_>) {
        let Task { retry, deadlines, max_concurrent, caches, members, .. } = self;
        let (at_once, caches) = (*max_concurrent, *caches);
        (members, Rules { retry, deadlines, halt, at_once, caches })
    }

    fn chunks(&self) -> &[ChunkEntry] {
        match &self.members {
            Members::Chunked(chunks) => chunks,
            Members::Inline(_) => &[],
        }
    }

    /// Whether its instances may be claimed, were a slot free.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, TaskState::Ready | TaskState::Running)
    }

    /// How many chunks may be under way at once, and how many instances of
    /// each may be live: together never more than `max_concurrent`.
    pub(super) fn staging(&self) -> (usize, Option<u32>) {
        let Some(most) = self.max_concurrent else {
            return (usize::MAX, None);
        };
        let all = u32::try_from(self.chunks().len()).unwrap_or(u32::MAX);
        let chunks = most.div_ceil(INLINE_INSTANCES).min(all).max(1);
        (chunks as usize, Some((most / chunks).max(1)))
    }

    /// The chunks whose turn it is to be created.
    pub(super) fn next_chunks(&self) -> impl Iterator<Item = u32> {
        let chunks = self.chunks();
        let under_way = chunks.iter().filter(|chunk| chunk.is_under_way()).count();
        let free = self.staging().0.saturating_sub(under_way);
        let places = (0..).zip(chunks).filter(|(_, chunk)| chunk.is_unspread());
        places.map(|(place, _)| place).take(free)
    }
}
