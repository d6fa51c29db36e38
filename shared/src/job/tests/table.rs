//! Every state of a job of one task against everything that can happen to it.
//!
//! `life_of_a_job.md` beside this file is what comes out, compared exactly.
//! After a wanted change, `UPDATE_LIFE=1 cargo test -p shared life_of_a_job`
//! writes it anew.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use crate::job::{tests::walk::*, *};

const FILE: &str = "src/job/tests/life_of_a_job.md";

const HEAD: &str = "\
# The life of a job, as a table

Written by the test `the_life_of_a_job_is_as_it_is_written`; compared exactly.

A job of one task of one instance: two attempts at the user's cost, a pause of a minute between
them, a callback wanted. What is live is its second attempt, after the system failed the first; of
a second run, its first.
";

const CELLS: &str = "
**Cells.** The state that follows · `=`, the job stays as it is · `✗`, refused. Every event was
also sent twice: the second time changed nothing. What changes nothing in any state of a table is
listed below it.
";

/// Every state, in groups that fit a page side by side.
fn states() -> [(&'static str, Vec<Walk>); 6] {
    let callback = Some(told_at("https://example.com/hook"));
    let of = |task: TaskSpec| job([task]).with(|job| job.callback.clone_from(&callback));
    let spec = of(task("a").with(|task| {
        task.retry = RetryRules { max_attempts: 2, delay_seconds: 60, ..RetryRules::default() };
    }));
    let queued = Walk::new(&spec);
    let paused = walk(&queued, |w| w.start(0, 0).end(0, 0, lost()));
    let again = walk(&paused, |w| w.pass(5));
    let claimed = walk(&again, |w| w.claim(0, 0));
    let starting = walk(&again, |w| w.launch(0, 0));
    let running = walk(&again, |w| w.start(0, 0));
    let collecting = walk(&again, |w| w.collect(0, 0, 0));
    let late = |from: &Walk| walk(from, Walk::overdue);
    let stop = |from: &Walk| walk(from, Walk::cancel);
    let interrupted = AttemptEvent::Collecting { exit: Exit::Signal(15) };
    let failed = walk(&again, |w| w.run(0, 0, 1).pass(60).run(0, 0, 1));
    let partly = walk(&Walk::new(&of(array("a", 2))), |w| w.run(0, 1, 0).run(0, 0, 1));
    let limited = of(task("a")).with(|job| job.deadline_seconds = Some(60));
    let told = walk(&failed, |w| w.take(&Event::Told(CallbackKey::finished(1))));
    let first = CallbackKey::finished(1);
    let begun = Event::TellBegun { callback: first, within_seconds: 20 };
    let given_up = Event::TellFailed { callback: first, number: 1, again_seconds: None };
    let rerun = walk(&told, |w| w.wait(60).retry(false));
    [
        ("Waiting", vec![Walk::unresolved(&spec), queued.clone(), paused, again]),
        ("Live", vec![claimed.clone(), starting.clone(), running.clone(), collecting.clone()]),
        (
            "Overdue: told to stop by a deadline",
            vec![late(&claimed), late(&starting), late(&running), late(&collecting)],
        ),
        (
            "Cancelled, and not over",
            vec![
                stop(&claimed),
                stop(&starting),
                stop(&running),
                walk(&stop(&running), |w| w.send(0, 0, interrupted.clone())),
                stop(&collecting),
            ],
        ),
        (
            "Over",
            vec![
                walk(&running, |w| w.end(0, 0, exit(0))),
                failed.clone(),
                partly,
                stop(&queued),
                walk(&Walk::new(&limited), |w| w.pass(60)),
            ],
        ),
        (
            "Told, removed, run again",
            vec![
                told,
                walk(&failed, |w| w.take(&begun)),
                walk(&failed, |w| w.take(&begun).take(&given_up)),
                walk(&failed, |w| w.take(&Event::TellSpared(first))),
                walk(&failed, |w| w.take(&Event::DeleteAsked)),
                rerun.clone(),
                walk(&rerun, |w| w.start(0, 0)),
                walk(&failed, |w| w.retry(false)),
            ],
        ),
    ]
}

/// Where `go` leads from `from`.
fn walk(from: &Walk, go: impl Fn(&mut Walk) -> &mut Walk) -> Walk {
    let mut walk = from.clone();
    go(&mut walk);
    walk
}

impl Walk {
    /// Goes to the next deadline, and lets it take effect.
    fn overdue(&mut self) -> &mut Self {
        let due = self.due(Duty::Tick).unwrap_or(0);
        self.pass(due)
    }
}

/// What becomes of a job by an event.
fn cell(walk: &Walk, event: &Event) -> String {
    match walk.job.after(event, walk.now) {
        Err(why) => format!("✗ {}", refusal(why)),
        Ok(next) if next == walk.job => "=".to_owned(),
        Ok(next) => {
            if !matches!(event, Event::RetryAsked { .. }) {
                assert_eq!(next.after(event, walk.now).as_ref(), Ok(&next), "{event:?} twice");
            }
            word(&next)
        }
    }
}

/// The one event that happens later: when the next deadline is due.
const WHEN_DUE: &str = "ticked, when due";

/// All that can happen, as a walk at `walk` would meet it.
fn events(walk: &Walk) -> Vec<(&'static str, Event)> {
    let id = walk.attempt(0, 0, 0);
    let (next, old) = (walk.attempt(0, 0, 1), AttemptId { run: id.run, number: 0, ..id });
    let old = if id.number > 1 { AttemptId { number: id.number - 1, ..id } } else { old };
    let of = Event::Attempt;
    let ended = AttemptEvent::Ended;
    let launched = AttemptEvent::Launched { handle: None };
    let collecting = AttemptEvent::Collecting { exit: Exit::Code(0) };
    let cancelled = Ended::without_exit(Cause::Cancelled);
    let refused = Cause::ImageNotFound;
    let silent = Cause::ImageUnavailable;
    let callback = CallbackKey::finished(walk.job.run);
    let begun = 1;
    let tries = Tries { at: walk.now, begun, round: 1, under_way: false };
    let ending = Some(Ending::Failed);
    let telling = Telling { key: callback, ending, happened_at: walk.now, tries };
    vec![
        ("image resolved", Event::ImageResolved { image: 0, resolved: resolved() }),
        ("image not found", Event::ImageFailed { image: 0, cause: refused }),
        ("registry silent", Event::ImageFailed { image: 0, cause: silent }),
        ("next claimed", of(next, AttemptEvent::Claimed)),
        ("claimed", of(id, AttemptEvent::Claimed)),
        ("launched", of(id, launched.clone())),
        ("plan read", of(id, AttemptEvent::PlanRead)),
        ("collecting", of(id, collecting.clone())),
        ("ended: exit 0", of(id, ended(exit(0)))),
        ("ended: exit 1", of(id, ended(exit(1)))),
        ("ended: image denied", of(id, ended(Ended::without_exit(Cause::ImageDenied)))),
        ("ended: interrupted", of(id, ended(interrupted()))),
        ("ended: lost", of(id, ended(lost()))),
        ("ended: \"cancelled\"", of(id, ended(cancelled))),
        ("old: claimed", of(old, AttemptEvent::Claimed)),
        ("old: launched", of(old, launched)),
        ("old: plan read", of(old, AttemptEvent::PlanRead)),
        ("old: collecting", of(old, collecting)),
        ("old: ended", of(old, ended(exit(0)))),
        ("cancel asked", Event::CancelAsked),
        ("stop of it asked", Event::StopAsked { task: 0, instance: 0 }),
        ("withdraw asked", Event::WithdrawAsked),
        ("ticked", Event::Ticked),
        (WHEN_DUE, Event::Ticked),
        ("tell begun", Event::TellBegun { callback, within_seconds: 20 }),
        ("told", Event::Told(callback)),
        ("told of 1st run", Event::Told(CallbackKey::finished(1))),
        ("tell failed", Event::TellFailed { callback, number: 1, again_seconds: Some(300) }),
        ("tell given up", Event::TellFailed { callback, number: 1, again_seconds: None }),
        ("tell spared", Event::TellSpared(callback)),
        ("tell asked", Event::TellAsked(telling)),
        ("retry asked", Event::RetryAsked { all: false }),
        ("retry of all asked", Event::RetryAsked { all: true }),
        ("delete asked", Event::DeleteAsked),
    ]
}

fn refusal(why: Refused) -> &'static str {
    match why {
        Refused::Superseded => "superseded",
        Refused::Stopping => "stopping",
        Refused::NotWaiting => "not waiting",
        Refused::NoSuchInstance => "no such instance",
        Refused::Started => "started",
        Refused::NotFinished => "not finished",
        Refused::Deleted => "deleted",
        Refused::NothingToRetry => "nothing to retry",
        Refused::TooManyUntold => "too many untold",
    }
}

/// A job in as few words as tell it from every other of the table.
fn word(job: &Job) -> String {
    if job.deleted_at.is_some() {
        return "deleting".to_owned();
    }
    if let Some((ending, _)) = job.ending() {
        let ending = match ending {
            Ending::Succeeded => "succeeded",
            Ending::Failed => "failed",
            Ending::PartlyFailed => "partly failed",
            Ending::Cancelled => "cancelled",
            Ending::TimedOut => "timed out",
        };
        return match job.callback {
            Callback::Told { .. } => format!("{ending}, told"),
            Callback::GivenUp { .. } => format!("{ending}, given up"),
            Callback::Needless => format!("{ending}, not told"),
            Callback::Owed(tries) if tries.under_way => format!("{ending}, being told"),
            Callback::Owed(tries) if tries.begun > 0 => format!("{ending}, to tell again"),
            Callback::Owed(_) | Callback::Wanted | Callback::Unwanted => ending.to_owned(),
        };
    }
    let run = match (job.run, job.untold.is_empty()) {
        (1, _) => "",
        (_, true) => ", 2nd run",
        (_, false) => ", 1st untold",
    };
    format!("{}{run}", unfinished(job))
}

fn unfinished(job: &Job) -> String {
    let instance = &job.tasks[0].instances()[0];
    let attempt = match &instance.state {
        InstanceState::Live(attempt) => attempt,
        InstanceState::Waiting { not_before: Some(_), .. } => return "paused".to_owned(),
        _ => {
            return match &job.images[0].state {
                ImageState::Resolved(_) if instance.attempts > 0 => "queued again",
                ImageState::Resolved(_) => "queued",
                ImageState::Wanted { faults: 0, .. } => "unresolved",
                ImageState::Wanted { .. } => "unresolved, asked again later",
                ImageState::Refused(_) => "refused",
            }
            .to_owned();
        }
    };
    let phase = match attempt.phase {
        AttemptPhase::Claimed => "claimed",
        AttemptPhase::Starting => "starting",
        AttemptPhase::Running => "running",
        AttemptPhase::Collecting => "collecting",
    };
    match (attempt.stop, job.halt()) {
        (Some(stop), _) if stop.why == Cause::Cancelled => format!("stopping {phase}"),
        (Some(stop), _) if stop.why == Cause::InstanceStopped => format!("called off {phase}"),
        (Some(_), None) => format!("late {phase}"),
        (Some(_), Some(_)) => format!("late {phase}, no more after"),
        (None, Some(_)) => "let finish".to_owned(),
        (None, None) => phase.to_owned(),
    }
}

/// What a job owes, and in how long.
fn owed(walk: &Walk) -> String {
    let said = |due: Due| {
        let seconds = due.at.duration_since(walk.now).as_secs();
        let when = match seconds {
            0 => "now".to_owned(),
            1..=7_199 => format!("in {seconds} s"),
            7_200..=172_799 => format!("in {} h", seconds / 3_600),
            172_800.. => format!("in {} d", seconds / 86_400),
            _ => format!("for {} s", -seconds),
        };
        match due.duty {
            Duty::Claim(_) => "claim".to_owned(),
            Duty::Recall(_) => format!("recall {when}"),
            Duty::Resolve(_) => format!("resolve {when}"),
            Duty::Launch(_) => format!("launch {when}"),
            Duty::Stop(_) => format!("stop {when}"),
            Duty::Look(_) => format!("look {when}"),
            Duty::Tick => format!("tick {when}"),
            Duty::Tell(CallbackKey { run, .. }) => format!("tell of run {run} {when}"),
            Duty::Purge => format!("purge {when}"),
            Duty::Spread { .. } | Duty::HaltChunk { .. } | Duty::Fold => "of a chunk".to_owned(),
        }
    };
    walk.job.owes().into_iter().map(said).collect::<Vec<_>>().join(", ")
}

/// A table whose columns are as wide as what is in them.
fn markdown(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    let rule = format!("|-{}-|\n", rule.join("-|-"));
    line(&rows[0]) + &rule + &rows[1..].iter().map(|row| line(row)).collect::<String>()
}

fn life() -> String {
    let states = states();
    let mut duties = vec![vec!["state".to_owned(), "owes".to_owned()]];
    for walk in states.iter().flat_map(|(_, group)| group) {
        duties.push(vec![word(&walk.job), owed(walk)]);
    }
    let names: BTreeSet<_> = duties.iter().map(|row| &row[0]).collect();
    assert_eq!(names.len(), duties.len(), "each state has a name of its own");
    let mut text = format!("{HEAD}\n## What each state owes\n\n{}{CELLS}", markdown(&duties));
    for (title, group) in &states {
        let (mut rows, mut idle) = (vec![vec!["event".to_owned()]], Vec::new());
        rows[0].extend(group.iter().map(|walk| word(&walk.job)));
        for (place, (name, _)) in events(&group[0]).into_iter().enumerate() {
            let cells: Vec<_> = group
                .iter()
                .map(|walk| match &events(walk)[place] {
                    (WHEN_DUE, _) => word(&self::walk(walk, Walk::overdue).job),
                    (_, event) => cell(walk, event),
                })
                .collect();
            if cells.iter().all(|cell| cell == "=") {
                idle.push(name);
            } else {
                rows.push([name.to_owned()].into_iter().chain(cells).collect());
            }
        }
        let (table, idle) = (markdown(&rows), idle.join(" · "));
        write!(text, "\n## {title}\n\n{table}\n`=` throughout: {idle}.\n").unwrap();
    }
    text
}

#[test]
fn the_life_of_a_job_is_as_it_is_written() {
    let life = life();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_LIFE").is_some() {
        std::fs::write(&file, &life).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    for (number, (now, then)) in (1..).zip(life.lines().zip(written.lines())) {
        assert_eq!(now, then, "line {number} of {FILE}");
    }
    assert_eq!(life, written);
}
