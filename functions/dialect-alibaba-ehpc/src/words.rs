//! How the API calls jobs, containers, times, and where they stand.

use jiff::Timestamp;
use shared::job::{
    AttemptPhase, Cause, Ending, Instance, InstanceState, Job, JobId, JobSpec, Phase,
};
use uuid::Uuid;

/// The variable that tells a container which of its job's it is.
pub const INDEX_VARIABLE: &str = "EHPC_ARRAY_TASK_ID";

/// 128 bits as an upper-case UUID.
pub fn uuid(bits: u128) -> String {
    format!("{:X}", Uuid::from_u128(bits).hyphenated())
}

/// A job's id as a task's: the same bits.
pub fn task_id(job: JobId) -> String {
    uuid(job.bits())
}

/// The job that a task's id is of.
pub fn of_task_id(text: &str) -> Option<JobId> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(JobId::from_bits(uuid.as_u128()))
}

/// A job's id: 32 hex digits.
pub fn job_id(job: JobId) -> String {
    job.hex()
}

/// The id of one container's part of a job.
pub fn subtask_id(job: JobId, index: u64) -> String {
    format!("{}_{index}", job.hex())
}

/// The job, and the index in it if there is one.
pub fn of_job_id(text: &str) -> Option<(JobId, Option<u64>)> {
    let (job, index) = match text.split_once('_') {
        Some((job, index)) => (job, Some(index)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let index = match index {
        Some(index) => Some(index.parse().ok().filter(|_| digits(index))?),
        None => None,
    };
    Some((of_hex(job)?, index))
}

fn of_hex(text: &str) -> Option<JobId> {
    let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    bits.map(JobId::from_bits)
}

/// How a job counts its containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indices {
    pub first: u32,
    pub step: u32,
    pub count: u32,
}

impl Indices {
    /// Of a job of one task that has many containers, or was asked for so.
    pub fn of(spec: &JobSpec) -> Option<Self> {
        let [task] = spec.tasks.as_slice() else { return None };
        let own = task.index.as_ref().filter(|index| index.name == INDEX_VARIABLE);
        let (first, step) = own.map_or((0, 1), |index| (index.first, index.step));
        let count = task.instances;
        (own.is_some() || count > 1).then_some(Indices { first, step, count })
    }

    /// The index of the container at this place.
    pub fn index(self, place: u32) -> u64 {
        u64::from(self.first) + u64::from(self.step) * u64::from(place)
    }

    /// The place of the container with this index.
    pub fn place(self, index: u64) -> Option<u32> {
        let beyond = index.checked_sub(self.first.into())?;
        let place = u32::try_from(beyond / u64::from(self.step)).ok()?;
        (self.index(place) == index && place < self.count).then_some(place)
    }
}

/// Where a job stands, as a task of its cluster.
pub fn task_status(job: &Job) -> &'static str {
    match job.phase {
        Phase::Queued | Phase::Running | Phase::Stopping { .. } => "Processing",
        Phase::Finished { ending, .. } => match ending {
            Ending::Succeeded => "Success",
            Ending::PartlyFailed => "PartialFail",
            Ending::Failed | Ending::Cancelled | Ending::TimedOut => "Fail",
        },
    }
}

/// The states that a listing can be narrowed to, each with our words for it.
pub const STATES: [(&str, &[&str]); 6] = [
    ("All", &[]),
    ("Pending", &["queued"]),
    ("Running", &["running", "stopping"]),
    ("Succeeded", &["succeeded"]),
    ("Canceled", &["cancelled"]),
    ("Failed", &["failed", "partly_failed", "timed_out"]),
];

/// Where a job stands.
pub fn job_state(job: &Job) -> &'static str {
    match job.phase {
        Phase::Queued => "Pending",
        Phase::Running | Phase::Stopping { .. } => "Running",
        Phase::Finished { ending, .. } => match ending {
            Ending::Succeeded => "Succeeded",
            Ending::Cancelled => "Canceled",
            Ending::Failed | Ending::PartlyFailed | Ending::TimedOut => "Failed",
        },
    }
}

/// Where one container's part of a job stands; without an instance, it was
/// never begun.
pub fn part_state(job: &Job, instance: Option<&Instance>) -> &'static str {
    let Some(instance) = instance else {
        return match job.phase {
            Phase::Queued | Phase::Running | Phase::Stopping { .. } => "Pending",
            Phase::Finished { .. } => job_state(job),
        };
    };
    match &instance.state {
        InstanceState::Waiting { .. } => "Pending",
        InstanceState::Live(attempt) => match attempt.phase {
            AttemptPhase::Claimed | AttemptPhase::Starting => "Initing",
            AttemptPhase::Running | AttemptPhase::Collecting => "Running",
        },
        InstanceState::Succeeded(_) => "Succeeded",
        InstanceState::Failed(outcome) | InstanceState::Stopped(outcome) => {
            if outcome.cause.is_some_and(is_wanted) { "Canceled" } else { "Failed" }
        }
    }
}

/// Whether a caller asked for the end.
fn is_wanted(cause: Cause) -> bool {
    matches!(cause, Cause::Cancelled | Cause::InstanceStopped)
}

/// Where a scheduler job stands.
pub fn scheduler_state(job: &Job) -> &'static str {
    match job.phase {
        Phase::Queued => "QUEUED",
        Phase::Running | Phase::Stopping { .. } => "RUNNING",
        Phase::Finished { .. } => "FINISHED",
    }
}

/// Why a container ended, in a word as its users know them.
pub fn reason(cause: Option<Cause>) -> &'static str {
    let Some(cause) = cause else { return "Completed" };
    match cause {
        Cause::Exited | Cause::Signalled => "Error",
        Cause::OutOfMemory => "OOMKilled",
        Cause::TimedOut | Cause::DeadlinePassed => "DeadlineExceeded",
        Cause::Cancelled | Cause::InstanceStopped => "Canceled",
        Cause::FailedFast => "Stopped",
        Cause::StartFailed => "StartError",
        Cause::ImageNotFound | Cause::ImageDenied | Cause::ImageUnavailable => "ErrImagePull",
        Cause::ImageUnusable => "InvalidImage",
        Cause::NoCapacity | Cause::TooLarge => "NoStock",
        Cause::StartTimedOut => "StartTimeout",
        Cause::WaitTimedOut => "PendingTimeout",
        Cause::AgentLost => "ContainerStatusUnknown",
        Cause::Interrupted => "Evicted",
        Cause::OutputFailed => "OutputError",
        Cause::InputFailed => "InputError",
        Cause::DependencyFailed => "DependencyFailed",
    }
}

/// The same in our word, for people.
pub fn message(cause: Cause) -> String {
    cause.word().replace('_', " ")
}

/// A priority as the API has it: ours may be below.
pub fn priority(job: &Job) -> i16 {
    job.priority.clamp(0, 999)
}

/// A time as scheduler jobs have it: of no zone, which is UTC's here.
pub fn local(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A time to the second, as containers have it.
pub fn rfc3339(at: Timestamp) -> String {
    local(at) + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_has_the_same_bits_in_every_form() {
        let job = JobId::from_bits(0x0190_b8a0_a0a0_7abc_8def_0123_4567_89ab);
        assert_eq!(task_id(job), "0190B8A0-A0A0-7ABC-8DEF-0123456789AB");
        assert_eq!(of_task_id(&task_id(job)), Some(job));
        assert_eq!(of_task_id(&task_id(job).to_lowercase()), Some(job));
        assert_eq!(of_job_id(&job_id(job)), Some((job, None)));
        assert_eq!(of_job_id(&subtask_id(job, 3)), Some((job, Some(3))));
        assert!(job.to_string().ends_with(&job_id(job)));
    }

    #[test]
    fn what_is_no_id_is_none() {
        let hex = "0190b8a0a0a07abc8def0123456789ab";
        for text in ["", "5", "10_3", &hex[1..], &format!("{hex}_"), &format!("{hex}_-1")] {
            assert_eq!(of_job_id(text), None, "{text}");
        }
        for text in [&format!("{hex}_1_2"), &format!("{hex}_+1"), &format!("+{}", &hex[1..])] {
            assert_eq!(of_job_id(text), None, "{text}");
        }
        for text in [hex, "", "----", "0190B8A0-A0A0-7ABC-8DEF-0123456789AB-", "Ü"] {
            assert_eq!(of_task_id(text), None, "{text}");
        }
    }

    #[test]
    fn places_and_indices_are_told_from_each_other() {
        let odd = Indices { first: 1, step: 2, count: 3 };
        assert_eq!((0..3).map(|place| odd.index(place)).collect::<Vec<_>>(), [1, 3, 5]);
        let places = (0..8).map(|index| odd.place(index)).collect::<Vec<_>>();
        assert_eq!(places, [None, Some(0), None, Some(1), None, Some(2), None, None]);
        assert_eq!(odd.place(u64::MAX), None);
    }

    #[test]
    fn every_cause_is_a_word_for_a_program_and_a_phrase_for_people() {
        for cause in Cause::ALL {
            let word = reason(Some(cause));
            assert!(word.bytes().all(|b| b.is_ascii_alphabetic()) && word != "Completed");
            assert!(!message(cause).contains('_') && !message(cause).is_empty());
        }
    }

    #[test]
    fn times_are_told_to_the_second() {
        let at: Timestamp = "2024-03-03T02:00:00.123Z".parse().unwrap();
        assert_eq!(local(at), "2024-03-03T02:00:00");
        assert_eq!(rfc3339(at), "2024-03-03T02:00:00Z");
    }
}
