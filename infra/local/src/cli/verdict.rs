//! How a job's end is told, and which exit code stands for it.

use super::{
    table::{between, clean},
    views::{Job, words},
};

/// Waiting took longer than it was given, or the job ran out of time.
pub const TIMED_OUT: u8 = 124;
/// Something of ours failed: the server, the connection, a file here.
pub const OWN_FAILURE: u8 = 125;
/// Ctrl-C, or a job that was cancelled before it ran.
pub const INTERRUPTED: u8 = 130;

/// The table, as `--help` shows it.
pub const EXIT_CODES: &str = "\
Exit code:
  0        the job succeeded
  1..=255  the exit code of the job's process; 128+N if signal N ended it
  1        the job failed without a process having failed: no such image, an
           output that could not be kept; or one of several containers failed
  124      the job ran out of time before its process ended by itself
  125      tarpon itself failed: no server, a refused request, a file here
  130      interrupted, or the job was cancelled before its process ran
  2        the command line is not understood";

/// The exit code that stands for a job that has ended.
pub fn exit_code(job: &Job) -> u8 {
    if job.state == "succeeded" {
        return 0;
    }
    match job.exit_code.map(u8::try_from) {
        // It ended well and yet the job did not succeed: an output is missing,
        // or it was cancelled too late for its process.
        Some(Ok(0)) | None => {}
        Some(Ok(code)) => return code,
        Some(Err(_)) => return 1,
    }
    match job.state.as_str() {
        "cancelled" => INTERRUPTED,
        "timed_out" => TIMED_OUT,
        _ => 1,
    }
}

/// What became of a job, in a line.
pub fn sentence(job: &Job) -> String {
    let mut text = format!("{} {}", job.id, words(&job.state));
    if let (Some(from), Some(to)) = (job.started_at, job.ended_at) {
        text.push_str(" after ");
        text.push_str(&between(from, to));
    }
    if job.state == "succeeded" {
        return text;
    }
    if let Some(why) = reason(job) {
        text.push_str(": ");
        text.push_str(&why);
    }
    text
}

/// Why a job did not succeed.
pub fn reason(job: &Job) -> Option<String> {
    let mut parts = Vec::new();
    match (job.cause.as_deref(), job.exit_code) {
        (Some("exited") | None, Some(code)) => parts.push(format!("exit code {code}")),
        (Some("signalled"), Some(code)) if code > 128 => {
            parts.push(format!("ended by signal {}", code - 128));
        }
        // Said already by the state itself.
        (Some(cause), _) if cause == job.state => {}
        (Some(cause), _) => parts.push(words(cause)),
        (None, None) => {}
    }
    if !job.is_alone() {
        for task in job.tasks.iter().filter(|task| !task.causes.is_empty()) {
            let causes: Vec<String> = task
                .causes
                .iter()
                .map(|(cause, count)| format!("{count} {}", words(cause)))
                .collect();
            parts.push(format!("{}: {}", clean(&task.name), causes.join(", ")));
        }
    }
    if let Some(message) = &job.message {
        parts.push(clean(message));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: &str) -> Job {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_exit_code_stands_for_each_ending() {
        for (json, code) in [
            (r#"{"state":"succeeded","exit_code":0}"#, 0),
            (r#"{"state":"succeeded"}"#, 0),
            (r#"{"state":"failed","exit_code":3,"cause":"exited"}"#, 3),
            (r#"{"state":"failed","exit_code":137,"cause":"out_of_memory"}"#, 137),
            (r#"{"state":"failed","exit_code":0,"cause":"output_failed"}"#, 1),
            (r#"{"state":"failed","cause":"image_not_found"}"#, 1),
            (r#"{"state":"failed","exit_code":-1}"#, 1),
            (r#"{"state":"failed","exit_code":256}"#, 1),
            (r#"{"state":"partly_failed"}"#, 1),
            (r#"{"state":"cancelled","exit_code":143}"#, 143),
            (r#"{"state":"cancelled"}"#, 130),
            (r#"{"state":"timed_out"}"#, 124),
        ] {
            assert_eq!(exit_code(&job(json)), code, "{json}");
        }
    }

    #[test]
    fn an_ending_is_told_with_its_reason() {
        for (json, text) in [
            (r#"{"id":"j","state":"succeeded","exit_code":0}"#, "j succeeded"),
            (
                r#"{"id":"j","state":"failed","exit_code":3,"cause":"exited"}"#,
                "j failed: exit code 3",
            ),
            (
                r#"{"id":"j","state":"failed","exit_code":139,"cause":"signalled","tasks":[{}]}"#,
                "j failed: ended by signal 11",
            ),
            (
                r#"{"id":"j","state":"cancelled","exit_code":143,"cause":"cancelled"}"#,
                "j cancelled",
            ),
            (
                r#"{"id":"j","state":"failed","cause":"image_not_found","message":"no a\u001bb",
                    "tasks":[{}]}"#,
                "j failed: image not found; no a\u{fffd}b",
            ),
            (
                r#"{"id":"j","state":"failed","tasks":[{"name":"a","causes":{"exited":2}},{}]}"#,
                "j failed: a: 2 exited",
            ),
            (
                r#"{"id":"j","state":"succeeded","started_at":"2026-01-01T00:00:00Z",
                    "ended_at":"2026-01-01T00:01:05Z"}"#,
                "j succeeded after 1m05s",
            ),
        ] {
            assert_eq!(sentence(&job(json)), text);
        }
    }
}
