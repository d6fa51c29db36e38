//! Many seeds, and one again.
//!
//! `TARPON_SEED=7` replays a seed and prints what happened; `TARPON_SEEDS=10000`
//! says how many there are.

use std::{num::NonZero, thread};

use tests_simulation::{Sabotage, Seen, Told, Trace, run};

/// How many worlds there are if nobody says.
const STANDARD_SEEDS: u64 = 1_000;

/// Within so many seeds whatever is broken on purpose has to be found.
const MOST_SEEDS: u64 = 300;

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var_os(name)?;
    Some(value.to_str().and_then(|text| text.parse().ok()).expect("a number"))
}

/// All of these seeds, on as many threads as there are, or until enough of them
/// have found something.
fn all(
    seeds: std::ops::Range<u64>,
    sabotage: Option<Sabotage>,
    enough: usize,
) -> (Seen, Vec<Told>) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let some = |first: usize| {
        let mine = seeds.clone().skip(first).step_by(threads);
        let (mut seen, mut found) = (Seen::default(), Vec::new());
        for seed in mine {
            let told = run(seed, sabotage, Trace::none());
            seen += told.seen.clone();
            if told.violation.is_some() {
                found.push(told);
            }
            if found.len() >= enough {
                break;
            }
        }
        (seen, found)
    };
    let told: Vec<_> = thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|n| scope.spawn(move || some(n))).collect();
        working.into_iter().map(|one| one.join().expect("a seed does not panic")).collect()
    });
    let mut seen = Seen::default();
    let mut found = Vec::new();
    for (some, violated) in told {
        seen += some;
        found.extend(violated);
    }
    (seen, found)
}

#[test]
fn whatever_goes_wrong_every_invariant_holds() {
    if let Some(seed) = setting("TARPON_SEED") {
        let told = run(seed, None, Trace::whole());
        println!("{}", told.trace.lines().join("\n"));
        assert_eq!(told.violation, None, "seed {seed}");
        return;
    }
    let seeds = setting("TARPON_SEEDS").unwrap_or(STANDARD_SEEDS);
    let (seen, found) = all(0..seeds, None, 8);
    println!("{seen:?}");
    let found: Vec<String> = found
        .into_iter()
        .map(|Told { seed, violation, .. }| {
            format!("TARPON_SEED={seed}: {}", violation.unwrap_or_default())
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    for sabotage in Sabotage::ALL {
        let (_, found) = all(0..MOST_SEEDS, Some(sabotage), 1);
        let found = found.first().unwrap_or_else(|| panic!("{sabotage:?} is not found"));
        let violation = found.violation.as_deref().unwrap_or_default();
        println!("{sabotage:?}: seed {}: {violation}", found.seed);
        // Whatever it was that noticed, it was no invariant.
        assert!(!violation.starts_with("a panic"), "{sabotage:?}: {violation}");
    }
}

#[test]
fn a_seed_is_told_the_same_each_time() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None, Trace::whole()), run(seed, None, Trace::whole()));
        assert!(!first.trace.lines().is_empty());
        assert_eq!(first.trace.lines(), second.trace.lines(), "seed {seed}");
    }
}

/// How often a thing comes to pass in a hundred worlds, at least.
fn least(what: &str) -> usize {
    match what {
        // Few agents come for what was stopped before they asked; few clients
        // think of the rest.
        "refused" | "posted_again" | "redelivered" | "changed" | "timed_out" => 1,
        _ => 10,
    }
}

#[test]
fn everything_that_may_come_to_pass_does() {
    let (seen, _) = all(0..100, None, usize::MAX);
    println!("{seen:?}");
    for (what, times) in seen.counts() {
        assert!(times >= least(what), "{what}: {seen:?}");
    }
    assert_eq!(seen.fullest, 4);
}
