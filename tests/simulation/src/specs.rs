//! Jobs of all sorts, as JSON that the submit action takes.

use serde_json::{Value, json};

/// What of the more costly sort there is in a world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Means {
    /// Tasks so wide that their parts are kept beside the job.
    pub wide: bool,
    /// Receivers of callbacks that are away for days.
    pub days: bool,
}

impl Means {
    /// Few worlds have them.
    pub fn drawn(dice: &mut fastrand::Rng) -> Self {
        Means { wide: dice.u32(0..12) == 0, days: dice.u32(0..12) == 0 }
    }

    /// For how long jobs are kept: until all has been looked at.
    fn retain_days(self) -> u32 {
        if self.days { 6 } else { 1 }
    }
}

/// Whose job it is to be, in which queue.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Where it waits.
    pub queue: &'a str,
    /// Who submits it.
    pub client: &'a str,
    /// What there is in the world.
    pub means: Means,
}

impl Whose<'_> {
    fn job(self, rest: Value) -> Value {
        let Whose { name, queue, client, means } = self;
        let mut job = json!({
            "name": name, "queue": queue, "retain_days": means.retain_days(),
            "tags": {"of": client},
        });
        if let (Some(job), Value::Object(rest)) = (job.as_object_mut(), rest) {
            job.extend(rest);
        }
        job
    }
}

/// A job: a graph of tasks, some wide, some of images that are not to be had.
pub fn job(dice: &mut fastrand::Rng, whose: Whose<'_>) -> Value {
    let count = match dice.u32(0..4) {
        0 | 1 => 1,
        2 => 2,
        _ => dice.usize(2..6),
    };
    let tasks: Vec<Value> = (0..count).map(|place| task(dice, place, count)).collect();
    let mut job = whose.job(json!({
        "priority": dice.i32(-1..=1),
        "fail_fast": dice.u32(0..5) == 0,
        "tasks": tasks,
    }));
    if dice.u32(0..8) == 0 {
        job["deadline_seconds"] = json!(dice.u32(1..600));
    }
    match dice.u32(0..6) {
        0 => job["callback"] = json!("no"),
        1..4 => job["callback"] = callback(dice, whose.means),
        _ => {}
    }
    job
}

/// Who is told, and of what.
pub fn callback(dice: &mut fastrand::Rng, means: Means) -> Value {
    let events = if dice.bool() { json!(["finished"]) } else { json!(["started", "finished"]) };
    let path = match dice.u32(0..8) {
        0 => "gone",
        1 if means.days => "down",
        2 => return json!({"message_queue": "told", "events": events}),
        _ => "hook",
    };
    json!({"url": format!("https://receiver.example/{path}"), "events": events})
}

/// A job of little more than an image, of which there are many the same.
pub fn plain(dice: &mut fastrand::Rng, whose: Whose<'_>) -> Value {
    whose.job(json!({
        "cache": true, "image": "image-0", "timeout_seconds": dice.u32(20..300),
        "resources": {"cpu": 0.25, "memory_mib": 64},
        "retry": {"max_attempts": dice.u32(1..3)},
        "waiting_seconds": waiting_seconds(dice),
    }))
}

/// A job of one wide task, whose parts are kept beside it. Of most only some of
/// the instances ever run.
pub fn wide(dice: &mut fastrand::Rng, whose: Whose<'_>) -> Value {
    let instances = if dice.u32(0..4) == 0 { dice.u32(257..270) } else { dice.u32(129..135) };
    let mut job = whose.job(json!({
        "image": "image-0", "resources": {"cpu": 0.25, "memory_mib": 64},
        "instances": instances, "cache": dice.u32(0..4) == 0,
        "max_concurrent": if dice.u32(0..4) == 0 { None } else { Some(dice.u32(1..6)) },
        "fail_fast": dice.u32(0..5) == 0, "callback": callback(dice, whose.means),
        "env": {"BRIEF": "1"}, "timeout_seconds": 60,
        "waiting_seconds": if dice.u32(0..4) == 0 { 120 } else { 86_400 },
    }));
    if instances > 200 || dice.u32(0..6) > 0 {
        job["deadline_seconds"] = json!(dice.u32(60..240));
    }
    job
}

fn waiting_seconds(dice: &mut fastrand::Rng) -> u32 {
    if dice.u32(0..10) == 0 { dice.u32(1..300) } else { 86_400 }
}

fn instances(dice: &mut fastrand::Rng) -> u32 {
    match dice.u32(0..48) {
        0 => dice.u32(12..30),
        1..16 => dice.u32(2..6),
        _ => 1,
    }
}

fn task(dice: &mut fastrand::Rng, place: usize, count: usize) -> Value {
    let image = match dice.u32(0..40) {
        0 => "missing/a".to_owned(),
        1 => "away/a".to_owned(),
        2 => "unusable/a".to_owned(),
        n => format!("image-{}", n % 3),
    };
    let mut task = json!({
        "name": format!("t{place}"),
        "image": image,
        "outputs": ["/out"],
        "resources": {"cpu": 0.25 * f64::from(dice.u32(1..5)), "memory_mib": 64},
        "instances": instances(dice),
        "retry": {
            "max_attempts": dice.u32(1..4),
            "delay_seconds": if dice.bool() { 0 } else { dice.u32(1..30) },
            "exit_codes": if dice.u32(0..4) == 0 { vec![1] } else { Vec::new() },
        },
        "timeout_seconds": dice.u32(5..300),
        "grace_seconds": dice.u32(0..20),
        "starting_seconds": dice.u32(60..900),
        "waiting_seconds": waiting_seconds(dice),
        "after": after(dice, place, count),
    });
    if dice.u32(0..4) == 0 {
        task["max_concurrent"] = json!(dice.u32(1..4));
    }
    if dice.u32(0..6) == 0 {
        task["cache"] = json!(true);
    }
    match dice.u32(0..12) {
        // Beside the record.
        0 => task["env"] = json!({"LARGE": "x".repeat(3_000)}),
        // An object.
        1 => task["stdin"] = json!({"inline": "y".repeat(9_000)}),
        _ => {}
    }
    task
}

/// Ways forward and back alike: the list's order is not the graph's.
fn after(dice: &mut fastrand::Rng, place: usize, count: usize) -> Value {
    let place_of = |n: usize| if count.is_multiple_of(2) { count - 1 - n } else { n };
    let mut after = Vec::new();
    for other in (0..count).filter(|other| place_of(*other) < place_of(place)) {
        if dice.u32(0..3) > 0 {
            let when = ["succeeded", "succeeded", "partly", "failed", "finished"];
            let when = when[dice.usize(0..when.len())];
            after.push(json!({"task": format!("t{other}"), "when": when}));
        }
    }
    Value::Array(after)
}
