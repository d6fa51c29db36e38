//! A commit: its changes as writes, sent until they are carried out or one of
//! them is refused for good.

use std::{error::Error, slice};

use futures::future::join_all;
use tracing::warn;

use super::{
    dynamo::DynamoTable,
    layout::{self, Item},
    refused::{MOST_OPS, Refused, check_ops, unavailable},
    rows::{self, Before, Hand},
    send::{Sent, Write, send},
    sets::{self, Belief, Move, View},
};
use crate::{
    aws::pace::Pace,
    platform::{Expect, Key, Op, Staged, TableError, Wanted},
};

/// A change, and what is believed of what it will find.
#[derive(Clone, Copy)]
enum Step<'a> {
    Put { key: &'a Key, expect: Expect, wanted: &'a Wanted, before: Before },
    Delete { key: &'a Key, expect: Expect },
    Check { key: &'a Key, expect: Expect },
    Move { set: &'a Key, member: &'a str, to: Move, belief: Belief },
}

/// How the first write that failed did so.
struct Failure {
    found: Option<Item>,
    doubt: bool,
    hand: Hand,
}

/// What a failure means, if it is not the end.
enum Verdict<'a> {
    /// It failed because it had been carried out, and the answer was lost.
    Done,
    /// Something else was believed than is.
    Again(Step<'a>),
}

/// Carries out all of the changes, or none.
pub(super) async fn commit(table: &DynamoTable, ops: &[Op]) -> Result<(), TableError> {
    check_ops(ops)?;
    let clock = table.clock();
    let mut pace = Pace::new(clock);
    let mut steps: Vec<Step<'_>> = ops.iter().map(|op| Step::first(table, op)).collect();
    loop {
        if let [step] = steps[..]
            && let Some(settled) = without_writing(table, step).await
        {
            return settled;
        }
        let hand = Hand { writer: clock.random(), now: clock.now() };
        let (writes, owners) = writes(&steps, hand)?;
        match send(table.client(), table.name(), &writes).await? {
            Sent::Done => return Ok(()),
            Sent::Busy(source) if !pace.wait().await => return Err(unavailable(source)),
            Sent::Busy(_) => {}
            Sent::Failed { first, found, doubt } => {
                let step = &mut steps[owners[first]];
                match judge(table, *step, Failure { found, doubt, hand }).await? {
                    Verdict::Done => return Ok(()),
                    Verdict::Again(other) => *step = other,
                }
                if !pace.again() {
                    return Err(unavailable("too many write to it at once"));
                }
            }
        }
    }
}

/// Carries out the changes that may stand alone as plain writes: a transaction
/// costs twice as much.
pub(super) async fn commit_staged(table: &DynamoTable, staged: &Staged) -> Result<(), TableError> {
    let Staged { before, ops, after } = staged;
    // What no commit could have is refused while nothing is written.
    check_ops(&Vec::from(staged.clone()))?;
    for op in before {
        commit(table, slice::from_ref(op)).await?;
    }
    if !ops.is_empty() {
        commit(table, ops).await?;
    }
    let after = after.iter().map(|op| commit(table, slice::from_ref(op)));
    for written in join_all(after).await {
        if let Err(error) = written {
            warn!(
                error = &error as &dyn Error,
                "a change is missing until a sweep makes up for it"
            );
        }
    }
    Ok(())
}

impl<'a> Step<'a> {
    fn first(table: &DynamoTable, op: &'a Op) -> Self {
        match op {
            Op::Put(key, expect, wanted) => {
                Step::Put { key, expect: *expect, wanted, before: Before::Current }
            }
            Op::Delete(key, expect) => Step::Delete { key, expect: *expect },
            Op::Check(key, expect) => Step::Check { key, expect: *expect },
            Op::Join { key: set, member, limit } => {
                let belief = table.memory().guess(set);
                Step::Move { set, member, to: Move::Join { limit: *limit }, belief }
            }
            Op::Leave { key: set, member } => {
                let belief = table.memory().guess(set);
                Step::Move { set, member, to: Move::Leave, belief }
            }
        }
    }

    fn writes(self, hand: Hand) -> Result<Vec<Write>, Refused> {
        Ok(match self {
            Step::Put { key, expect, wanted, before } => {
                vec![rows::put(key, expect, wanted, before, hand)?]
            }
            Step::Delete { key, expect } => vec![rows::delete(key, expect, hand)],
            Step::Check { key, expect } => vec![rows::check(key, expect, hand)],
            Step::Move { set, member, to, belief } => sets::writes(set, member, to, belief),
        })
    }
}

/// What becomes of a commit of one step that changes nothing.
async fn without_writing(table: &DynamoTable, step: Step<'_>) -> Option<Result<(), TableError>> {
    match step {
        Step::Check { key, expect } => Some(look(table, key, expect).await),
        Step::Move { belief, .. } if belief.stays() => Some(Ok(())),
        Step::Put { .. } | Step::Delete { .. } | Step::Move { .. } => None,
    }
}

async fn look(table: &DynamoTable, key: &Key, expect: Expect) -> Result<(), TableError> {
    let found = table.reader().get(layout::at_row(key), true).await?;
    let version = found.and_then(|item| layout::version(&item, table.clock().now()));
    rows::refusal(key, expect, version).map_or(Ok(()), Err)
}

/// The writes of all steps in order, and for each the place of its step.
fn writes(steps: &[Step<'_>], hand: Hand) -> Result<(Vec<Write>, Vec<usize>), Refused> {
    let mut writes = Vec::with_capacity(steps.len());
    let mut owners = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        writes.extend(step.writes(hand)?);
        owners.resize(writes.len(), place);
    }
    // A spilled member takes two.
    if writes.len() > MOST_OPS { Err(Refused::Count) } else { Ok((writes, owners)) }
}

async fn judge<'a>(
    table: &DynamoTable,
    step: Step<'a>,
    failure: Failure,
) -> Result<Verdict<'a>, TableError> {
    match step {
        Step::Put { key, expect, before, wanted } => {
            judge_row(key, expect, &failure)?;
            if failure.found.is_some_and(|item| rows::is_mine(&item, failure.hand)) {
                return Ok(Verdict::Done);
            }
            let before = before.other();
            Ok(Verdict::Again(Step::Put { key, expect, wanted, before }))
        }
        Step::Delete { key, expect } | Step::Check { key, expect } => {
            judge_row(key, expect, &failure)?;
            Ok(Verdict::Again(step))
        }
        Step::Move { set, member, to, .. } => {
            let belief = look_for(table, set, member, to).await?;
            Ok(Verdict::Again(Step::Move { set, member, to, belief }))
        }
    }
}

/// Whether the row was not as expected, as far as that can be said.
fn judge_row(key: &Key, expect: Expect, failure: &Failure) -> Result<(), TableError> {
    let Failure { found, doubt, hand } = failure;
    if found.as_ref().is_some_and(|item| rows::is_mine(item, *hand)) {
        return Ok(());
    }
    let version = found.as_ref().and_then(|item| layout::version(item, hand.now));
    match rows::refusal(key, expect, version) {
        // This very write may have been carried out, and others came after it.
        Some(_) if *doubt => Err(unavailable("whether the row was written is not known")),
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// Where the member of a set is.
async fn look_for(
    table: &DynamoTable,
    set: &Key,
    member: &str,
    to: Move,
) -> Result<Belief, TableError> {
    let mut pace = Pace::new(table.clock());
    loop {
        let view = view(table, set, member).await?;
        if let Some(belief) = view.belief(to) {
            return Ok(belief);
        }
        if view.is_noted || note_refusal(table, set, member, to).await? {
            return Err(TableError::Full(set.clone()));
        }
        // Somebody has left since.
        if !pace.again() {
            return Err(unavailable("too many write to it at once"));
        }
    }
}

async fn view(table: &DynamoTable, set: &Key, member: &str) -> Result<View, TableError> {
    let keys = [sets::at_head(set), sets::at_member(set, member)];
    let items = table.reader().get_all(keys.to_vec(), Pace::new(table.clock())).await?;
    let [head, spilled] = keys.map(|key| items.iter().find(|item| layout::is_at(item, &key)));
    let view = View::of(head, spilled, member);
    table.memory().note(set, view);
    Ok(view)
}

/// Leaves a note in a set that is full; whether it still was.
async fn note_refusal(
    table: &DynamoTable,
    set: &Key,
    member: &str,
    to: Move,
) -> Result<bool, TableError> {
    let Move::Join { limit } = to else { return Ok(true) };
    match send(table.client(), table.name(), &[sets::note(set, member, limit)]).await? {
        Sent::Done => Ok(true),
        Sent::Failed { .. } => Ok(false),
        Sent::Busy(source) => Err(unavailable(source)),
    }
}
