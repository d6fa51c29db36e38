//! Why an attempt, an instance or a task did not succeed.

use serde::{Deserialize, Serialize};

/// Why something ended other than by exit code 0.
///
/// Stored and shown as it is spelled here, in `snake_case`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The process ended by itself with a code other than 0.
    Exited,
    /// The process was ended by a signal that we did not send.
    Signalled,
    /// The kernel killed the process for using more memory than it was given.
    OutOfMemory,
    /// The process ran longer than its `timeout_seconds`.
    TimedOut,
    /// A caller cancelled the job.
    Cancelled,
    /// The job's own deadline passed.
    DeadlinePassed,
    /// Another task of a `fail_fast` job failed for good.
    FailedFast,
    /// A caller stopped this one instance.
    InstanceStopped,
    /// The process could not be started: no such program, not executable.
    StartFailed,
    /// The registry, or the engine, has no such image.
    ImageNotFound,
    /// The registry refuses the image to these credentials.
    ImageDenied,
    /// The image is there and cannot be used, such as for another platform.
    ImageUnusable,
    /// The registry did not answer, or not in time.
    ImageUnavailable,
    /// The platform has, or had, no room for what was asked.
    NoCapacity,
    /// What was asked for is more than the platform has in all.
    TooLarge,
    /// The container did not come up within its deadline.
    StartTimedOut,
    /// The job waited in its queue longer than its deadline allows.
    WaitTimedOut,
    /// The container was gone and its agent had not reported.
    AgentLost,
    /// The platform stopped the container for reasons of its own.
    Interrupted,
    /// The outputs could not be collected, or not in time.
    OutputFailed,
    /// An input could not be fetched.
    InputFailed,
    /// The task's dependencies can no longer hold.
    DependencyFailed,
}

/// Whose doing a failure is, which decides whose attempts it spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The user's program or spec: spends one of `max_attempts`.
    User,
    /// The platform: retried up to a bound of its own, at no cost to the user.
    System,
    /// Somebody asked for it, or nothing can change it: never retried.
    Final,
}

impl Cause {
    /// Every cause, in the order of their definition.
    pub const ALL: [Cause; 22] = [
        Cause::Exited,
        Cause::Signalled,
        Cause::OutOfMemory,
        Cause::TimedOut,
        Cause::Cancelled,
        Cause::DeadlinePassed,
        Cause::FailedFast,
        Cause::InstanceStopped,
        Cause::StartFailed,
        Cause::ImageNotFound,
        Cause::ImageDenied,
        Cause::ImageUnusable,
        Cause::ImageUnavailable,
        Cause::NoCapacity,
        Cause::TooLarge,
        Cause::StartTimedOut,
        Cause::WaitTimedOut,
        Cause::AgentLost,
        Cause::Interrupted,
        Cause::OutputFailed,
        Cause::InputFailed,
        Cause::DependencyFailed,
    ];

    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Exited => "exited",
            Cause::Signalled => "signalled",
            Cause::OutOfMemory => "out_of_memory",
            Cause::TimedOut => "timed_out",
            Cause::Cancelled => "cancelled",
            Cause::DeadlinePassed => "deadline_passed",
            Cause::FailedFast => "failed_fast",
            Cause::InstanceStopped => "instance_stopped",
            Cause::StartFailed => "start_failed",
            Cause::ImageNotFound => "image_not_found",
            Cause::ImageDenied => "image_denied",
            Cause::ImageUnusable => "image_unusable",
            Cause::ImageUnavailable => "image_unavailable",
            Cause::NoCapacity => "no_capacity",
            Cause::TooLarge => "too_large",
            Cause::StartTimedOut => "start_timed_out",
            Cause::WaitTimedOut => "wait_timed_out",
            Cause::AgentLost => "agent_lost",
            Cause::Interrupted => "interrupted",
            Cause::OutputFailed => "output_failed",
            Cause::InputFailed => "input_failed",
            Cause::DependencyFailed => "dependency_failed",
        }
    }

    /// Whose doing it is.
    pub fn blame(self) -> Blame {
        match self {
            Cause::Exited
            | Cause::Signalled
            | Cause::OutOfMemory
            | Cause::TimedOut
            | Cause::StartFailed
            | Cause::OutputFailed
            | Cause::InputFailed => Blame::User,
            Cause::ImageUnavailable
            | Cause::NoCapacity
            | Cause::StartTimedOut
            | Cause::AgentLost
            | Cause::Interrupted => Blame::System,
            Cause::Cancelled
            | Cause::DeadlinePassed
            | Cause::FailedFast
            | Cause::InstanceStopped
            | Cause::ImageNotFound
            | Cause::ImageDenied
            | Cause::ImageUnusable
            | Cause::TooLarge
            | Cause::WaitTimedOut
            | Cause::DependencyFailed => Blame::Final,
        }
    }

    /// Whether everything was to stop for this, not only the one attempt.
    pub fn is_halt(self) -> bool {
        matches!(self, Cause::Cancelled | Cause::DeadlinePassed | Cause::FailedFast)
    }

    /// Whether an agent or a runtime may say this of an attempt. The rest is
    /// for the job alone to decide; said from outside, it is not believed.
    pub fn is_reportable(self) -> bool {
        let ours =
            matches!(self, Cause::InstanceStopped | Cause::WaitTimedOut | Cause::DependencyFailed);
        !self.is_halt() && !ours
    }

    /// Whether submitting the same again, unchanged, could end otherwise.
    pub fn retryable(self) -> bool {
        match self.blame() {
            Blame::User | Blame::System => true,
            Blame::Final => self == Cause::WaitTimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_cause_once() {
        let names: std::collections::BTreeSet<_> = Cause::ALL.into_iter().collect();
        assert_eq!(names.len(), Cause::ALL.len());
        assert_eq!(Cause::ALL.last(), Some(&Cause::DependencyFailed));
        assert_eq!(Cause::DependencyFailed as usize + 1, Cause::ALL.len());
    }

    #[test]
    fn a_cause_is_stored_under_its_word() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.word());
        }
    }

    #[test]
    fn a_bad_image_is_final_and_a_silent_registry_is_not() {
        assert_eq!(Cause::ImageNotFound.blame(), Blame::Final);
        assert_eq!(Cause::ImageUnavailable.blame(), Blame::System);
        assert!(!Cause::Cancelled.retryable());
    }
}
