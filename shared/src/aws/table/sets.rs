//! Sets whose size is bounded, without a version that joins and leaves would
//! conflict on.
//!
//! A set is a partition of its own. Its head counts all members, and holds the
//! first few of them as a string set: a join or leave is then one write of a
//! small item. When the head has no more room, members spill: each is an item
//! of its own, so that a write stays as small, and no limit of DynamoDB's on
//! the size of an item is a limit on the size of a set.
//!
//! **Invariant:** the head's `n` is the number of members, and `k` that of the
//! spilled ones; `y` and `z` are what all of them weigh. What adds or removes a
//! member changes them in the same write or transaction. Every join is
//! conditional on `n` being below the limit, and on `y` and `z` leaving room
//! for the member; and DynamoDB carries out the writes of one item one after
//! the other; so the limit holds exactly, also while it changes. As a member
//! says itself what it weighs, and is removed by its text, the sums lose what
//! they had gained.
//!
//! Who finds a set full leaves a note in its head, and the next one to leave
//! takes it away: so that the stream of changes tells of a place that has become
//! free where somebody wants it, and of no other. The note is only written while
//! the set is full, so whoever leaves later finds it.
//!
//! Where a member is decides which items are written. That is *believed* at
//! first and is a condition of the write; if it fails, the set is looked at.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    expression::Terms,
    layout::{self, Item, KEY, VERSION, number, number_of, text, text_of},
    send::{Change, Write},
};
use crate::platform::{
    Key, SetLimit, SetSize,
    set::{self, MEASURES},
};

const MEMBERS: &str = "m";
const COUNT: &str = "n";
const SPILLED: &str = "k";
const WEIGHTS: [&str; MEASURES] = ["y", "z"];

/// That somebody was refused. Whoever leaves takes it away.
pub const REFUSED: &str = "r";

/// Sort key of a set's head; it comes first.
const HEAD: &str = "h";

/// What those of spilled members start with.
const MEMBER: &str = "m";

/// Members that a head holds: with keys and ids of the usual length it stays
/// below a kilobyte, which is what one write unit pays for.
const ROOM: u64 = 14;

/// Sets that are remembered to have spilled.
const MOST_REMEMBERED: usize = 1000;

/// What is to become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// It is in, unless the set has as many others.
    Join { limit: SetLimit },
    /// It is out.
    Leave,
}

/// Where a member is, or will be, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// To be added to the head, or removed from it.
    InHead,
    /// To be added as an item of its own, or removed as such.
    Spilled,
    /// In the head already.
    StaysInHead,
    /// An item of its own already.
    StaysSpilled,
    /// Nowhere already.
    StaysOut,
}

impl Belief {
    /// Whether there is nothing to be written.
    pub(super) fn stays(self) -> bool {
        match self {
            Belief::StaysInHead | Belief::StaysSpilled | Belief::StaysOut => true,
            Belief::InHead | Belief::Spilled => false,
        }
    }
}

/// What a look at a set found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    size: SetSize,
    /// With the member, if that were to join.
    with: SetSize,
    spilled: u64,
    in_head: bool,
    is_spilled: bool,
    /// Whether it is noted that somebody found it full.
    pub(super) is_noted: bool,
}

impl View {
    /// That of the set with this head, as far as it concerns one member.
    pub(super) fn of(head: Option<&Item>, spilled: Option<&Item>, member: &str) -> Self {
        let count = |name| head.and_then(|head| number_of(head, name)).unwrap_or(0);
        let in_head = head.is_some_and(|head| members_of(head).iter().any(|one| one == member));
        let size = SetSize { members: count(COUNT), weights: WEIGHTS.map(count) };
        View {
            size,
            with: size.with(member),
            spilled: count(SPILLED),
            in_head,
            is_spilled: spilled.is_some(),
            is_noted: head.is_some_and(|head| head.contains_key(REFUSED)),
        }
    }

    /// Where the member is to be moved; `None` if the set is full.
    pub(super) fn belief(self, to: Move) -> Option<Belief> {
        let View { size, with, spilled, in_head, is_spilled, is_noted: _ } = self;
        match to {
            Move::Join { .. } if in_head => Some(Belief::StaysInHead),
            Move::Join { .. } if is_spilled => Some(Belief::StaysSpilled),
            Move::Join { limit } if !with.is_within(limit) => None,
            Move::Join { .. } if spilled == 0 && size.members < ROOM => Some(Belief::InHead),
            Move::Join { .. } => Some(Belief::Spilled),
            Move::Leave if in_head => Some(Belief::InHead),
            Move::Leave if is_spilled => Some(Belief::Spilled),
            Move::Leave => Some(Belief::StaysOut),
        }
    }

    fn has_spilled(self) -> bool {
        self.spilled > 0 || self.size.members >= ROOM
    }
}

/// Which sets have spilled, as far as this process has seen: a first guess.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashSet<Key>>);

impl Memory {
    pub(super) fn guess(&self, set: &Key) -> Belief {
        let spilled = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(set);
        if spilled { Belief::Spilled } else { Belief::InHead }
    }

    pub(super) fn note(&self, set: &Key, view: View) {
        let mut spilled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !view.has_spilled() {
            spilled.remove(set);
        } else if spilled.len() < MOST_REMEMBERED {
            spilled.insert(set.clone());
        }
    }
}

/// The partition of a set, which no row's is.
pub(super) fn partition(set: &Key) -> String {
    format!("{}\0{}\0", set.partition, set.sort)
}

/// The key of a set's head.
pub(super) fn at_head(set: &Key) -> Item {
    layout::at(partition(set), HEAD)
}

/// The key of a spilled member.
pub(super) fn at_member(set: &Key, member: &str) -> Item {
    layout::at(partition(set), format!("{MEMBER}{member}"))
}

/// The members that an item of a set's partition tells of.
pub(super) fn members_in(item: &Item) -> Vec<String> {
    match text_of(item, KEY[1]).and_then(|sort| sort.strip_prefix(MEMBER)) {
        Some(spilled) => vec![spilled.to_owned()],
        None => members_of(item).to_vec(),
    }
}

fn members_of(head: &Item) -> &[String] {
    head.get(MEMBERS).and_then(|members| members.as_ss().ok()).map_or(&[], Vec::as_slice)
}

/// The writes that move a member, if it is where it is believed to be.
pub(super) fn writes(set: &Key, member: &str, to: Move, belief: Belief) -> Vec<Write> {
    let head = Head { set, member };
    match (to, belief) {
        (Move::Join { limit }, Belief::InHead) => vec![head.take_in(limit)],
        (Move::Join { limit }, Belief::Spilled) => {
            vec![head.count_in(limit), spilled(set, member, true)]
        }
        (Move::Leave, Belief::InHead) => vec![head.let_out()],
        (Move::Leave, Belief::Spilled) => vec![head.count_out(), spilled(set, member, false)],
        (_, Belief::StaysInHead) => vec![head.check(true)],
        (_, Belief::StaysSpilled) => vec![check_spilled(set, member, true)],
        (_, Belief::StaysOut) => vec![head.check(false), check_spilled(set, member, false)],
    }
}

/// The write that notes that somebody found the set full, if it still has no
/// room for him.
pub(super) fn note(set: &Key, member: &str, limit: SetLimit) -> Write {
    let mut terms = Terms::default();
    let refused = terms.name(REFUSED);
    let update = format!("SET {refused} = {}", terms.value(number(1)));
    let weights = set::weights(member).into_iter().zip(limit.weights);
    let left = weights.map(|(weight, most)| Some(i128::from(most?) - i128::from(weight)));
    let members = Some(i128::from(limit.members) - 1);
    let measures = [COUNT].into_iter().chain(WEIGHTS).zip([members].into_iter().chain(left));
    let measures: Vec<_> = measures.filter_map(|(name, left)| Some((name, left?))).collect();
    // What nobody may join, or not he, is full without having been counted.
    let never = measures.iter().any(|(_, left)| *left < 0);
    let condition = (!never).then(|| {
        let beyond = measures
            .iter()
            .map(|(name, left)| format!("{} > {}", terms.name(name), terms.value(number(*left))));
        beyond.collect::<Vec<_>>().join(" OR ")
    });
    Write { key: at_head(set), change: Change::Update(update), condition, terms }
}

/// Writes of a set's head, about one member.
struct Head<'a> {
    set: &'a Key,
    member: &'a str,
}

impl Head<'_> {
    /// While nobody has spilled, all members are here: who is not, is out.
    fn take_in(&self, limit: SetLimit) -> Write {
        let mut terms = Terms::default();
        let [members, count, spilled] = [MEMBERS, COUNT, SPILLED].map(|name| terms.name(name));
        let [zero, one] = [0, 1].map(|n| terms.value(number(n)));
        let these = terms.value(AttributeValue::Ss(vec![self.member.to_owned()]));
        let condition = format!(
            "{}{} AND (attribute_not_exists({spilled}) OR {spilled} = {zero}) AND NOT {}",
            has_room(&mut terms, u64::from(limit.members).min(ROOM)),
            self.is_light(&mut terms, limit),
            self.is_member(&mut terms),
        );
        let weight = self.weight(&mut terms, 1);
        let update = format!("ADD {members} {these}, {count} {one}{weight}");
        self.write(Change::Update(update), condition, terms)
    }

    fn count_in(&self, limit: SetLimit) -> Write {
        let mut terms = Terms::default();
        let [count, spilled] = [COUNT, SPILLED].map(|name| terms.name(name));
        let one = terms.value(number(1));
        let room = has_room(&mut terms, limit.members.into());
        let light = self.is_light(&mut terms, limit);
        let condition = format!("{room}{light} AND NOT {}", self.is_member(&mut terms));
        let weight = self.weight(&mut terms, 1);
        let update = format!("ADD {count} {one}, {spilled} {one}{weight}");
        self.write(Change::Update(update), condition, terms)
    }

    fn let_out(&self) -> Write {
        let mut terms = Terms::default();
        let [members, count, refused] = [MEMBERS, COUNT, REFUSED].map(|name| terms.name(name));
        let less = terms.value(number(-1));
        let these = terms.value(AttributeValue::Ss(vec![self.member.to_owned()]));
        let condition = self.is_member(&mut terms);
        let weight = self.weight(&mut terms, -1);
        let update =
            format!("DELETE {members} {these} ADD {count} {less}{weight} REMOVE {refused}");
        self.write(Change::Update(update), condition, terms)
    }

    fn count_out(&self) -> Write {
        let mut terms = Terms::default();
        let [count, spilled, refused] = [COUNT, SPILLED, REFUSED].map(|name| terms.name(name));
        let [zero, less] = [0, -1].map(|n| terms.value(number(n)));
        let weight = self.weight(&mut terms, -1);
        let update = format!("ADD {count} {less}, {spilled} {less}{weight} REMOVE {refused}");
        self.write(Change::Update(update), format!("{spilled} > {zero}"), terms)
    }

    fn check(&self, is_member: bool) -> Write {
        let mut terms = Terms::default();
        let condition = self.is_member(&mut terms);
        let condition = if is_member { condition } else { format!("NOT {condition}") };
        self.write(Change::Check, condition, terms)
    }

    /// What the sums change by, after a list of other changes.
    fn weight(&self, terms: &mut Terms, sign: i128) -> String {
        let weights = WEIGHTS.into_iter().zip(set::weights(self.member));
        let change = |(name, weight): (&str, u64)| {
            let (name, by) = (terms.name(name), terms.value(number(sign * i128::from(weight))));
            format!(", {name} {by}")
        };
        weights.filter(|(_, weight)| *weight > 0).map(change).collect()
    }

    /// Whether the member can join without the set weighing too much, after
    /// another condition.
    fn is_light(&self, terms: &mut Terms, limit: SetLimit) -> String {
        let weights = set::weights(self.member).into_iter().zip(limit.weights);
        let limited = WEIGHTS.into_iter().zip(weights);
        let condition = |(name, (weight, most)): (&str, (u64, Option<u64>))| {
            let left = i128::from(most?) - i128::from(weight);
            let (name, most) = (terms.name(name), terms.value(number(left)));
            // A set that nobody with a weight ever joined has no sum.
            Some(if left < 0 {
                format!(" AND {name} <= {most}")
            } else {
                format!(" AND (attribute_not_exists({name}) OR {name} <= {most})")
            })
        };
        limited.filter_map(condition).collect()
    }

    fn is_member(&self, terms: &mut Terms) -> String {
        let members = terms.name(MEMBERS);
        let member = terms.value(text(self.member));
        format!("contains({members}, {member})")
    }

    fn write(&self, change: Change, condition: String, terms: Terms) -> Write {
        Write { key: at_head(self.set), change, condition: Some(condition), terms }
    }
}

fn has_room(terms: &mut Terms, limit: u64) -> String {
    let count = terms.name(COUNT);
    let limit_name = terms.value(number(limit));
    // A set that nobody ever joined has no count.
    if limit == 0 {
        format!("{count} < {limit_name}")
    } else {
        format!("(attribute_not_exists({count}) OR {count} < {limit_name})")
    }
}

/// Adds or removes the item of a spilled member.
fn spilled(set: &Key, member: &str, joins: bool) -> Write {
    let mut write = check_spilled(set, member, !joins);
    write.change = if joins {
        // An item needs no more than its key; but an update has to change something.
        let version = write.terms.name(VERSION);
        let one = write.terms.value(number(1));
        Change::Update(format!("SET {version} = {one}"))
    } else {
        Change::Delete
    };
    write
}

fn check_spilled(set: &Key, member: &str, is_there: bool) -> Write {
    let mut terms = Terms::default();
    let key = terms.name(KEY[0]);
    let condition = if is_there {
        format!("attribute_exists({key})")
    } else {
        format!("attribute_not_exists({key})")
    };
    Write { key: at_member(set, member), change: Change::Check, condition: Some(condition), terms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(members: u64, spilled: u64) -> View {
        let size = SetSize { members, weights: [0; MEASURES] };
        let with = size.with("m");
        View { size, with, spilled, in_head: false, is_spilled: false, is_noted: false }
    }

    #[test]
    fn a_set_spills_when_its_head_has_no_room() {
        let join = Move::Join { limit: 1000.into() };
        for (found, expected) in [
            (view(0, 0), Belief::InHead),
            (view(ROOM - 1, 0), Belief::InHead),
            (view(ROOM, 0), Belief::Spilled),
            // Its head may have room again, but who is not in it is not surely out.
            (view(5, 1), Belief::Spilled),
            (View { in_head: true, ..view(5, 1) }, Belief::StaysInHead),
            (View { is_spilled: true, ..view(5, 1) }, Belief::StaysSpilled),
        ] {
            assert_eq!(found.belief(join), Some(expected), "{found:?}");
        }
    }

    #[test]
    fn a_full_set_takes_nobody_but_its_members() {
        let join = Move::Join { limit: 20.into() };
        assert_eq!(view(20, 4).belief(join), None);
        assert_eq!(view(0, 0).belief(Move::Join { limit: 0.into() }), None);
        let member = View { is_spilled: true, ..view(20, 4) };
        assert_eq!(member.belief(join), Some(Belief::StaysSpilled));
    }

    #[test]
    fn a_process_remembers_what_it_saw() {
        let memory = Memory::default();
        let set = Key::new("p", "s");
        assert_eq!(memory.guess(&set), Belief::InHead);
        memory.note(&set, view(ROOM, 0));
        assert_eq!(memory.guess(&set), Belief::Spilled);
        memory.note(&set, view(3, 0));
        assert_eq!(memory.guess(&set), Belief::InHead);
    }

    #[test]
    fn a_head_of_ids_of_ours_stays_below_a_kilobyte() {
        let id = "att-0192d5a57f2f7d4e8c1b0a9f8e7d6c5b-1-12-1234-1*16000*65536";
        let set = Key::new("slots#0192d5a57f2f7d4e8c1b0a9f8e7d6c5b#default", "live");
        let members = id.len() * usize::try_from(ROOM).unwrap();
        assert!(partition(&set).len() + members + 50 < 1024);
    }
}
