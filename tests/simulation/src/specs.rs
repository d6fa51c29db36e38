//! Jobs of all sorts, as JSON that the submit action takes.

use serde_json::{Value, json};

/// A job: a graph of tasks, some wide, some of images that are not to be had.
pub fn job(dice: &mut fastrand::Rng, name: &str, queue: &str) -> Value {
    let count = match dice.u32(0..4) {
        0 | 1 => 1,
        2 => 2,
        _ => dice.usize(2..6),
    };
    let tasks: Vec<Value> = (0..count).map(|place| task(dice, place, count)).collect();
    let mut job = json!({
        "name": name,
        "queue": queue,
        "priority": dice.i32(-1..=1),
        "fail_fast": dice.u32(0..5) == 0,
        "retain_days": 1,
        "tasks": tasks,
    });
    if dice.u32(0..8) == 0 {
        job["deadline_seconds"] = json!(dice.u32(1..600));
    }
    job
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
        "instances": if dice.u32(0..3) == 0 { dice.u32(2..6) } else { 1 },
        "retry": {
            "max_attempts": dice.u32(1..4),
            "delay_seconds": if dice.bool() { 0 } else { dice.u32(1..30) },
            "exit_codes": if dice.u32(0..4) == 0 { vec![1] } else { Vec::new() },
        },
        "timeout_seconds": dice.u32(5..300),
        "grace_seconds": dice.u32(0..20),
        "starting_seconds": dice.u32(60..900),
        "waiting_seconds": if dice.u32(0..10) == 0 { dice.u32(1..300) } else { 86_400 },
    });
    // Ways forward and back alike: the list's order is not the graph's.
    let place_of = |n: usize| if count.is_multiple_of(2) { count - 1 - n } else { n };
    let mine = place_of(place);
    let mut after = Vec::new();
    for other in (0..count).filter(|other| place_of(*other) < mine) {
        if dice.u32(0..3) > 0 {
            let when = ["succeeded", "succeeded", "partly", "failed", "finished"];
            let when = when[dice.usize(0..when.len())];
            after.push(json!({"task": format!("t{other}"), "when": when}));
        }
    }
    task["after"] = Value::Array(after);
    if dice.u32(0..4) == 0 {
        task["max_concurrent"] = json!(dice.u32(1..4));
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
