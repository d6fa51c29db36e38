//! The table on DynamoDB is a table, and what else it promises.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use shared::{
    aws::{
        config::Aws,
        meter::{Meter, Reading},
        signed::{SQS, SignedCalls},
        table::{CALLS, DynamoTable, REFUSED, Refused, Reminder, Reminders},
    },
    platform::{Expect, Index, Key, Mark, Op, Query, Table, TableError, Wanted, due_sort},
};

use super::world;

async fn table() -> (Arc<dyn Table>, ()) {
    (Arc::new(world::table(&world::aws()).await), ())
}

shared::table_suite!(table);

fn plain() -> Wanted {
    Wanted { body: "x".into(), marks: BTreeMap::new(), expires_at: None }
}

fn marked(sort: &str) -> Wanted {
    let mark = Mark { partition: "m".to_owned(), sort: sort.to_owned() };
    Wanted { marks: BTreeMap::from([(Index::Due, mark)]), ..plain() }
}

fn put(sort: &str, expect: Expect, wanted: Wanted) -> Op {
    Op::Put(Key::new("p", sort), expect, wanted)
}

fn join(set: &Key, member: impl Display, limit: u32) -> Op {
    Op::Join { key: set.clone(), member: member.to_string(), limit: limit.into() }
}

fn leave(set: &Key, member: impl Display) -> Op {
    Op::Leave { key: set.clone(), member: member.to_string() }
}

fn refused(refused: &TableError) -> Option<&Refused> {
    match refused {
        TableError::Refused(source) => source.downcast_ref(),
        TableError::Exists(_)
        | TableError::Stale(_)
        | TableError::Full(_)
        | TableError::Unavailable(_) => None,
    }
}

#[tokio::test]
async fn a_commit_that_no_table_can_take_is_refused() {
    let table = world::table(&world::aws()).await;
    let op = |sort: &str| put(sort, Expect::Anything, plain());
    let noise = |size| Wanted { body: world::noise(size), ..plain() };
    let set = Key::new("s", "s");
    let full = Refused::Row(Key::new("p", "large"));
    for (ops, expected) in [
        (vec![], Refused::Count),
        ((0..101).map(|n| op(&n.to_string())).collect(), Refused::Count),
        (vec![op("a"), op("b"), op("a")], Refused::Twice),
        (vec![op("nul\0")], Refused::Part),
        (vec![op(&"x".repeat(513))], Refused::Part),
        (vec![put("a", Expect::Anything, marked("\0"))], Refused::Part),
        (vec![put("a", Expect::Anything, marked(&"x".repeat(513)))], Refused::Part),
        (vec![join(&set, "\0", 1)], Refused::Part),
        (vec![put("a", Expect::Anything, noise((1 << 20) + 1))], Refused::Body),
        (vec![op("a"), put("large", Expect::Anything, noise(500 << 10))], full),
    ] {
        let outcome = table.commit(ops).await.unwrap_err();
        assert_eq!(refused(&outcome), Some(&expected), "{outcome:?}");
    }
    assert_eq!(table.query(&Query::partition("p")).await.unwrap().rows, []);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_kind_of_query_only() {
    let table = world::table(&world::aws()).await;
    let ops = ["a", "b", "c"].map(|sort| put(sort, Expect::Absent, marked(sort)));
    table.commit(ops.into()).await.unwrap();
    let rows = Query { limit: 1, ..Query::partition("p") };
    let entries = Query { limit: 1, ..Query::index(Index::Due, "m") };
    let cursor = |page: shared::platform::Page| page.cursor;
    let of_rows = cursor(table.query(&rows).await.unwrap());
    let of_entries = cursor(table.query(&entries).await.unwrap());
    for (query, cursor) in [
        (&rows, of_entries),
        (&entries, of_rows),
        (&rows, Some("%".into())),
        (&rows, Some("e30".into())),
    ] {
        let outcome = table.query(&Query { cursor, ..query.clone() }).await.unwrap_err();
        assert_eq!(refused(&outcome), Some(&Refused::Cursor), "{outcome:?}");
    }
}

#[tokio::test]
async fn keys_may_be_empty() {
    let table = world::table(&world::aws()).await;
    let mark = Mark { partition: String::new(), sort: String::new() };
    let wanted = Wanted { marks: BTreeMap::from([(Index::Open, mark)]), ..plain() };
    for (partition, sort) in [("", ""), ("", "a"), ("p", "")] {
        let op = Op::Put(Key::new(partition, sort), Expect::Absent, wanted.clone());
        table.commit(vec![op]).await.unwrap();
    }
    table.commit(vec![join(&Key::new("", ""), "", 1)]).await.unwrap();
    let found =
        |rows: Vec<shared::platform::Row>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
    let rows = found(table.query(&Query::partition("")).await.unwrap().rows);
    assert_eq!(rows, [Key::new("", ""), Key::new("", "a")]);
    let entries = found(table.query(&Query::index(Index::Open, "")).await.unwrap().rows);
    assert_eq!(entries, [Key::new("", ""), Key::new("", "a"), Key::new("p", "")]);
    assert_eq!(table.members(&Key::new("", "")).await.unwrap(), [""]);
}

#[tokio::test]
async fn a_row_put_whatever_is_there_starts_anew_once_it_has_expired() {
    let table = world::table(&world::aws()).await;
    let past = world::clock().now() - jiff::SignedDuration::from_secs(5);
    let expired = Wanted { expires_at: Some(past), ..plain() };
    let key = Key::new("p", "a");
    for with in [vec![], vec![put("b", Expect::Anything, plain())]] {
        for wanted in [expired.clone(), expired.clone(), plain()] {
            let op = Op::Put(key.clone(), Expect::Anything, wanted);
            table.commit([vec![op], with.clone()].concat()).await.unwrap();
        }
        assert_eq!(table.get(&key).await.unwrap().unwrap().version, 1);
        table.commit(vec![Op::Delete(key.clone(), Expect::Anything)]).await.unwrap();
    }
}

/// Whether any item of the table has the attribute.
async fn has(aws: &Aws, table: &str, attribute: &str) -> bool {
    let all = aws.dynamodb().scan().table_name(table).consistent_read(true).send().await.unwrap();
    all.items().iter().any(|item| item.contains_key(attribute))
}

#[tokio::test]
async fn a_set_that_refused_somebody_says_so_until_somebody_leaves() {
    let aws = world::aws();
    let name = world::new_table(&aws).await;
    let table = world::open_table(&aws, &name);
    let set = Key::new("p", "set");
    // In the head alone, and spilled from it.
    for limit in [1, 18] {
        for member in 0..limit {
            table.commit(vec![join(&set, member, limit)]).await.unwrap();
        }
        assert!(!has(&aws, &name, REFUSED).await, "nobody was refused");
        for _ in 0..2 {
            let refused = table.commit(vec![join(&set, "late", limit)]).await.unwrap_err();
            assert!(matches!(refused, TableError::Full(_)), "{refused:?}");
            assert!(has(&aws, &name, REFUSED).await);
        }
        table.commit(vec![leave(&set, "nobody")]).await.unwrap();
        assert!(has(&aws, &name, REFUSED).await, "nobody has left");
        table.commit(vec![leave(&set, limit - 1)]).await.unwrap();
        assert!(!has(&aws, &name, REFUSED).await);
        for member in 0..limit {
            table.commit(vec![leave(&set, member)]).await.unwrap();
        }
    }
    table.commit(vec![join(&set, "nobody", 0)]).await.unwrap_err();
    assert!(has(&aws, &name, REFUSED).await, "one that nobody may join is full as well");
}

#[tokio::test]
async fn a_row_says_that_it_is_due_as_long_as_it_is() {
    let aws = world::aws();
    let name = world::new_table(&aws).await;
    let table = world::open_table(&aws, &name);
    let now = world::clock().now();
    for (after, calls) in [(-1, true), (60, false), (-1, true)] {
        let sort = due_sort(now + jiff::SignedDuration::from_secs(after));
        let mark = Mark { partition: "due#1".into(), sort };
        let wanted = Wanted { marks: BTreeMap::from([(Index::Due, mark)]), ..plain() };
        table.commit(vec![Op::Put(Key::new("p", "a"), Expect::Anything, wanted)]).await.unwrap();
        assert_eq!(has(&aws, &name, CALLS).await, calls);
    }
}

#[tokio::test]
async fn a_set_and_a_row_may_have_the_same_key() {
    let table = world::table(&world::aws()).await;
    let key = Key::new("p", "a");
    table.commit(vec![join(&key, "m", 9), put("b", Expect::Absent, plain())]).await.unwrap();
    table.commit(vec![put("a", Expect::Absent, plain())]).await.unwrap();
    for n in 0..40 {
        table.commit(vec![join(&key, n, 100)]).await.unwrap();
    }
    let rows = table.query(&Query::partition("p")).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| &*row.key.sort).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(table.members(&key).await.unwrap().len(), 41);
}

/// As many processes as there are tables, each with a memory of its own.
async fn at_once(tables: &[DynamoTable], ops: Vec<Op>) -> Vec<Result<(), TableError>> {
    stream::iter(ops.into_iter().enumerate())
        .map(|(n, op)| tables[n % tables.len()].commit(vec![op]))
        .buffered(32)
        .collect()
        .await
}

#[tokio::test]
async fn a_set_keeps_its_limit_while_it_spills_and_shrinks() {
    let aws = world::aws();
    let name = world::new_table(&aws).await;
    let tables = [world::open_table(&aws, &name), world::open_table(&aws, &name)];
    let set = Key::new("s", "s");
    for limit in [40, 10, 15, 14] {
        let before = tables[0].members(&set).await.unwrap().len();
        let joined = at_once(&tables, (100..200).map(|n| join(&set, n, limit)).collect()).await;
        let refused =
            joined.iter().filter(|outcome| matches!(outcome, Err(TableError::Full(_)))).count();
        let members = tables[0].members(&set).await.unwrap();
        let expected = before.max(usize::try_from(limit).unwrap());
        assert_eq!(members.len(), expected, "with a limit of {limit}");
        assert_eq!(refused, 100 - expected, "with a limit of {limit}: {joined:?}");

        // Most leave, wherever they are; some twice, and at once.
        let leavers: Vec<Op> = members[3..]
            .iter()
            .chain(&members[20.min(expected)..])
            .map(|one| leave(&set, one))
            .collect();
        assert!(at_once(&tables, leavers).await.iter().all(Result::is_ok));
        assert_eq!(tables[1].members(&set).await.unwrap(), members[..3]);
    }
}

#[tokio::test]
async fn members_are_moved_with_rows_wherever_they_are() {
    let aws = world::aws();
    let name = world::new_table(&aws).await;
    let table = world::open_table(&aws, &name);
    let set = Key::new("s", "s");
    for n in 10..40 {
        let row = put(&n.to_string(), Expect::Absent, plain());
        table.commit(vec![join(&set, n, 30), row]).await.unwrap();
    }
    let late = vec![put("late", Expect::Absent, plain()), join(&set, "late", 30)];
    assert!(matches!(table.commit(late).await, Err(TableError::Full(_))));
    // Another process, which knows nothing of the set.
    let other = world::open_table(&aws, &name);
    for n in [39, 10, 38, 11] {
        let row = |expect| put(&n.to_string(), expect, plain());
        let stale = vec![leave(&set, n), row(Expect::Version(9))];
        assert!(matches!(other.commit(stale).await, Err(TableError::Stale(_))));
        other.commit(vec![leave(&set, n), row(Expect::Version(1))]).await.unwrap();
        // Out already, joined again, in already.
        other.commit(vec![row(Expect::Version(2)), leave(&set, n)]).await.unwrap();
        other.commit(vec![row(Expect::Version(3)), join(&set, n, 30)]).await.unwrap();
        table.commit(vec![row(Expect::Version(4)), join(&set, n, 30)]).await.unwrap();
    }
    let all: Vec<String> = (10..40).map(|n: u32| n.to_string()).collect();
    assert_eq!(table.members(&set).await.unwrap(), all);
}

/// What a commit costs: on the table, and on its indexes.
async fn cost(table: &DynamoTable, meter: &Meter, ops: Vec<Op>) -> (f64, f64) {
    meter.take();
    table.commit(ops).await.unwrap();
    let readings = meter.take();
    let [Reading { table_units, index_units, done: true, requests: 1, .. }] = readings[..] else {
        panic!("more than one call: {readings:?}");
    };
    (table_units, index_units)
}

fn metered() -> (Aws, Meter) {
    let meter = Meter::default();
    (world::aws().metered(&meter), meter)
}

#[tokio::test]
async fn a_small_row_costs_a_unit_and_one_for_each_index() {
    let (aws, meter) = metered();
    let table = world::table(&aws).await;
    let text = "a job's record repeats the same few words, ".repeat(40);
    let wanted = Wanted { body: text.into(), ..marked("1") };
    let op = |expect| put("a", expect, wanted.clone());
    assert_eq!(cost(&table, &meter, vec![op(Expect::Absent)]).await, (1.0, 1.0));
    assert_eq!(cost(&table, &meter, vec![op(Expect::Version(1))]).await, (1.0, 0.0));
    // A mark that moves is removed and put.
    let moved = put("a", Expect::Version(2), marked("2"));
    assert_eq!(cost(&table, &meter, vec![moved]).await, (1.0, 2.0));
    let two = vec![put("b", Expect::Absent, plain()), put("c", Expect::Absent, plain())];
    assert_eq!(cost(&table, &meter, two).await, (4.0, 0.0));
}

#[tokio::test]
async fn a_join_costs_no_more_the_more_there_are() {
    let (aws, meter) = metered();
    let table = world::table(&aws).await;
    let set = Key::new("slots#0192d5a57f2f7d4e8c1b0a9f8e7d6c5b#default", "live");
    let member = |n| format!("att-0192d5a57f2f7d4e8c1b0a9f8e7d6c5b-1-1-{n}-1*16000*65536");
    for n in 0..14 {
        assert_eq!(cost(&table, &meter, vec![join(&set, member(n), 10_000)]).await, (1.0, 0.0));
    }
    // The first that spills finds out.
    table.commit(vec![join(&set, member(14), 10_000)]).await.unwrap();
    for n in 15..200 {
        assert_eq!(cost(&table, &meter, vec![join(&set, member(n), 10_000)]).await, (4.0, 0.0));
    }
    assert_eq!(cost(&table, &meter, vec![leave(&set, member(100))]).await, (4.0, 0.0));
}

#[tokio::test]
async fn a_row_is_reminded_of_when_it_comes_due() {
    let aws = world::aws();
    let calls = SignedCalls::new(&aws, world::clock());
    let call = async |operation: &str, body: Value| {
        calls.call(SQS, calls.region(), operation, &body).await.unwrap()
    };
    let made = call("CreateQueue", json!({ "QueueName": world::fresh("reminders") })).await;
    let queue = made["QueueUrl"].as_str().unwrap();
    let receive = |seconds: u32| {
        call("ReceiveMessage", json!({ "QueueUrl": queue, "WaitTimeSeconds": seconds }))
    };
    let table = world::table(&aws).await.reminding(Some(Reminders::new(calls.clone(), queue)));
    let now = world::clock().now();
    table.remind(&Key::new("p", "a"), now + jiff::SignedDuration::from_secs(2)).await;
    assert_eq!(receive(0).await["Messages"].as_array().map_or(0, Vec::len), 0);
    let message = receive(20).await["Messages"][0]["Body"].take();
    let reminder: Reminder = serde_json::from_str(message.as_str().unwrap()).unwrap();
    assert_eq!(reminder, Reminder { due_partition: "p".into(), due_sort: "a".into() });
    assert!(world::clock().now() >= now + jiff::SignedDuration::from_secs(2));
}
