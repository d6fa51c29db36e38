//! A commit, inside a write transaction: judged first, then carried out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::{Error, ReadableTable, WriteTransaction};
use shared::platform::{Expect, Op, SetSize, TableError};

use super::{
    feed::{Change, ChangeKind},
    rows,
    tables::{Old, Tables},
};

/// Carries out all of the changes, or refuses and carries out none.
pub(super) fn apply(
    transaction: &WriteTransaction,
    ops: Vec<Op>,
    now: Timestamp,
) -> Result<Result<Vec<Change>, TableError>, Error> {
    let mut tables = Tables::new(transaction);
    let mut found = Vec::with_capacity(ops.len());
    for op in &ops {
        match judge(&mut tables, op, now)? {
            Ok(old) => found.push(old),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    let mut changes = Vec::with_capacity(ops.len());
    for (op, found) in ops.into_iter().zip(found) {
        changes.extend(carry_out(&mut tables, op, found)?);
    }
    Ok(Ok(changes))
}

/// Removes a bounded number of rows that expired in seconds gone by. Says
/// whether there were any.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<bool, Error> {
    const AT_ONCE: usize = 256;
    let mut tables = Tables::new(transaction);
    let mut expired = Vec::new();
    for entry in tables.expiries()?.range(..&rows::second(now)[..])?.take(AT_ONCE) {
        expired.push(entry?.0.value().to_vec());
    }
    for entry in &expired {
        let place = rows::place_expiring(entry);
        if let Some(old) = tables.look_up(place)? {
            tables.remove(place, &old)?;
        }
    }
    Ok(!expired.is_empty())
}

/// What was found at a change's key, as far as carrying it out needs it.
enum Found {
    Row(Option<Old>),
    Set { size: SetSize, member: bool },
}

fn judge(
    tables: &mut Tables<'_>,
    op: &Op,
    now: Timestamp,
) -> Result<Result<Found, TableError>, Error> {
    let place = rows::place(op.key());
    let refusal = match op {
        Op::Put(key, expect, _) | Op::Delete(key, expect) | Op::Check(key, expect) => {
            let old = tables.look_up(&place)?;
            let version = old.as_ref().filter(|old| old.counts(now)).map(|old| old.version);
            match expect {
                Expect::Absent if version.is_some() => TableError::Exists(key.clone()),
                Expect::Version(wanted) if version != Some(*wanted) => {
                    TableError::Stale(key.clone())
                }
                Expect::Absent | Expect::Version(_) | Expect::Anything => {
                    // An expired row leaves its traces, but not its version.
                    let old = old.map(|old| Old { version: version.unwrap_or(0), ..old });
                    return Ok(Ok(Found::Row(old)));
                }
            }
        }
        Op::Join { key, member, limit } => {
            let (size, is_member) = tables.look_for(&place, member)?;
            if is_member || size.with(member).is_within(*limit) {
                return Ok(Ok(Found::Set { size, member: is_member }));
            }
            TableError::Full(key.clone())
        }
        Op::Leave { member, .. } => {
            let (size, member) = tables.look_for(&place, member)?;
            return Ok(Ok(Found::Set { size, member }));
        }
    };
    Ok(Err(refusal))
}

fn carry_out(tables: &mut Tables<'_>, op: Op, found: Found) -> Result<Option<Change>, Error> {
    let place = rows::place(op.key());
    let change = match (op, found) {
        (Op::Put(key, _, wanted), Found::Row(old)) => {
            tables.put(&place, old.as_ref(), &wanted)?;
            Change { key, kind: ChangeKind::Put, marks: wanted.marks }
        }
        (Op::Delete(key, _), Found::Row(Some(old))) => {
            tables.remove(&place, &old)?;
            Change { key, kind: ChangeKind::Deleted, marks: BTreeMap::new() }
        }
        (Op::Join { key, member, .. }, Found::Set { size, member: false }) => {
            tables.resize(&place, size, size.with(&member))?;
            tables.members()?.insert(&rows::member(&place, &member)[..], ())?;
            Change { key, kind: ChangeKind::Joined, marks: BTreeMap::new() }
        }
        (Op::Leave { key, member }, Found::Set { size, member: true }) => {
            tables.resize(&place, size, size.without(&member))?;
            tables.members()?.remove(&rows::member(&place, &member)[..])?;
            Change { key, kind: ChangeKind::Left, marks: BTreeMap::new() }
        }
        // A check, a row that was not there, a member that is where it should be.
        (_, Found::Row(_) | Found::Set { .. }) => return Ok(None),
    };
    Ok(Some(change))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;
    use redb::{Database, ReadableDatabase, ReadableTableMetadata};
    use shared::platform::{Index, Key, Mark, Wanted};

    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_700_000_000, 500_000_000);

    fn put(n: usize, expires_at: Option<Timestamp>) -> Op {
        let mark = Mark { partition: "m".to_owned(), sort: "s".to_owned() };
        let marks = BTreeMap::from([(Index::Due, mark)]);
        let wanted = Wanted { body: "x".into(), marks, expires_at };
        Op::Put(Key::new("p", format!("{n:05}")), Expect::Anything, wanted)
    }

    #[test]
    fn what_has_expired_is_purged_bit_by_bit_with_all_that_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        Tables::new(&transaction).create_all().unwrap();
        let earlier = NOON - SignedDuration::from_secs(1);
        let mut ops: Vec<Op> = (0..600).map(|n| put(n, Some(earlier))).collect();
        ops.push(put(1000, None));
        ops.push(put(1001, Some(NOON + SignedDuration::from_secs(1))));
        apply(&transaction, ops, NOON).unwrap().unwrap();
        // Put again, so no longer expiring, or later.
        let again = vec![put(0, None), put(1, Some(NOON + SignedDuration::from_secs(60)))];
        apply(&transaction, again, NOON).unwrap().unwrap();

        let found: Vec<bool> = (0..4).map(|_| purge(&transaction, NOON).unwrap()).collect();

        assert_eq!(found, [true, true, true, false]);
        transaction.commit().unwrap();
        let read = database.begin_read().unwrap();
        assert_eq!(read.open_table(rows::ROWS).unwrap().len().unwrap(), 4);
        assert_eq!(read.open_table(rows::index_table(Index::Due)).unwrap().len().unwrap(), 4);
        assert_eq!(read.open_table(rows::EXPIRIES).unwrap().len().unwrap(), 2);
    }

    #[test]
    fn nothing_stays_of_what_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create(folder.path().join("store")).unwrap();
        let transaction = database.begin_write().unwrap();
        Tables::new(&transaction).create_all().unwrap();
        let set = Key::new("s", "s");
        let member = || "m*3*4".to_owned();
        let join = Op::Join { key: set.clone(), member: member(), limit: 1.into() };
        let ops = vec![put(1, Some(NOON)), join];
        apply(&transaction, ops, NOON).unwrap().unwrap();
        let ops = vec![
            Op::Delete(Key::new("p", "00001"), Expect::Anything),
            Op::Leave { key: set, member: member() },
        ];
        apply(&transaction, ops, NOON).unwrap().unwrap();
        transaction.commit().unwrap();

        let read = database.begin_read().unwrap();
        assert!(read.open_table(rows::ROWS).unwrap().is_empty().unwrap());
        assert!(read.open_table(rows::index_table(Index::Due)).unwrap().is_empty().unwrap());
        assert!(read.open_table(rows::EXPIRIES).unwrap().is_empty().unwrap());
        assert!(read.open_table(rows::MEMBERS).unwrap().is_empty().unwrap());
        assert!(read.open_table(rows::SIZES).unwrap().is_empty().unwrap());
        assert!(read.open_table(rows::WEIGHTS).unwrap().is_empty().unwrap());
    }
}
