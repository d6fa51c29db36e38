//! What can happen to a job.

use serde::{Deserialize, Serialize};

use super::{AttemptId, CallbackKey, Cause, Counts, Halt, Recalled, ResolvedImage, Spent, Telling};

/// Something that happened, as [`super::Job::after`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An image of the job was looked up.
    ImageResolved {
        /// Its place in [`super::Job::images`].
        image: u32,
        /// What it is.
        resolved: ResolvedImage,
    },
    /// An image of the job could not be looked up.
    ImageFailed {
        /// Its place in [`super::Job::images`].
        image: u32,
        /// Why; blamed on the system, it is tried again.
        cause: Cause,
    },
    /// A chunk of a wide task was created: written in the same commit as
    /// [`super::Job::spread`] made it, so that neither is there without the
    /// other.
    Spread {
        /// The task's place.
        task: u32,
        /// The chunk's place in the task.
        chunk: u32,
    },
    /// A chunk changed: its counts, absolute.
    Folded {
        /// The task's place.
        task: u32,
        /// The chunk's place in the task.
        chunk: u32,
        /// The run that the chunk is of.
        run: u32,
        /// The chunk's own sequence number; a lower one than seen is late.
        sequence: u64,
        /// How its instances stand.
        counts: Counts,
        /// What its attempts used in this run.
        spent: Spent,
    },
    /// Something happened to an attempt of an inline instance.
    Attempt(AttemptId, AttemptEvent),
    /// A caller asked for the job to be cancelled.
    CancelAsked,
    /// A caller asked for one inline instance to be stopped; the others go on.
    StopAsked {
        /// The task's place.
        task: u32,
        /// The instance's index.
        instance: u32,
    },
    /// A caller asked for the job to be cancelled, if none of its containers
    /// was claimed yet.
    WithdrawAsked,
    /// Time passed: every deadline up to now takes effect.
    Ticked,
    /// A caller asked for another run.
    RetryAsked {
        /// Also what succeeded runs again.
        all: bool,
    },
    /// A caller asked for the job to be removed.
    DeleteAsked,
    /// A try to deliver a callback is about to be made. Nothing changes unless
    /// it is due.
    TellBegun {
        /// The callback.
        callback: CallbackKey,
        /// Within how many seconds news of the try can be expected.
        within_seconds: u32,
    },
    /// The callback was delivered.
    Told(CallbackKey),
    /// A delivery failed.
    TellFailed {
        /// The callback.
        callback: CallbackKey,
        /// Which try, counted from 1.
        number: u32,
        /// When to try again, in seconds from now, at least one; `None` gives
        /// up.
        again_seconds: Option<u32>,
    },
    /// The API that the job is of tells nobody of what the callback was for.
    TellSpared(CallbackKey),
    /// A caller asked for a callback to be delivered once more.
    TellAsked(
        /// What it tells, if it is not owed any more.
        Telling,
    ),
}

/// Something that happened to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEvent {
    /// The attempt was given a slot and will be launched.
    Claimed,
    /// The runtime accepted it.
    Launched {
        /// The runtime's own name for it, where it has one.
        handle: Option<String>,
    },
    /// An equal of the attempt to come is under way: it is waited for.
    Awaits {
        /// What both are known by.
        key: String,
        /// When to look at it again, in seconds from now, at least one.
        again_seconds: u32,
    },
    /// The attempt to come has no equal that is of use: it may be claimed.
    Leads {
        /// What it is known by to its equals; `None` if it can have none.
        key: Option<String>,
    },
    /// The result of an equal takes the place of the attempt to come.
    Recalled(Recalled),
    /// The agent read the plan: from here on, user code runs.
    PlanRead,
    /// The process ended by itself and its outputs are being collected.
    Collecting {
        /// How it ended.
        exit: Exit,
    },
    /// It is over: the agent's report, or what was seen from outside.
    Ended(Ended),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The code a shell would show: 128 + the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => signal.saturating_add(128),
        }
    }
}

/// The ending of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How the process ended, if it ever ran and that is known.
    pub exit: Option<Exit>,
    /// What went wrong; `None` with exit code 0.
    pub cause: Option<Cause>,
    /// Bytes of the archive, if one was stored.
    pub archive_bytes: Option<u64>,
    /// What it used, if that was measured.
    pub usage: Option<Usage>,
    /// What its result is known by to its equals, if they may have it.
    pub key: Option<String>,
}

impl Ended {
    /// An attempt that ended without its process having been seen to.
    pub fn without_exit(cause: Cause) -> Self {
        Ended { exit: None, cause: Some(cause), archive_bytes: None, usage: None, key: None }
    }
}

/// What an attempt used, as the agent measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// From the process's start to its end, in milliseconds.
    pub wall_ms: u64,
    /// User and system time of the process and its children, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory held at one time, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of stdin and inputs.
    pub input_bytes: u64,
    /// Bytes of the archive.
    pub output_bytes: u64,
}

impl AttemptEvent {
    /// Whether it settles if the attempt to come is to run at all.
    pub(super) fn recalls(&self) -> bool {
        match self {
            AttemptEvent::Awaits { .. }
            | AttemptEvent::Leads { .. }
            | AttemptEvent::Recalled(_) => true,
            AttemptEvent::Claimed
            | AttemptEvent::Launched { .. }
            | AttemptEvent::PlanRead
            | AttemptEvent::Collecting { .. }
            | AttemptEvent::Ended(_) => false,
        }
    }

    /// Whether user code may run for it: only such an event is ever refused.
    pub(super) fn lets_run(&self) -> bool {
        match self {
            AttemptEvent::Claimed | AttemptEvent::PlanRead => true,
            AttemptEvent::Launched { .. }
            | AttemptEvent::Awaits { .. }
            | AttemptEvent::Leads { .. }
            | AttemptEvent::Recalled(_)
            | AttemptEvent::Collecting { .. }
            | AttemptEvent::Ended(_) => false,
        }
    }
}

impl Event {
    /// The event's name, for logs and refusals.
    pub fn name(&self) -> &'static str {
        match self {
            Event::ImageResolved { .. } => "image_resolved",
            Event::ImageFailed { .. } => "image_failed",
            Event::Spread { .. } => "spread",
            Event::Folded { .. } => "folded",
            Event::Attempt(_, AttemptEvent::Claimed) => "claimed",
            Event::Attempt(_, AttemptEvent::Launched { .. }) => "launched",
            Event::Attempt(_, AttemptEvent::Awaits { .. }) => "awaits",
            Event::Attempt(_, AttemptEvent::Leads { .. }) => "leads",
            Event::Attempt(_, AttemptEvent::Recalled(_)) => "recalled",
            Event::Attempt(_, AttemptEvent::PlanRead) => "plan_read",
            Event::Attempt(_, AttemptEvent::Collecting { .. }) => "collecting",
            Event::Attempt(_, AttemptEvent::Ended(_)) => "ended",
            Event::CancelAsked => "cancel_asked",
            Event::StopAsked { .. } => "stop_asked",
            Event::WithdrawAsked => "withdraw_asked",
            Event::Ticked => "ticked",
            Event::RetryAsked { .. } => "retry_asked",
            Event::DeleteAsked => "delete_asked",
            Event::TellBegun { .. } => "tell_begun",
            Event::Told(_) => "told",
            Event::TellFailed { .. } => "tell_failed",
            Event::TellSpared(_) => "tell_spared",
            Event::TellAsked(_) => "tell_asked",
        }
    }
}

impl Halt {
    /// What an attempt that is stopped for this ends with.
    pub fn cause(self) -> Cause {
        match self {
            Halt::Cancelled => Cause::Cancelled,
            Halt::DeadlinePassed => Cause::DeadlinePassed,
            Halt::FailedFast => Cause::FailedFast,
        }
    }
}
