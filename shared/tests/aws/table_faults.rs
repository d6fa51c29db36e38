//! What the table does when DynamoDB, or the way to it, fails.

use std::collections::BTreeMap;

use shared::{
    aws::table::DynamoTable,
    platform::{Expect, Index, Key, Mark, Op, Query, Staged, Table, TableError, Wanted},
};
use tokio::sync::oneshot;

use super::{
    wire::{Fault, Wire},
    world,
};

/// A table, and the same at the end of a wire.
struct Setup {
    name: String,
    near: DynamoTable,
    far: DynamoTable,
    wire: Wire,
}

impl Setup {
    async fn new() -> Self {
        let aws = world::aws();
        let name = world::new_table(&aws).await;
        let near = world::open_table(&aws, &name);
        let wire = Wire::new().await;
        let far = world::open_table(&aws.at(wire.address()), &name);
        Setup { name, near, far, wire }
    }

    async fn version(&self) -> Option<u64> {
        self.near.get(&key()).await.unwrap().map(|row| row.version)
    }
}

fn key() -> Key {
    Key::new("p", "a")
}

fn plain() -> Wanted {
    Wanted { body: "x".into(), marks: BTreeMap::new(), expires_at: None }
}

fn put(expect: Expect) -> Op {
    Op::Put(key(), expect, plain())
}

fn other_put() -> Op {
    Op::Put(Key::new("p", "b"), Expect::Anything, plain())
}

fn throttled() -> Fault {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}"#;
    Fault::Answer(400, body.to_owned())
}

fn cancelled(reasons: &[&str]) -> Fault {
    let reasons: Vec<String> =
        reasons.iter().map(|code| format!(r#"{{"Code":"{code}"}}"#)).collect();
    Fault::Answer(
        400,
        format!(
            r#"{{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"cancelled","CancellationReasons":[{}]}}"#,
            reasons.join(",")
        ),
    )
}

fn conflict() -> Fault {
    let body = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"busy"}"#;
    Fault::Answer(400, body.to_owned())
}

fn assert_unavailable(outcome: &Result<(), TableError>) {
    assert!(matches!(outcome, Err(TableError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_takes_place_once() {
    let setup = Setup::new().await;
    let expects = [Expect::Absent, Expect::Version(1), Expect::Anything, Expect::Version(3)];
    for (expect, version) in expects.into_iter().zip(1..) {
        setup.wire.next("UpdateItem", Fault::Lose);
        setup.far.commit(vec![put(expect)]).await.unwrap();
        assert_eq!(setup.version().await, Some(version), "{expect:?}");
    }
    for (expect, version) in [Expect::Version(4), Expect::Anything].into_iter().zip(5..) {
        setup.wire.next("TransactWriteItems", Fault::Lose);
        setup.far.commit(vec![put(expect), other_put()]).await.unwrap();
        assert_eq!(setup.version().await, Some(version), "{expect:?}");
    }
    assert_eq!(setup.wire.left(), 0);
}

#[tokio::test]
async fn what_comes_last_may_be_missing_and_what_came_first_may_stay() {
    let setup = Setup::new().await;
    let refused = || {
        let body = r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}"#;
        Fault::Answer(400, body.to_owned())
    };
    let first = |sort: &str| Op::Put(Key::new("first", sort), Expect::Absent, plain());
    let is_there =
        async |sort: &str| setup.near.get(&Key::new("first", sort)).await.unwrap().is_some();
    let staged = |sort, expect| Staged {
        before: vec![first(sort)],
        ops: vec![put(expect), other_put()],
        after: vec![Op::Delete(Key::new("first", "last"), Expect::Anything)],
    };
    setup.near.commit(vec![first("last")]).await.unwrap();

    setup.wire.next("DeleteItem", refused());
    setup.far.commit_staged(staged("1", Expect::Absent)).await.unwrap();
    assert!(is_there("1").await && is_there("last").await);
    assert_eq!(setup.version().await, Some(1));

    setup.wire.next("TransactWriteItems", refused());
    assert_unavailable(&setup.far.commit_staged(staged("2", Expect::Version(1))).await);
    assert!(is_there("2").await && is_there("last").await);
    assert_eq!((setup.version().await, setup.wire.left()), (Some(1), 0));
}

#[tokio::test]
async fn who_was_refused_before_the_answer_was_lost_is_not_told_that_it_was_done() {
    let setup = Setup::new().await;
    setup.near.commit(vec![put(Expect::Absent)]).await.unwrap();
    setup.wire.next("UpdateItem", Fault::Lose);
    assert_unavailable(&setup.far.commit(vec![put(Expect::Absent)]).await);
    setup.wire.next("TransactWriteItems", Fault::Lose);
    let stale = setup.far.commit(vec![put(Expect::Version(9)), other_put()]).await;
    assert!(matches!(stale, Err(TableError::Stale(stale)) if stale == key()));
    assert_eq!((setup.version().await, setup.wire.left()), (Some(1), 0));
}

#[tokio::test]
async fn a_lost_write_that_others_wrote_over_is_not_called_stale() {
    let setup = Setup::new().await;
    for (expect, version) in [(Expect::Absent, 1), (Expect::Version(2), 3)] {
        let (permit, permitted) = oneshot::channel();
        setup.wire.next("UpdateItem", Fault::LoseAfter(permitted));
        let writing = setup.far.commit(vec![put(expect)]);
        let others = async {
            let before = (version > 1).then(|| version - 1);
            let seen = setup.near.changed(&key(), before, std::time::Duration::from_secs(20)).await;
            assert_eq!(seen.unwrap().unwrap().version, version);
            setup.near.commit(vec![put(Expect::Version(version))]).await.unwrap();
            permit.send(()).unwrap();
        };
        let (written, ()) = futures::join!(writing, others);
        assert_unavailable(&written);
        assert_eq!(setup.version().await, Some(version + 1));
    }
}

#[tokio::test]
async fn whether_a_lost_removal_was_ones_own_is_not_known() {
    let setup = Setup::new().await;
    setup.near.commit(vec![put(Expect::Absent)]).await.unwrap();
    setup.wire.next("DeleteItem", Fault::Lose);
    assert_unavailable(&setup.far.commit(vec![Op::Delete(key(), Expect::Version(1))]).await);
    assert_eq!(setup.version().await, None);
    setup.near.commit(vec![put(Expect::Absent)]).await.unwrap();
    setup.wire.next("DeleteItem", Fault::Lose);
    setup.far.commit(vec![Op::Delete(key(), Expect::Anything)]).await.unwrap();
    assert_eq!((setup.version().await, setup.wire.left()), (None, 0));
}

#[tokio::test]
async fn lost_joins_and_leaves_count_once() {
    let setup = Setup::new().await;
    let set = Key::new("s", "s");
    let join = |n: u32| Op::Join { key: set.clone(), member: format!("{n:02}"), limit: 20.into() };
    let leave = |n: u32| Op::Leave { key: set.clone(), member: format!("{n:02}") };
    for n in 0..20 {
        let call = if n < 14 { "UpdateItem" } else { "TransactWriteItems" };
        setup.wire.next(call, Fault::Lose);
        setup.far.commit(vec![join(n)]).await.unwrap();
    }
    assert!(matches!(setup.near.commit(vec![join(20)]).await, Err(TableError::Full(_))));
    for (n, call) in [(3, "UpdateItem"), (18, "TransactWriteItems")] {
        setup.wire.next(call, Fault::Lose);
        // What this process remembers of the set is wrong in one of the two cases.
        setup.far.commit(vec![leave(n)]).await.unwrap();
        setup.near.commit(vec![join(20 + n)]).await.unwrap();
        assert!(matches!(setup.near.commit(vec![join(40)]).await, Err(TableError::Full(_))));
    }
    assert_eq!(setup.near.members(&set).await.unwrap().len(), 20);
    assert_eq!(setup.wire.left(), 0);
}

#[tokio::test]
async fn a_table_that_is_busy_is_asked_again() {
    let setup = Setup::new().await;
    for fault in [throttled(), throttled(), conflict(), conflict()] {
        setup.wire.next("UpdateItem", fault);
    }
    setup.far.commit(vec![put(Expect::Absent)]).await.unwrap();
    for reasons in [["TransactionConflict", "None"], ["None", "ThrottlingError"]] {
        setup.wire.next("TransactWriteItems", cancelled(&reasons));
    }
    setup.far.commit(vec![put(Expect::Version(1)), other_put()]).await.unwrap();
    setup.wire.next("GetItem", throttled());
    assert_eq!(setup.far.get(&key()).await.unwrap().unwrap().version, 2);
    assert_eq!(setup.wire.left(), 0);
}

#[tokio::test]
async fn a_table_that_stays_busy_is_not_asked_for_ever() {
    let setup = Setup::new().await;
    for _ in 0..100 {
        setup.wire.next("UpdateItem", throttled());
        setup.wire.next(
            "TransactWriteItems",
            cancelled(&["TransactionConflict", "ConditionalCheckFailed"]),
        );
    }
    assert_unavailable(&setup.far.commit(vec![put(Expect::Absent)]).await);
    assert_unavailable(&setup.far.commit(vec![put(Expect::Absent), other_put()]).await);
    assert!(setup.wire.left() > 100, "{} faults are left", setup.wire.left());
    assert_eq!(setup.version().await, None);
}

#[tokio::test]
async fn what_is_wrong_for_good_is_not_tried_again() {
    let setup = Setup::new().await;
    for _ in 0..2 {
        setup.wire.next("TransactWriteItems", cancelled(&["None", "ValidationError"]));
    }
    assert_unavailable(&setup.far.commit(vec![put(Expect::Absent), other_put()]).await);
    assert_eq!(setup.wire.left(), 1);
}

fn marked(sort: &str) -> Op {
    let mark = Mark { partition: "m".to_owned(), sort: sort.to_owned() };
    let wanted = Wanted { marks: BTreeMap::from([(Index::Due, mark)]), ..plain() };
    Op::Put(Key::new("p", sort), Expect::Anything, wanted)
}

#[tokio::test]
async fn rows_that_were_left_for_later_are_asked_for_again() {
    let setup = Setup::new().await;
    setup.near.commit(vec![marked("a"), marked("b")]).await.unwrap();
    let keys = r#"[{"p":{"S":"p"},"s":{"S":"a"}},{"p":{"S":"p"},"s":{"S":"b"}}]"#;
    let table = &setup.name;
    for _ in 0..2 {
        let body = format!(
            r#"{{"Responses":{{}},"UnprocessedKeys":{{"{table}":{{"Keys":{keys},"ConsistentRead":true}}}}}}"#
        );
        setup.wire.next("BatchGetItem", Fault::Answer(200, body));
    }
    let rows = setup.far.query(&Query::index(Index::Due, "m")).await.unwrap().rows;
    assert_eq!((rows.len(), setup.wire.left()), (2, 0));
}

#[tokio::test]
async fn what_an_index_still_holds_of_rows_that_moved_is_left_out() {
    let setup = Setup::new().await;
    setup.near.commit(vec![marked("a"), marked("c")]).await.unwrap();
    // As an index that lags would answer: `a` was elsewhere, `b` is gone.
    let entry = |sort: &str, place: &str| {
        format!(
            r#"{{"p":{{"S":"p"}},"s":{{"S":"{sort}"}},"dp":{{"S":"m"}},"ds":{{"S":"{place}\u0000p\u0000{sort}"}}}}"#
        )
    };
    let entries = [entry("a", "0"), entry("b", "b"), entry("c", "c")].join(",");
    setup.wire.next(
        "DynamoDB_20120810.Query",
        Fault::Answer(200, format!(r#"{{"Items":[{entries}],"Count":3}}"#)),
    );
    let rows = setup.far.query(&Query::index(Index::Due, "m")).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| &*row.key.sort).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_row_and_no_panic() {
    let setup = Setup::new().await;
    for item in [
        r#"{"p":{"S":"p"},"s":{"S":"a"},"v":{"N":"1"}}"#,
        r#"{"p":{"S":"p"},"s":{"S":"a"},"v":{"N":"1"},"b":{"B":"CQ=="}}"#,
        r#"{"p":{"S":"p"},"s":{"S":"a"},"v":{"N":"1"},"b":{"B":"AA=="},"dp":{"S":"m"},"ds":{"S":"x"}}"#,
    ] {
        setup.wire.next("GetItem", Fault::Answer(200, format!(r#"{{"Item":{item}}}"#)));
        let read = setup.far.get(&key()).await;
        assert!(matches!(read, Err(TableError::Unavailable(_))), "{read:?}");
    }
}
