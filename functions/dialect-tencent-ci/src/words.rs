//! This API's words for what we have, and ours for what it has.

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};
use shared::{
    job::{Cause, Ending, JobId, Phase},
    ops::{queues::Queue, rows::QueueKey},
};

use crate::faults::Fault;

/// The API's name.
pub const API: &str = "tencent-ci";

/// The operation that comes with an installation.
pub const PIC_PROCESS: &str = "PicProcess";

/// The tag under which jobs of every tag are listed: those of other APIs have
/// any name, or none.
pub const ANY_TAG: &str = "All";

/// The tag of a job that has no name.
pub const NAMELESS: &str = "Container";

/// What is not reached yet.
pub const NOT_YET: &str = "-";

/// A service of the API: it has paths of its own, and a queue in each bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Pic,
    /// Media; and jobs of any kind.
    Media,
    /// Files.
    File,
    /// Artificial intelligence.
    Ai,
    /// Speech.
    Speech,
    /// Documents.
    Doc,
}

/// How a service is called.
struct Names {
    kind: Kind,
    /// What its paths start with: jobs, queues, and the bucket's service.
    paths: [&'static str; 3],
    /// What its jobs' ids start with.
    letter: char,
    /// What its queue's name of ours ends with, and the name that clients see.
    queue: [&'static str; 2],
    /// The queue's category, what callbacks call it, and what a bucket that has
    /// the service is called.
    words: [&'static str; 3],
}

static KINDS: [Names; 6] = [
    Names {
        kind: Kind::Pic,
        paths: ["pic_jobs", "picqueue", "picbucket"],
        letter: 'c',
        queue: ["pic", "queue-pic-process-1"],
        words: ["PicProcessing", "PicProcess", "PicBucket"],
    },
    Names {
        kind: Kind::Media,
        paths: ["jobs", "queue", "mediabucket"],
        letter: 'j',
        queue: ["media", "queue-1"],
        words: ["CateAll", "Transcode", "MediaBucket"],
    },
    Names {
        kind: Kind::File,
        paths: ["file_jobs", "file_queue", "file_bucket"],
        letter: 'f',
        queue: ["file", "queue-file-process-1"],
        words: ["FileProcess", "FileProcess", "FileBucket"],
    },
    Names {
        kind: Kind::Ai,
        paths: ["ai_jobs", "ai_queue", "ai_bucket"],
        letter: 'a',
        queue: ["ai", "queue-ai-process-1"],
        words: ["AIProcess", "AIProcess", "AiBucket"],
    },
    Names {
        kind: Kind::Speech,
        paths: ["asr_jobs", "asrqueue", "asrbucket"],
        letter: 's',
        queue: ["speech", "queue-smart-audio-1"],
        words: ["Speech", "Speech", "AsrBucket"],
    },
    Names {
        kind: Kind::Doc,
        paths: ["doc_jobs", "docqueue", "docbucket"],
        letter: 'a',
        queue: ["doc", "queue-doc-process-1"],
        words: ["DocProcess", "DocProcess", "DocBucket"],
    },
];

/// What a path's first segment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Jobs.
    Jobs(Kind),
    /// Queues.
    Queues(Kind),
    /// The service as a whole.
    Service(Kind),
    /// Templates.
    Templates,
}

/// What the segment is about, if it is of this API.
pub fn subject(segment: &str) -> Option<Subject> {
    if segment == "template" {
        return Some(Subject::Templates);
    }
    KINDS.iter().find_map(|names| {
        let [jobs, queues, service] = names.paths;
        match segment {
            path if path == jobs => Some(Subject::Jobs(names.kind)),
            path if path == queues => Some(Subject::Queues(names.kind)),
            path if path == service => Some(Subject::Service(names.kind)),
            _ => None,
        }
    })
}

impl Kind {
    /// Every service.
    pub fn all() -> impl Iterator<Item = Kind> {
        KINDS.iter().map(|names| names.kind)
    }

    fn names(self) -> &'static Names {
        KINDS.iter().find(|names| names.kind == self).unwrap_or(&KINDS[0])
    }

    /// The service of a job with this tag, asked for under this one's path: a
    /// picture is one under any.
    pub fn of_tag(self, tag: &str) -> Kind {
        if tag == PIC_PROCESS { Kind::Pic } else { self }
    }

    /// The word for it in a stored request.
    pub fn word(self) -> &'static str {
        self.names().queue[0]
    }

    /// The service of this word.
    pub fn of_word(word: &str) -> Option<Kind> {
        KINDS.iter().find(|names| names.queue[0] == word).map(|names| names.kind)
    }

    /// What its queue is called as long as nobody calls it otherwise.
    pub fn queue_name(self) -> &'static str {
        self.names().queue[1]
    }

    /// Its queue's category.
    pub fn category(self) -> &'static str {
        self.names().words[0]
    }

    /// What a bucket that has it is called.
    pub fn bucket(self) -> &'static str {
        self.names().words[2]
    }

    /// What callbacks call its queue.
    pub fn queue_type(self) -> &'static str {
        self.names().words[1]
    }
}

/// A job's id: the letter of its service, and the digits that it has with us.
pub fn job_id(kind: Kind, job: JobId) -> String {
    format!("{}{}", kind.names().letter, job.hex())
}

/// The job that an id names. Any letter will do: one job has one identity.
pub fn read_job_id(text: &str) -> Option<JobId> {
    let (letter, digits) = text.split_at_checked(1)?;
    let letter = letter.bytes().all(|b| b.is_ascii_lowercase());
    letter.then(|| format!("job-{digits}").parse().ok()).flatten()
}

/// A queue's id: `p` and 32 digits that follow from its project and name.
pub fn queue_id(key: &QueueKey) -> String {
    let hash =
        shared::auth::signing::sha256_hex(format!("{}#{}", key.project, key.name).as_bytes());
    format!("p{}", &hash[..32])
}

/// The state of a job, in the queue that it waits in.
pub fn job_state(phase: Phase, queue: Option<&Queue>) -> &'static str {
    match phase {
        Phase::Queued if queue.is_none_or(|queue| queue.paused) => "Pause",
        Phase::Queued => "Submitted",
        Phase::Running | Phase::Stopping { .. } => "Running",
        Phase::Finished { ending, .. } => ending_state(ending),
    }
}

/// The state of a job that has ended.
pub fn ending_state(ending: Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "Success",
        Ending::Failed | Ending::PartlyFailed | Ending::TimedOut => "Failed",
        Ending::Cancelled => "Cancel",
    }
}

/// Our states that a state of theirs may be.
pub fn our_states(state: &str) -> Option<&'static [&'static str]> {
    match state {
        "Submitted" | "Pause" => Some(&["queued"]),
        "Running" => Some(&["running", "stopping"]),
        "Success" => Some(&["succeeded"]),
        "Failed" => Some(&["failed", "partly_failed", "timed_out"]),
        "Cancel" => Some(&["cancelled"]),
        _ => None,
    }
}

/// The state of a queue.
pub fn queue_state(paused: bool) -> &'static str {
    if paused { "Paused" } else { "Active" }
}

/// Whether a queue in this state is paused.
pub fn is_paused(state: &str) -> Option<bool> {
    match state {
        "Paused" => Some(true),
        "Active" => Some(false),
        _ => None,
    }
}

/// The code of a job that failed for this.
pub fn failure(cause: Cause) -> &'static str {
    match cause {
        Cause::Exited => "ProcessFailed",
        Cause::Signalled => "ProcessKilled",
        Cause::OutOfMemory => "OutOfMemory",
        Cause::TimedOut => "ProcessTimeout",
        Cause::Cancelled | Cause::InstanceStopped => "Cancelled",
        Cause::DeadlinePassed => "JobTimeout",
        Cause::FailedFast => "OtherTaskFailed",
        Cause::StartFailed => "StartFailed",
        Cause::ImageNotFound => "ImageNotFound",
        Cause::ImageDenied => "ImageAccessDenied",
        Cause::ImageUnusable => "ImageUnusable",
        Cause::ImageUnavailable => "ImageUnavailable",
        Cause::NoCapacity => "NoCapacity",
        Cause::TooLarge => "ResourcesExceeded",
        Cause::StartTimedOut => "StartTimeout",
        Cause::WaitTimedOut => "QueueTimeout",
        Cause::AgentLost => "ContainerLost",
        Cause::Interrupted => "Interrupted",
        Cause::OutputFailed => "OutputFailed",
        Cause::InputFailed => "InputFailed",
        Cause::DependencyFailed => "DependencyFailed",
    }
}

const TIME: &str = "%Y-%m-%dT%H:%M:%S%z";

/// A time, as it is in China.
pub fn time(at: Timestamp) -> String {
    let zone = TimeZone::fixed(Offset::constant(8));
    at.to_zoned_datetime(zone).strftime(TIME).to_string()
}

/// A time, in any zone.
pub fn read_time(name: &str, text: &str) -> Result<Timestamp, Fault> {
    Timestamp::strptime(TIME, text)
        .map_err(|_| Fault::argument(name, "it is a time such as 2022-07-18T15:16:43+0800"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_in_china_and_read_in_any_zone() {
        let at: Timestamp = "2022-07-18T07:16:43Z".parse().unwrap();
        assert_eq!(time(at), "2022-07-18T15:16:43+0800");
        for text in ["2022-07-18T15:16:43+0800", "2022-07-18T07:16:43+0000"] {
            assert_eq!(read_time("a", text).unwrap(), at);
        }
        for text in ["", "2022-07-18", "2022-07-18T15:16:43", "yesterday"] {
            assert!(read_time("a", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_has_the_same_digits_as_with_us() {
        let job = JobId::from_bits(0x0190_b8a0);
        let id = job_id(Kind::Pic, job);
        assert_eq!((id.len(), &id[..1]), (33, "c"));
        assert_eq!(&id[1..], job.hex());
        for text in [id.clone(), job_id(Kind::Media, job), format!("z{}", job.hex())] {
            assert_eq!(read_job_id(&text), Some(job));
        }
        for text in ["", "c", "cabsent", &job.to_string(), &id.to_uppercase(), "ä", &id[..32]] {
            assert_eq!(read_job_id(text), None, "{text}");
        }
    }

    #[test]
    fn every_service_has_words_of_its_own() {
        for names in &KINDS {
            let [jobs, queues, service] = names.paths;
            assert_eq!(subject(jobs), Some(Subject::Jobs(names.kind)));
            assert_eq!(subject(queues), Some(Subject::Queues(names.kind)));
            assert_eq!(subject(service), Some(Subject::Service(names.kind)));
            assert_eq!(Kind::of_word(names.kind.word()), Some(names.kind));
        }
        assert_eq!(subject("template"), Some(Subject::Templates));
        assert_eq!(subject("workflow"), None);
        assert_eq!(Kind::Media.of_tag("PicProcess"), Kind::Pic);
        assert_eq!(Kind::File.of_tag("FileHashCode"), Kind::File);
    }

    #[test]
    fn every_ending_is_found_under_its_state() {
        for (ending, ours) in [
            (Ending::Succeeded, "succeeded"),
            (Ending::Failed, "failed"),
            (Ending::PartlyFailed, "partly_failed"),
            (Ending::TimedOut, "timed_out"),
            (Ending::Cancelled, "cancelled"),
        ] {
            assert!(our_states(ending_state(ending)).unwrap().contains(&ours), "{ours}");
        }
    }
}
