//! `tarpon show`: all that is known of a job.

use std::fmt::Write;

use jiff::Timestamp;

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    session::Session,
    table::{ago, between, bytes, clean, short, span},
    verdict,
    views::{Attempt, Attempts, Counts, Job, MadeBy, Task, words},
    watch,
};

/// How many attempts are shown with a job. There is a command for all.
const MOST_ATTEMPTS: usize = 10;

/// Show all that is known of a job
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon show job-0198c5…
  tarpon show --json job-0198c5… | jq .usage")]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    pub job: String,

    #[command(flatten)]
    pub common: Common,
}

/// Shows it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let job = watch::get(session, &args.job, 0).await?;
    if session.json {
        return session.screen.json(&job.json);
    }
    let of_job = session.client.get(&["v1", "jobs", &args.job, "attempts"])?;
    let of_job = of_job.query(&[("limit", MOST_ATTEMPTS)]);
    let attempts: Attempts = session.client.json(of_job, Repeat::Safe).await?.value;
    session.screen.print(render(&job.value, &attempts, session.now).as_bytes())
}

fn render(job: &Job, tried: &Attempts, now: Timestamp) -> String {
    let mut text = format!("{}  {}\n", clean(&job.id), job.standing());
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        }
    };
    if job.is_over() && job.state != "succeeded" {
        line("reason", verdict::reason(job).unwrap_or_default());
        let retryable = job.retryable.map(|yes| if yes { "yes" } else { "no: it would end alike" });
        line("retryable", retryable.unwrap_or_default().to_owned());
    }
    line("name", clean(job.name.as_deref().unwrap_or_default()));
    line("queue", format!("{}, priority {}", clean(&job.queue), job.priority));
    if job.run > 1 {
        line("run", job.run.to_string());
    }
    let tags: Vec<String> = job.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    line("tags", clean(&tags.join("  ")));
    line("made by", job.made_by.as_ref().map(MadeBy::words).unwrap_or_default());
    let moment =
        |at: Timestamp| format!("{} ({})", at.strftime("%Y-%m-%d %H:%M:%SZ"), ago(at, now));
    line("created", job.created_at.map(moment).unwrap_or_default());
    line("started", job.started_at.map(moment).unwrap_or_default());
    line("ended", job.ended_at.map(moment).unwrap_or_default());
    let until = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    line("deadline", job.deadline_at.map(until).unwrap_or_default());
    line("kept until", job.expires_at.map(until).unwrap_or_default());
    if let Some(from) = job.started_at {
        line("duration", between(from, job.ended_at.unwrap_or(now)));
    }
    if let Some(code) = job.exit_code {
        line("exit code", code.to_string());
    }
    line("result of", job.cached_from.as_deref().map(clean).unwrap_or_default());
    if let Some(usage) = &job.usage {
        let ran = format!("{} wall, {} CPU", span(usage.wall_ms), span(usage.cpu_ms));
        let memory = bytes(usage.peak_memory_bytes);
        line("used", format!("{ran}, {memory} memory at most"));
        let (input, output) = (bytes(usage.input_bytes), bytes(usage.output_bytes));
        line("moved", format!("{input} in, {output} out"));
        line("cost", usage.usd_on_fargate.map(cost).unwrap_or_default());
    }
    for task in &job.tasks {
        line("task", task_line(task));
        line("", task.image_digest.as_deref().map(clean).unwrap_or_default());
    }
    for attempt in &tried.attempts {
        line("attempt", attempt_line(attempt, now));
    }
    if tried.next.is_some() {
        line("", format!("and more: tarpon attempts {}", clean(&job.id)));
    }
    text
}

fn attempt_line(attempt: &Attempt, now: Timestamp) -> String {
    let Attempt { run, task, instance, number, .. } = attempt;
    let run = if *run > 1 { format!("run {run}, ") } else { String::new() };
    let mut text =
        format!("{run}{}/{instance} no. {number}  {}", clean(task), words(&attempt.state));
    let why = attempt.why();
    if !why.is_empty() {
        let _ = write!(text, ": {}", short(&why, 60));
    }
    if let (Some(from), Some(took)) = (attempt.started_at, attempt.took(now)) {
        let _ = write!(text, "  {}, {took}", from.strftime("%Y-%m-%d %H:%M:%SZ"));
    }
    text
}

/// An estimate, to two digits that count.
fn cost(usd: f64) -> String {
    let digits = match usd {
        _ if usd >= 0.1 || usd == 0.0 => 2,
        _ if usd >= 0.01 => 3,
        _ if usd >= 0.001 => 4,
        _ => 6,
    };
    format!("about ${usd:.digits$} on Fargate")
}

fn task_line(task: &Task) -> String {
    let mut text = format!("{}  {}", clean(&task.name), words(&task.state));
    if task.instances.total() > 1 {
        let _ = write!(text, " ({})", counts(task.instances));
    }
    let _ = write!(text, "  {}", clean(&task.image));
    text
}

/// How many instances stand where, without those that are none.
pub fn counts(counts: Counts) -> String {
    let named = [
        (counts.waiting, "waiting"),
        (counts.running, "running"),
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.stopped, "stopped"),
    ];
    let parts: Vec<String> = named
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_shown_with_what_is_known_of_it() {
        let job: Job = serde_json::from_str(
            r#"{"id":"job-1","name":"n","queue":"default","priority":3,"state":"failed","run":2,
                "exit_code":3,"cause":"exited","retryable":true,"tags":{"a":"b"},
                "made_by":{"trigger":"t","template":"x"},
                "created_at":"2026-01-01T00:00:00Z","started_at":"2026-01-01T00:00:01Z",
                "ended_at":"2026-01-01T00:00:03Z",
                "tasks":[{"name":"main","state":"failed","image":"hello","image_digest":"sha256:1",
                    "instances":{"failed":1}}],
                "usage":{"wall_ms":1500,"cpu_ms":200,"peak_memory_bytes":1048576,
                    "input_bytes":5,"output_bytes":2048,"usd_on_fargate":0.000206}}"#,
        )
        .unwrap();
        let attempts: Attempts = serde_json::from_str(
            r#"{"attempts":[
                {"run":1,"task":"main","instance":0,"number":1,"state":"failed","cause":"agent_lost",
                    "message":"it is gone"},
                {"run":2,"task":"main","instance":0,"number":1,"state":"failed","cause":"exited",
                    "exit_code":3,"started_at":"2026-01-01T00:00:01Z",
                    "ended_at":"2026-01-01T00:00:03Z"},
                {"run":2,"task":"main","instance":1,"number":1,"state":"running",
                    "started_at":"2026-01-01T00:00:03Z"}],
                "next":"c"}"#,
        )
        .unwrap();
        let now = "2026-01-01T00:01:03Z".parse().unwrap();
        assert_eq!(
            render(&job, &attempts, now),
            "job-1  failed\n  \
             reason     exit code 3\n  \
             retryable  yes\n  \
             name       n\n  \
             queue      default, priority 3\n  \
             run        2\n  \
             tags       a=b\n  \
             made by    trigger t, template x\n  \
             created    2026-01-01 00:00:00Z (1m ago)\n  \
             started    2026-01-01 00:00:01Z (1m ago)\n  \
             ended      2026-01-01 00:00:03Z (1m ago)\n  \
             duration   2.0s\n  \
             exit code  3\n  \
             used       1.5s wall, 0.2s CPU, 1.0 MiB memory at most\n  \
             moved      5 B in, 2.0 KiB out\n  \
             cost       about $0.000206 on Fargate\n  \
             task       main  failed  hello\n  \
             \x20          sha256:1\n  \
             attempt    main/0 no. 1  failed: agent lost: it is gone\n  \
             attempt    run 2, main/0 no. 1  failed: exit code 3  2026-01-01 00:00:01Z, 2.0s\n  \
             attempt    run 2, main/1 no. 1  running  2026-01-01 00:00:03Z, 1m00s\n  \
             \x20          and more: tarpon attempts job-1\n"
        );
    }

    #[test]
    fn a_waiting_job_says_why() {
        let job: Job = serde_json::from_str(
            r#"{"id":"job-1","queue":"q","state":"queued",
                "waiting_for":{"reason":"queue_limit","position":"3"}}"#,
        )
        .unwrap();
        let text = render(&job, &Attempts::default(), Timestamp::UNIX_EPOCH);
        assert!(text.starts_with("job-1  queued: the queue is full, 3 before it\n"), "{text}");
    }
}
