//! What a [`Table`] is: one check for each thing that its documentation says.

#![expect(missing_docs, reason = "a check's name is the sentence that it holds the table to")]
#![expect(clippy::unwrap_used, reason = "an outcome that should not be is a failed check")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{fresh, in_seconds as soon};
use crate::platform::{
    Expect, Index, Key, Mark, Op, Page, Query, Row, SetLimit, SetSize, Staged, Table, TableError,
    Wanted, set::weighed,
};

super::suite! {
    ($)
    /// Makes a test of every check that a table has to pass. It takes the path
    /// of a function that returns, in time, the table, as something that derefs to
    /// `dyn Table`, and whatever has to be kept until the check is over.
    table_suite, &dyn Table, table:
    what_was_put_is_got,
    a_row_that_was_never_put_is_none,
    a_glance_sees_what_is_there_before_long,
    versions_count_from_one,
    an_absent_row_that_is_there_exists,
    a_stale_writer_is_told_so,
    a_version_of_a_row_that_is_not_there_is_stale,
    a_removed_row_is_gone_and_starts_anew,
    removing_is_conditional,
    removing_what_is_not_there_is_fine,
    a_check_changes_nothing_and_guards_the_rest,
    a_commit_is_whole_or_absent,
    the_first_change_that_fails_decides,
    a_hundred_changes_are_one_commit,
    of_writers_with_the_same_version_one_wins,
    of_writers_of_an_absent_row_one_wins,
    increments_by_version_lose_nothing,
    bodies_of_a_quarter_mebibyte_are_kept,
    an_empty_body_is_a_row,
    keys_may_hold_any_text,
    long_keys_are_kept_apart,
    partitions_are_kept_apart,
    a_partition_is_in_bytewise_order,
    a_query_can_go_backwards,
    a_query_can_be_bounded,
    a_query_can_ask_for_a_prefix,
    a_query_sees_the_latest_write,
    pages_are_whole_in_both_directions,
    pages_stay_whole_while_rows_come_and_go,
    large_rows_are_paged_whole,
    an_index_holds_marked_rows_in_the_order_of_marks,
    an_index_is_sparse,
    equal_marks_come_in_the_order_of_keys,
    a_mark_moves_with_its_row,
    a_mark_goes_with_its_row,
    an_index_is_paged_whole,
    an_index_can_be_bounded,
    rows_are_counted_as_far_as_asked,
    a_row_can_be_in_every_index,
    a_row_does_not_count_once_it_has_expired,
    an_expired_row_is_in_no_query,
    an_expired_row_can_be_put_anew,
    a_row_counts_until_it_expires,
    a_set_without_members_is_empty,
    members_are_sorted_and_each_there_once,
    joining_twice_and_leaving_twice_is_fine,
    a_full_set_takes_nobody_new,
    joins_at_once_never_exceed_the_limit,
    joins_and_leaves_at_once_all_count,
    a_join_and_a_put_are_one_commit,
    what_is_staged_is_all_there_in_the_end,
    a_staged_change_that_is_refused_stops_what_follows,
    what_comes_after_a_refused_commit_is_not_carried_out,
    a_set_holds_a_thousand_members,
    a_set_takes_no_more_than_its_members_may_weigh,
    a_set_of_many_members_weighs_what_they_do,
    joins_at_once_never_exceed_a_weight,
    weights_are_exact_after_joins_and_leaves_at_once,
    a_change_wakes_who_waits_for_it,
    a_first_put_and_a_removal_wake_too,
    what_has_changed_already_is_not_waited_for,
    patience_ends,
    another_rows_change_wakes_nobody,
}

/// How long an index may lag.
const LAG: Duration = Duration::from_secs(5);

pub async fn what_was_put_is_got(table: &dyn Table) {
    let key = key("a");
    let marks = BTreeMap::from([(Index::Due, mark("m", "1")), (Index::Open, mark("n", "2"))]);
    let expires_at = Some(soon(3600));
    let wanted = Wanted { body: text("hello"), marks: marks.clone(), expires_at };

    table.commit(vec![Op::Put(key.clone(), Expect::Absent, wanted)]).await.unwrap();

    let row = Row { key: key.clone(), version: 1, body: text("hello"), marks, expires_at };
    assert_eq!(table.get(&key).await.unwrap(), Some(row));
}

pub async fn a_row_that_was_never_put_is_none(table: &dyn Table) {
    let key = key("a");
    assert_eq!(table.get(&key).await.unwrap(), None);
    assert_eq!(table.glance(&key).await.unwrap(), None);
    assert_eq!(table.find(&key).await.unwrap(), None);
}

pub async fn a_glance_sees_what_is_there_before_long(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();
    let found = table.find(&key).await.unwrap();
    assert_eq!(found, table.get(&key).await.unwrap(), "however new it is");
    put(table, &key, Expect::Version(1), "2").await.unwrap();
    let latest = table.get(&key).await.unwrap();
    let until = Instant::now() + LAG;
    while table.glance(&key).await.unwrap() != latest {
        assert!(Instant::now() < until, "a glance lags by more than {LAG:?}");
        tokio::task::yield_now().await;
    }
}

pub async fn versions_count_from_one(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();
    put(table, &key, Expect::Version(1), "2").await.unwrap();
    put(table, &key, Expect::Anything, "3").await.unwrap();
    let row = table.get(&key).await.unwrap().unwrap();
    assert_eq!((row.version, row.body), (3, text("3")));
}

pub async fn an_absent_row_that_is_there_exists(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "first").await.unwrap();

    let refused = put(table, &key, Expect::Absent, "second").await;

    assert_exists(&refused, &key);
    assert_body(table, &key, Some("first")).await;
}

pub async fn a_stale_writer_is_told_so(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();
    put(table, &key, Expect::Version(1), "2").await.unwrap();

    assert_stale(&put(table, &key, Expect::Version(1), "late").await, &key);
    assert_stale(&put(table, &key, Expect::Version(3), "early").await, &key);
    assert_body(table, &key, Some("2")).await;
}

pub async fn a_version_of_a_row_that_is_not_there_is_stale(table: &dyn Table) {
    let key = key("a");
    assert_stale(&put(table, &key, Expect::Version(1), "x").await, &key);
    assert_stale(&delete(table, &key, Expect::Version(1)).await, &key);
    assert_body(table, &key, None).await;
}

pub async fn a_removed_row_is_gone_and_starts_anew(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();
    put(table, &key, Expect::Version(1), "2").await.unwrap();

    delete(table, &key, Expect::Version(2)).await.unwrap();

    assert_body(table, &key, None).await;
    put(table, &key, Expect::Absent, "anew").await.unwrap();
    assert_eq!(table.get(&key).await.unwrap().unwrap().version, 1);
}

pub async fn removing_is_conditional(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();

    assert_stale(&delete(table, &key, Expect::Version(2)).await, &key);
    assert_body(table, &key, Some("1")).await;
    delete(table, &key, Expect::Anything).await.unwrap();
    assert_body(table, &key, None).await;
}

pub async fn removing_what_is_not_there_is_fine(table: &dyn Table) {
    let key = key("a");
    delete(table, &key, Expect::Anything).await.unwrap();
    assert_body(table, &key, None).await;
}

pub async fn a_check_changes_nothing_and_guards_the_rest(table: &dyn Table) {
    let [guard, guarded] = keys(["a", "b"]);
    let check = |expect| Op::Check(guard.clone(), expect);
    let write = || Op::Put(guarded.clone(), Expect::Anything, plain("x"));

    assert_stale(&table.commit(vec![write(), check(Expect::Version(1))]).await, &guard);
    assert_body(table, &guarded, None).await;

    put(table, &guard, Expect::Absent, "guard").await.unwrap();
    assert_exists(&table.commit(vec![check(Expect::Absent), write()]).await, &guard);
    assert_body(table, &guarded, None).await;

    table.commit(vec![check(Expect::Version(1)), write()]).await.unwrap();
    assert_body(table, &guarded, Some("x")).await;
    assert_eq!(table.get(&guard).await.unwrap().unwrap().version, 1);
}

pub async fn a_commit_is_whole_or_absent(table: &dyn Table) {
    let [kept, gone, new, set, odd] = keys(["a", "b", "c", "d", "e"]);
    put(table, &kept, Expect::Absent, "before").await.unwrap();
    put(table, &gone, Expect::Absent, "before").await.unwrap();
    let ops = |expect| {
        vec![
            Op::Put(kept.clone(), Expect::Version(1), plain("after")),
            Op::Delete(gone.clone(), Expect::Version(1)),
            Op::Put(new.clone(), Expect::Absent, plain("after")),
            Op::Join { key: set.clone(), member: "m".to_owned(), limit: 1.into() },
            Op::Put(odd.clone(), expect, plain("after")),
        ]
    };

    assert_stale(&table.commit(ops(Expect::Version(7))).await, &odd);

    assert_body(table, &kept, Some("before")).await;
    assert_body(table, &gone, Some("before")).await;
    assert_body(table, &new, None).await;
    assert_eq!(table.members(&set).await.unwrap(), Vec::<String>::new());

    table.commit(ops(Expect::Absent)).await.unwrap();

    assert_body(table, &kept, Some("after")).await;
    assert_body(table, &gone, None).await;
    assert_body(table, &new, Some("after")).await;
    assert_eq!(table.members(&set).await.unwrap(), ["m"]);
}

pub async fn the_first_change_that_fails_decides(table: &dyn Table) {
    let [taken, full, absent, fine] = keys(["d", "c", "b", "a"]);
    put(table, &taken, Expect::Absent, "x").await.unwrap();
    join(table, &full, "m", 1).await.unwrap();
    let exists = Op::Put(taken.clone(), Expect::Absent, plain("y"));
    let stale = Op::Check(absent.clone(), Expect::Version(1));
    let crowded = Op::Join { key: full.clone(), member: "n".to_owned(), limit: 1.into() };
    let put = Op::Put(fine.clone(), Expect::Absent, plain("y"));

    let first = [put.clone(), exists.clone(), stale.clone(), crowded.clone()];
    assert_exists(&table.commit(first.to_vec()).await, &taken);
    let first = [put.clone(), stale.clone(), crowded.clone(), exists.clone()];
    assert_stale(&table.commit(first.to_vec()).await, &absent);
    assert_full(&table.commit(vec![crowded, put, exists, stale]).await, &full);
    assert_body(table, &fine, None).await;
}

pub async fn a_hundred_changes_are_one_commit(table: &dyn Table) {
    let partition = fresh();
    let place = |n: usize| Key::new(&partition, format!("{n:03}"));
    let ops = |last| {
        let puts = (0..99).map(|n| Op::Put(place(n), Expect::Absent, plain("x")));
        puts.chain([Op::Check(place(99), last)]).collect::<Vec<_>>()
    };

    assert_stale(&table.commit(ops(Expect::Version(1))).await, &place(99));
    assert_eq!(walk(table, &Query::partition(&partition)).await, Vec::<Row>::new());
    table.commit(ops(Expect::Absent)).await.unwrap();
    assert_eq!(walk(table, &Query::partition(&partition)).await.len(), 99);
}

pub async fn of_writers_with_the_same_version_one_wins(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "start").await.unwrap();
    race(table, &key, Expect::Version(1), |refused| assert_stale(&refused, &key)).await;
    assert_eq!(table.get(&key).await.unwrap().unwrap().version, 2);
}

pub async fn of_writers_of_an_absent_row_one_wins(table: &dyn Table) {
    let key = key("a");
    race(table, &key, Expect::Absent, |refused| assert_exists(&refused, &key)).await;
    assert_eq!(table.get(&key).await.unwrap().unwrap().version, 1);
}

pub async fn increments_by_version_lose_nothing(table: &dyn Table) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 10;
    let key = key("a");
    put(table, &key, Expect::Absent, "0").await.unwrap();
    let increment = || async {
        for _ in 0..EACH {
            loop {
                let row = table.get(&key).await.unwrap().unwrap();
                let count: u64 = std::str::from_utf8(&row.body).unwrap().parse().unwrap();
                let next = (count + 1).to_string();
                match put(table, &key, Expect::Version(row.version), &next).await {
                    Ok(()) => break,
                    refused => assert_stale(&refused, &key),
                }
            }
        }
    };

    join_all((0..WRITERS).map(|_| increment())).await;

    assert_body(table, &key, Some(&(WRITERS * EACH).to_string())).await;
    assert_eq!(table.get(&key).await.unwrap().unwrap().version, 1 + WRITERS * EACH);
}

pub async fn bodies_of_a_quarter_mebibyte_are_kept(table: &dyn Table) {
    let key = key("a");
    // Not text, and not compressible into something small.
    let mut state = 1_u32;
    let body: Bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(256 << 10)
    .collect();
    let wanted = Wanted { body: body.clone(), ..plain("") };
    table.commit(vec![Op::Put(key.clone(), Expect::Absent, wanted)]).await.unwrap();
    assert!(table.get(&key).await.unwrap().unwrap().body == body, "the body came back changed");
}

pub async fn an_empty_body_is_a_row(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "").await.unwrap();
    assert_body(table, &key, Some("")).await;
    assert_exists(&put(table, &key, Expect::Absent, "").await, &key);
}

pub async fn keys_may_hold_any_text(table: &dyn Table) {
    let run = fresh();
    let parts =
        ["日本/語", "e\u{301}", "é", "a#b", "a b", "\u{1}", "\u{10fffd}", "%2F", "..", "\\"];
    for partition in parts {
        let partition = format!("{run}{partition}");
        for sort in parts {
            put(table, &Key::new(&partition, sort), Expect::Absent, sort).await.unwrap();
        }
        let rows = walk(table, &Query::partition(&partition)).await;
        let expected: BTreeSet<&str> = parts.into();
        assert_eq!(sorts(&rows), Vec::from_iter(expected), "in {partition}");
        assert!(rows.iter().all(|row| row.body == text(&row.key.sort)));
    }
}

pub async fn long_keys_are_kept_apart(table: &dyn Table) {
    let partition = format!("{:x<512}", fresh());
    let long = "s".repeat(511);
    let [one, other] = ["1", "2"].map(|end| Key::new(&partition, format!("{long}{end}")));
    put(table, &one, Expect::Absent, "one").await.unwrap();
    put(table, &other, Expect::Absent, "other").await.unwrap();
    assert_body(table, &one, Some("one")).await;
    assert_body(table, &other, Some("other")).await;
}

pub async fn partitions_are_kept_apart(table: &dyn Table) {
    let run = fresh();
    // One is a prefix of the other, and both parts read together are the same.
    let [short, long] = [Key::new(format!("{run}a"), "bc"), Key::new(format!("{run}ab"), "c")];
    put(table, &short, Expect::Absent, "short").await.unwrap();
    put(table, &long, Expect::Absent, "long").await.unwrap();
    for (key, body) in [(short, "short"), (long, "long")] {
        let rows = walk(table, &Query::partition(&key.partition)).await;
        assert_eq!(sorts(&rows), [&key.sort]);
        assert_eq!(rows[0].body, text(body));
    }
}

pub async fn a_partition_is_in_bytewise_order(table: &dyn Table) {
    let partition = fresh();
    let ordered = ["10", "9", "A", "Z", "a", "a/", "aa", "z", "é", "\u{fffd}", "\u{10000}"];
    fill(table, &partition, ordered.iter().rev()).await;
    assert_eq!(sorts(&walk(table, &Query::partition(&partition)).await), ordered);
}

pub async fn a_query_can_go_backwards(table: &dyn Table) {
    let partition = fresh();
    fill(table, &partition, ["b", "a", "c"]).await;
    let query = Query { backwards: true, ..Query::partition(&partition) };
    assert_eq!(sorts(&walk(table, &query).await), ["c", "b", "a"]);
}

pub async fn a_query_can_be_bounded(table: &dyn Table) {
    let partition = fresh();
    fill(table, &partition, ["a", "b", "ba", "c", "d"]).await;
    for (from, to, expected) in [
        ("b", None, vec!["b", "ba", "c", "d"]),
        ("b", Some("c"), vec!["b", "ba"]),
        ("", Some("b"), vec!["a"]),
        ("bb", Some("zz"), vec!["c", "d"]),
        ("c", Some("c"), vec![]),
        ("d", Some("a"), vec![]),
        ("x", None, vec![]),
    ] {
        let (from, to) = (from.to_owned(), to.map(str::to_owned));
        let query = Query { from, to, ..Query::partition(&partition) };
        assert_eq!(sorts(&walk(table, &query).await), expected, "{query:?}");
        let backwards = Query { backwards: true, ..query };
        let expected: Vec<_> = expected.into_iter().rev().collect();
        assert_eq!(sorts(&walk(table, &backwards).await), expected, "{backwards:?}");
    }
}

pub async fn a_query_can_ask_for_a_prefix(table: &dyn Table) {
    let partition = fresh();
    fill(table, &partition, ["job", "job#", "job#1", "job#é", "job#\u{10fffd}", "job$", "jo"])
        .await;
    let query = Query::partition(&partition).prefix("job#");
    let expected = ["job#", "job#1", "job#é", "job#\u{10fffd}"];
    assert_eq!(sorts(&walk(table, &query).await), expected);
}

pub async fn a_query_sees_the_latest_write(table: &dyn Table) {
    let partition = fresh();
    let query = Query::partition(&partition);
    for n in 1..=20_u32 {
        let place = Key::new(&partition, "a");
        put(table, &place, Expect::Anything, &n.to_string()).await.unwrap();
        let rows = walk(table, &query).await;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].body, text(&n.to_string()));
    }
}

pub async fn pages_are_whole_in_both_directions(table: &dyn Table) {
    let partition = fresh();
    let all: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
    fill(table, &partition, &all).await;
    let inside: Vec<&str> = all[3..20].iter().map(String::as_str).collect();
    for limit in [1, 5, 7, 17, 1000] {
        for backwards in [false, true] {
            let (from, to) = ("03".to_owned(), Some("20".to_owned()));
            let query = Query { from, to, backwards, limit, ..Query::partition(&partition) };
            let mut rows = walk(table, &query).await;
            if backwards {
                rows.reverse();
            }
            assert_eq!(sorts(&rows), inside, "pages of {limit}, backwards: {backwards}");
        }
    }
}

pub async fn pages_stay_whole_while_rows_come_and_go(table: &dyn Table) {
    let partition = fresh();
    fill(table, &partition, ["b", "d", "f", "h", "j"]).await;
    let query = Query { limit: 2, ..Query::partition(&partition) };
    let first = page(table, &query, None).await;
    assert_eq!(sorts(&first.rows), ["b", "d"]);

    // Before the cursor, right behind it, further on; and where it stands, a row goes.
    fill(table, &partition, ["a", "c", "e", "g"]).await;
    delete(table, &Key::new(&partition, "d"), Expect::Anything).await.unwrap();
    delete(table, &Key::new(&partition, "h"), Expect::Anything).await.unwrap();

    let query = Query { cursor: first.cursor, ..query };
    assert_eq!(sorts(&walk(table, &query).await), ["e", "f", "g", "j"]);
}

pub async fn large_rows_are_paged_whole(table: &dyn Table) {
    let partition = fresh();
    let body = "x".repeat(200 << 10);
    let all: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
    for sort in &all {
        put(table, &Key::new(&partition, sort), Expect::Absent, &body).await.unwrap();
    }
    let query = Query { limit: 1000, ..Query::partition(&partition) };
    let rows = walk(table, &query).await;
    assert_eq!(sorts(&rows), all);
    assert!(rows.iter().all(|row| row.body.len() == body.len()));
}

pub async fn an_index_holds_marked_rows_in_the_order_of_marks(table: &dyn Table) {
    let partition = fresh();
    let shard = fresh();
    for (sort, due) in [("a", "3"), ("b", "1"), ("c", "2")] {
        put_marked(table, &Key::new(&partition, sort), Index::Due, &mark(&shard, due)).await;
    }
    let query = Query::index(Index::Due, &shard);
    let rows = eventually(table, &query, &["b", "c", "a"]).await;
    // Whole rows, not only keys.
    assert_eq!(rows[0].key, Key::new(&partition, "b"));
    assert_eq!((rows[0].version, &rows[0].body), (1, &text("marked")));
    assert_eq!(rows[0].marks, BTreeMap::from([(Index::Due, mark(&shard, "1"))]));
    eventually(table, &Query { backwards: true, ..query }, &["a", "c", "b"]).await;
}

pub async fn an_index_is_sparse(table: &dyn Table) {
    let partition = fresh();
    let shard = fresh();
    fill(table, &partition, ["a", "b"]).await;
    put_marked(table, &Key::new(&partition, "c"), Index::Queue, &mark(&shard, "1")).await;
    put_marked(table, &Key::new(&partition, "d"), Index::Open, &mark(&shard, "1")).await;
    eventually(table, &Query::index(Index::Queue, &shard), &["c"]).await;
    eventually(table, &Query::index(Index::Open, &shard), &["d"]).await;
    eventually(table, &Query::index(Index::Due, &shard), &[]).await;
    // The rows' own partition is not one of the index.
    eventually(table, &Query::index(Index::Queue, &partition), &[]).await;
}

pub async fn equal_marks_come_in_the_order_of_keys(table: &dyn Table) {
    let run = fresh();
    let shard = fresh();
    let ordered = [("a", "x"), ("a", "y"), ("b", "a"), ("b", "b"), ("c", "0")];
    for (partition, sort) in ordered.into_iter().rev() {
        let place = Key::new(format!("{run}{partition}"), sort);
        put_marked(table, &place, Index::Due, &mark(&shard, "same")).await;
    }
    for limit in [100, 2] {
        let query = Query { limit, ..Query::index(Index::Due, &shard) };
        let rows = eventually(table, &query, &["x", "y", "a", "b", "0"]).await;
        let found: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
        assert_eq!(found, ordered.map(|(p, sort)| Key::new(format!("{run}{p}"), sort)));
    }
}

pub async fn a_mark_moves_with_its_row(table: &dyn Table) {
    let [moved, still] = keys(["a", "b"]);
    let [shard, other] = [fresh(), fresh()];
    put_marked(table, &moved, Index::Due, &mark(&shard, "1")).await;
    put_marked(table, &still, Index::Due, &mark(&shard, "2")).await;
    eventually(table, &Query::index(Index::Due, &shard), &["a", "b"]).await;

    put_marked(table, &moved, Index::Due, &mark(&shard, "3")).await;
    eventually(table, &Query::index(Index::Due, &shard), &["b", "a"]).await;

    put_marked(table, &moved, Index::Due, &mark(&other, "3")).await;
    eventually(table, &Query::index(Index::Due, &shard), &["b"]).await;
    eventually(table, &Query::index(Index::Due, &other), &["a"]).await;

    put_marked(table, &moved, Index::Queue, &mark(&other, "3")).await;
    eventually(table, &Query::index(Index::Due, &other), &[]).await;
    eventually(table, &Query::index(Index::Queue, &other), &["a"]).await;
}

pub async fn a_mark_goes_with_its_row(table: &dyn Table) {
    let [unmarked, removed, kept] = keys(["a", "b", "c"]);
    let shard = fresh();
    for key in [&unmarked, &removed, &kept] {
        put_marked(table, key, Index::Open, &mark(&shard, "1")).await;
    }
    eventually(table, &Query::index(Index::Open, &shard), &["a", "b", "c"]).await;
    put(table, &unmarked, Expect::Anything, "unmarked").await.unwrap();
    delete(table, &removed, Expect::Anything).await.unwrap();
    eventually(table, &Query::index(Index::Open, &shard), &["c"]).await;
}

pub async fn an_index_is_paged_whole(table: &dyn Table) {
    let partition = fresh();
    let shard = fresh();
    let all: Vec<String> = (0..23).map(|n| format!("{n:02}")).collect();
    let marked = |sort: &String| {
        let marks = BTreeMap::from([(Index::Queue, mark(&shard, &sort[..1]))]);
        Op::Put(Key::new(&partition, sort), Expect::Absent, Wanted { marks, ..plain("x") })
    };
    table.commit(all.iter().map(marked).collect()).await.unwrap();
    let mut expected: Vec<&str> = all.iter().map(String::as_str).collect();
    for backwards in [false, true] {
        for limit in [1, 4, 1000] {
            let query = Query { backwards, limit, ..Query::index(Index::Queue, &shard) };
            eventually(table, &query, &expected).await;
        }
        expected.reverse();
    }
}

pub async fn an_index_can_be_bounded(table: &dyn Table) {
    let partition = fresh();
    let shard = fresh();
    for (sort, at) in [("a", "1"), ("b", "2"), ("c", "2"), ("d", "2#"), ("e", "3")] {
        put_marked(table, &Key::new(&partition, sort), Index::Due, &mark(&shard, at)).await;
    }
    let query = Query::index(Index::Due, &shard);
    eventually(table, &query, &["a", "b", "c", "d", "e"]).await;
    eventually(table, &query.clone().prefix("2"), &["b", "c", "d"]).await;
    let bounded = |from: &str, to: &str| Query {
        from: from.to_owned(),
        to: Some(to.to_owned()),
        ..query.clone()
    };
    eventually(table, &bounded("", "2"), &["a"]).await;
    eventually(table, &bounded("2", "2#"), &["b", "c"]).await;
    eventually(table, &bounded("2#", "9"), &["d", "e"]).await;
}

pub async fn rows_are_counted_as_far_as_asked(table: &dyn Table) {
    let (partition, shard) = (fresh(), fresh());
    assert_eq!(table.count(&Query::partition(&partition), 10).await.unwrap(), 0);
    for sort in ["a", "b", "c", "d", "e"] {
        put_marked(table, &Key::new(&partition, sort), Index::Open, &mark(&shard, sort)).await;
    }
    let index = Query::index(Index::Open, &shard);
    eventually(table, &index, &["a", "b", "c", "d", "e"]).await;
    for query in [Query::partition(&partition), index] {
        let few = Query { limit: 2, ..query.clone() };
        assert_eq!(table.count(&few, 10).await.unwrap(), 5);
        assert_eq!(table.count(&query, 5).await.unwrap(), 5);
        assert_eq!(table.count(&query, 3).await.unwrap(), 3);
        let bounded = Query { from: "b".to_owned(), to: Some("d".to_owned()), ..query };
        assert_eq!(table.count(&bounded, 10).await.unwrap(), 2);
    }
}

pub async fn a_row_can_be_in_every_index(table: &dyn Table) {
    let key = key("a");
    let shard = fresh();
    let marks = Index::ALL.map(|index| (index, mark(&shard, &format!("{index:?}"))));
    let wanted = Wanted { marks: marks.into(), ..plain("x") };
    table.commit(vec![Op::Put(key, Expect::Absent, wanted)]).await.unwrap();
    for index in Index::ALL {
        let rows = eventually(table, &Query::index(index, &shard), &["a"]).await;
        assert_eq!(rows[0].marks.len(), Index::ALL.len());
    }
}

pub async fn a_row_does_not_count_once_it_has_expired(table: &dyn Table) {
    let key = key("a");
    put_expiring(table, &key, soon(-60)).await;
    assert_eq!(table.get(&key).await.unwrap(), None);
    assert_stale(&table.commit(vec![Op::Check(key.clone(), Expect::Version(1))]).await, &key);
    assert_stale(&put(table, &key, Expect::Version(1), "x").await, &key);
    assert_stale(&delete(table, &key, Expect::Version(1)).await, &key);
    table.commit(vec![Op::Check(key.clone(), Expect::Absent)]).await.unwrap();
    delete(table, &key, Expect::Anything).await.unwrap();
}

pub async fn an_expired_row_is_in_no_query(table: &dyn Table) {
    let partition = fresh();
    let shard = fresh();
    let ops = ["a", "b", "c", "d", "e"].map(|sort| {
        let expires_at = matches!(sort, "a" | "c" | "d").then(|| soon(-60));
        let marks = BTreeMap::from([(Index::Due, mark(&shard, sort))]);
        let wanted = Wanted { marks, expires_at, ..plain("x") };
        Op::Put(Key::new(&partition, sort), Expect::Absent, wanted)
    });
    table.commit(ops.into()).await.unwrap();
    for limit in [1, 100] {
        let query = Query { limit, ..Query::partition(&partition) };
        assert_eq!(sorts(&walk(table, &query).await), ["b", "e"]);
        eventually(table, &Query { limit, ..Query::index(Index::Due, &shard) }, &["b", "e"]).await;
    }
}

pub async fn an_expired_row_can_be_put_anew(table: &dyn Table) {
    let key = key("a");
    let shard = fresh();
    let wanted = Wanted {
        marks: BTreeMap::from([(Index::Open, mark(&shard, "old"))]),
        expires_at: Some(soon(-60)),
        ..plain("old")
    };
    table.commit(vec![Op::Put(key.clone(), Expect::Absent, wanted)]).await.unwrap();

    put(table, &key, Expect::Absent, "new").await.unwrap();

    let row = table.get(&key).await.unwrap().unwrap();
    assert_eq!((row.version, row.body, row.expires_at), (1, text("new"), None));
    eventually(table, &Query::index(Index::Open, &shard), &[]).await;
}

pub async fn a_row_counts_until_it_expires(table: &dyn Table) {
    let key = key("a");
    put_expiring(table, &key, soon(3600)).await;
    assert_exists(&put(table, &key, Expect::Absent, "x").await, &key);
    // A row that is put again without an expiry has none.
    put(table, &key, Expect::Version(1), "kept").await.unwrap();
    assert_eq!(table.get(&key).await.unwrap().unwrap().expires_at, None);
}

pub async fn a_set_without_members_is_empty(table: &dyn Table) {
    let key = key("set");
    assert_eq!(table.members(&key).await.unwrap(), Vec::<String>::new());
    leave(table, &key, "nobody").await;
    join(table, &key, "m", 1).await.unwrap();
    leave(table, &key, "m").await;
    assert_eq!(table.members(&key).await.unwrap(), Vec::<String>::new());
}

pub async fn members_are_sorted_and_each_there_once(table: &dyn Table) {
    // A set whose key goes on where another's ends is another set.
    let partition = fresh();
    let [set, longer] = ["s", "sa"].map(|sort| Key::new(&partition, sort));
    for member in ["c", "a", "é", "b", "a"] {
        join(table, &set, member, 10).await.unwrap();
    }
    join(table, &longer, "z", 10).await.unwrap();
    assert_eq!(table.members(&set).await.unwrap(), ["a", "b", "c", "é"]);
    assert_eq!(table.members(&longer).await.unwrap(), ["z"]);
}

pub async fn joining_twice_and_leaving_twice_is_fine(table: &dyn Table) {
    let key = key("set");
    join(table, &key, "m", 1).await.unwrap();
    join(table, &key, "m", 1).await.unwrap();
    assert_eq!(table.members(&key).await.unwrap(), ["m"]);
    leave(table, &key, "m").await;
    leave(table, &key, "m").await;
    join(table, &key, "n", 1).await.unwrap();
    assert_eq!(table.members(&key).await.unwrap(), ["n"]);
}

pub async fn a_full_set_takes_nobody_new(table: &dyn Table) {
    let key = key("set");
    assert_full(&join(table, &key, "m", 0).await, &key);
    for member in ["a", "b", "c"] {
        join(table, &key, member, 3).await.unwrap();
    }
    assert_full(&join(table, &key, "d", 3).await, &key);
    // A member may stay though the limit has sunk, and nobody joins until enough have left.
    join(table, &key, "a", 2).await.unwrap();
    leave(table, &key, "b").await;
    assert_full(&join(table, &key, "d", 2).await, &key);
    leave(table, &key, "c").await;
    join(table, &key, "d", 2).await.unwrap();
    assert_eq!(table.members(&key).await.unwrap(), ["a", "d"]);
}

pub async fn joins_at_once_never_exceed_the_limit(table: &dyn Table) {
    const LIMIT: u32 = 7;
    let key = key("set");
    let member = |n: u32| format!("{n:02}");
    let joins = join_all((0..40).map(|n| {
        let (member, key) = (member(n), &key);
        async move { join(table, key, &member, LIMIT).await }
    }))
    .await;

    let mut inside = Vec::new();
    for (n, joined) in (0..).zip(joins) {
        match joined {
            Ok(()) => inside.push(member(n)),
            refused => assert_full(&refused, &key),
        }
    }
    assert_eq!(inside.len(), LIMIT as usize, "there was room, and nobody conflicts");
    assert_eq!(table.members(&key).await.unwrap(), inside);
}

pub async fn joins_and_leaves_at_once_all_count(table: &dyn Table) {
    let key = key("set");
    for n in 0..20 {
        join(table, &key, &format!("old{n:02}"), 100).await.unwrap();
    }
    join_all((0..20).map(|n| {
        let key = &key;
        async move {
            leave(table, key, &format!("old{n:02}")).await;
            join(table, key, &format!("new{n:02}"), 100).await.unwrap();
        }
    }))
    .await;
    let expected: Vec<String> = (0..20).map(|n| format!("new{n:02}")).collect();
    assert_eq!(table.members(&key).await.unwrap(), expected);
    assert_full(&join(table, &key, "x", 20).await, &key);
    join(table, &key, "x", 21).await.unwrap();
}

pub async fn a_join_and_a_put_are_one_commit(table: &dyn Table) {
    let [set, row] = keys(["set", "row"]);
    let claim = |member: &str, version| {
        vec![
            Op::Join { key: set.clone(), member: member.to_owned(), limit: 1.into() },
            Op::Put(row.clone(), version, plain(member)),
        ]
    };
    table.commit(claim("a", Expect::Absent)).await.unwrap();

    assert_full(&table.commit(claim("b", Expect::Version(1))).await, &set);
    assert_body(table, &row, Some("a")).await;
    // The one who is in may, but not with an old version.
    assert_stale(&table.commit(claim("a", Expect::Version(9))).await, &row);
    let over = vec![
        Op::Leave { key: set.clone(), member: "a".to_owned() },
        Op::Put(row.clone(), Expect::Version(9), plain("over")),
    ];
    assert_stale(&table.commit(over).await, &row);
    assert_eq!(table.members(&set).await.unwrap(), ["a"]);
    assert_body(table, &row, Some("a")).await;
}

pub async fn what_is_staged_is_all_there_in_the_end(table: &dyn Table) {
    let [set, other, first, a, b, last] = keys(["set", "other", "first", "a", "b", "last"]);
    put(table, &last, Expect::Absent, "x").await.unwrap();
    let member = || "m".to_owned();
    let join = |key: &Key| Op::Join { key: key.clone(), member: member(), limit: 1.into() };
    table.commit(vec![join(&other)]).await.unwrap();
    let staged = Staged {
        before: vec![
            Op::Check(last.clone(), Expect::Version(1)),
            join(&set),
            Op::Put(first.clone(), Expect::Absent, plain("first")),
        ],
        ops: vec![
            Op::Put(a.clone(), Expect::Absent, plain("a")),
            Op::Put(b.clone(), Expect::Absent, plain("b")),
        ],
        after: vec![Op::Leave { key: other.clone(), member: member() }],
    };

    table.commit_staged(staged).await.unwrap();

    for (key, body) in [(&first, "first"), (&a, "a"), (&b, "b")] {
        assert_body(table, key, Some(body)).await;
    }
    assert_eq!(table.members(&set).await.unwrap(), ["m"]);
    assert_eq!(table.members(&other).await.unwrap(), [""; 0]);
    let delete = Op::Delete(last.clone(), Expect::Anything);
    table.commit_staged(Staged { after: vec![delete], ..Staged::default() }).await.unwrap();
    assert_body(table, &last, None).await;
}

pub async fn a_staged_change_that_is_refused_stops_what_follows(table: &dyn Table) {
    let [set, there, row, last] = keys(["set", "there", "row", "last"]);
    put(table, &there, Expect::Absent, "there").await.unwrap();
    put(table, &last, Expect::Absent, "last").await.unwrap();
    let staged = |before| Staged {
        before: vec![before],
        ops: vec![Op::Put(row.clone(), Expect::Absent, plain("row"))],
        after: vec![Op::Delete(last.clone(), Expect::Anything)],
    };

    let exists = Op::Put(there.clone(), Expect::Absent, plain("again"));
    assert_exists(&table.commit_staged(staged(exists)).await, &there);
    let stale = Op::Check(there.clone(), Expect::Version(7));
    assert_stale(&table.commit_staged(staged(stale)).await, &there);
    let full = Op::Join { key: set.clone(), member: "m".to_owned(), limit: 0.into() };
    assert_full(&table.commit_staged(staged(full)).await, &set);

    assert_body(table, &there, Some("there")).await;
    assert_body(table, &row, None).await;
    assert_body(table, &last, Some("last")).await;
}

pub async fn what_comes_after_a_refused_commit_is_not_carried_out(table: &dyn Table) {
    let [there, row, first, last] = keys(["there", "row", "first", "last"]);
    put(table, &there, Expect::Absent, "there").await.unwrap();
    put(table, &last, Expect::Absent, "last").await.unwrap();
    let staged = Staged {
        before: vec![Op::Put(first, Expect::Absent, plain("first"))],
        ops: vec![
            Op::Put(row.clone(), Expect::Absent, plain("row")),
            Op::Put(there.clone(), Expect::Version(9), plain("late")),
        ],
        after: vec![Op::Delete(last.clone(), Expect::Anything)],
    };

    assert_stale(&table.commit_staged(staged).await, &there);

    // What came first may be there, and may not.
    assert_body(table, &there, Some("there")).await;
    assert_body(table, &row, None).await;
    assert_body(table, &last, Some("last")).await;
}

pub async fn a_set_holds_a_thousand_members(table: &dyn Table) {
    let key = key("set");
    let member = |n: usize| format!("attempt-{n:04}");
    stream::iter(0..1000)
        .for_each_concurrent(64, |n| {
            let (key, member) = (&key, member(n));
            async move { join(table, key, &member, 1000).await.unwrap() }
        })
        .await;
    let expected: Vec<String> = (0..1000).map(member).collect();
    assert_eq!(table.members(&key).await.unwrap(), expected);
    assert_full(&join(table, &key, "one more", 1000).await, &key);
}

pub async fn a_set_takes_no_more_than_its_members_may_weigh(table: &dyn Table) {
    let key = key("set");
    let (wide, narrow) = (at_most(9, 10, 10), at_most(9, 10, 4));
    assert_full(&join(table, &key, "none*11*0", wide).await, &key);
    join(table, &key, "a*4*1", wide).await.unwrap();
    join(table, &key, "b*5*2", wide).await.unwrap();
    assert_full(&join(table, &key, "c*2*0", wide).await, &key);
    assert_full(&join(table, &key, "c*0*2", narrow).await, &key);
    join(table, &key, "c*1*1", narrow).await.unwrap();
    // What weighs nothing may come, as long as there is a place for it; and who
    // is in may stay, though nobody else like him could come.
    join(table, &key, "d", narrow).await.unwrap();
    assert_full(&join(table, &key, "e", at_most(4, 99, 99)).await, &key);
    join(table, &key, "b*5*2", at_most(1, 1, 1)).await.unwrap();
    // He leaves with what he came with, and not twice.
    leave(table, &key, "a*4*1").await;
    leave(table, &key, "a*4*1").await;
    leave(table, &key, "b*4*1").await;
    assert_full(&join(table, &key, "f*5*0", narrow).await, &key);
    join(table, &key, "f*4*0", narrow).await.unwrap();
    assert_eq!(table.members(&key).await.unwrap(), ["b*5*2", "c*1*1", "d", "f*4*0"]);
}

pub async fn a_set_of_many_members_weighs_what_they_do(table: &dyn Table) {
    let key = key("set");
    let member = |n: u32| weighed(&format!("{n:02}"), [n, 1]);
    for n in 0..40 {
        join(table, &key, &member(n), at_most(100, 780, 40)).await.unwrap();
    }
    assert_full(&join(table, &key, "x*1*0", at_most(100, 780, 99)).await, &key);
    assert_full(&join(table, &key, "x*0*1", at_most(100, 999, 40)).await, &key);
    // Early and late members, wherever they are kept.
    for n in [1, 39] {
        leave(table, &key, &member(n)).await;
    }
    assert_full(&join(table, &key, "x*41*0", at_most(100, 780, 40)).await, &key);
    assert_full(&join(table, &key, "x*40*3", at_most(100, 780, 40)).await, &key);
    join(table, &key, "x*40*2", at_most(100, 780, 40)).await.unwrap();
}

pub async fn joins_at_once_never_exceed_a_weight(table: &dyn Table) {
    let key = key("set");
    let member = |n: u32| weighed(&format!("{n:02}"), [n % 7, n % 5]);
    let limit = at_most(30, 50, 60);
    let joins = join_all((0..40).map(|n| {
        let (member, key) = (member(n), &key);
        async move { join(table, key, &member, limit).await }
    }))
    .await;

    let members = table.members(&key).await.unwrap();
    let size = SetSize::of(&members);
    assert!(size.is_within(limit), "{size:?}");
    for (n, joined) in (0..).zip(joins) {
        let inside = members.contains(&member(n));
        match joined {
            Ok(()) => assert!(inside, "{n} has joined, and is not there"),
            refused => {
                assert_full(&refused, &key);
                // Nobody leaves, so there is no more room now than there was.
                assert!(!inside && !size.with(&member(n)).is_within(limit), "{n} had room");
            }
        }
    }
}

pub async fn weights_are_exact_after_joins_and_leaves_at_once(table: &dyn Table) {
    let key = key("set");
    let member = |when: &str, n: u32| weighed(&format!("{when}{n:02}"), [n, 2 * n]);
    for n in 0..20 {
        join(table, &key, &member("old", n), 100).await.unwrap();
    }
    join_all((0..20).map(|n| {
        let key = &key;
        async move {
            leave(table, key, &member("old", n)).await;
            join(table, key, &member("new", n), 100).await.unwrap();
            leave(table, key, &member("old", n)).await;
        }
    }))
    .await;
    assert_eq!(SetSize::of(table.members(&key).await.unwrap()).weights, [190, 380]);
    assert_full(&join(table, &key, "x*1*1", at_most(99, 190, 999)).await, &key);
    assert_full(&join(table, &key, "x*1*1", at_most(99, 999, 380)).await, &key);
    join(table, &key, "x*1*1", at_most(99, 191, 381)).await.unwrap();
}

pub async fn a_change_wakes_who_waits_for_it(table: &dyn Table) {
    let key = key("a");
    put(table, &key, Expect::Absent, "1").await.unwrap();
    for version in 1..=5 {
        let next = (version + 1).to_string();
        let (seen, written) = futures::join!(
            changed(table, &key, Some(version)),
            put(table, &key, Expect::Version(version), &next),
        );
        written.unwrap();
        let row = seen.unwrap();
        assert_eq!((row.version, row.body), (version + 1, text(&next)));
    }
}

pub async fn a_first_put_and_a_removal_wake_too(table: &dyn Table) {
    let key = key("a");
    let (seen, written) =
        futures::join!(changed(table, &key, None), put(table, &key, Expect::Absent, "1"));
    written.unwrap();
    assert_eq!(seen.unwrap().version, 1);
    let (seen, removed) =
        futures::join!(changed(table, &key, Some(1)), delete(table, &key, Expect::Version(1)));
    removed.unwrap();
    assert_eq!(seen, None);
}

pub async fn what_has_changed_already_is_not_waited_for(table: &dyn Table) {
    let key = key("a");
    assert_eq!(changed(table, &key, Some(1)).await, None);
    put(table, &key, Expect::Absent, "1").await.unwrap();
    assert_eq!(changed(table, &key, None).await.unwrap().version, 1);
    assert_eq!(changed(table, &key, Some(7)).await.unwrap().version, 1);
}

pub async fn patience_ends(table: &dyn Table) {
    let key = key("a");
    let patience = Duration::from_millis(50);
    assert_eq!(table.changed(&key, None, patience).await.unwrap(), None);
    put(table, &key, Expect::Absent, "1").await.unwrap();
    let started = tokio::time::Instant::now();
    let row = table.changed(&key, Some(1), patience).await.unwrap().unwrap();
    assert_eq!(row.version, 1);
    assert!(started.elapsed() >= patience, "it gave up early");
}

pub async fn another_rows_change_wakes_nobody(table: &dyn Table) {
    let [watched, other] = keys(["a", "b"]);
    let waiting = table.changed(&watched, None, Duration::from_millis(200));
    let writing = async {
        for n in 0..5 {
            put(table, &other, Expect::Anything, &n.to_string()).await.unwrap();
        }
    };
    let (seen, ()) = futures::join!(waiting, writing);
    assert_eq!(seen.unwrap(), None);
}

// What the checks are made of.

fn key(sort: &str) -> Key {
    Key::new(fresh(), sort)
}

fn keys<const N: usize>(sorts: [&str; N]) -> [Key; N] {
    let partition = fresh();
    sorts.map(|sort| Key::new(&partition, sort))
}

fn mark(partition: &str, sort: &str) -> Mark {
    Mark { partition: partition.to_owned(), sort: sort.to_owned() }
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn plain(body: &str) -> Wanted {
    Wanted { body: text(body), marks: BTreeMap::new(), expires_at: None }
}

async fn put(table: &dyn Table, key: &Key, expect: Expect, body: &str) -> Result<(), TableError> {
    table.commit(vec![Op::Put(key.clone(), expect, plain(body))]).await
}

async fn put_marked(table: &dyn Table, key: &Key, index: Index, mark: &Mark) {
    let wanted = Wanted { marks: BTreeMap::from([(index, mark.clone())]), ..plain("marked") };
    table.commit(vec![Op::Put(key.clone(), Expect::Anything, wanted)]).await.unwrap();
}

async fn put_expiring(table: &dyn Table, key: &Key, at: Timestamp) {
    let wanted = Wanted { expires_at: Some(at), ..plain("expiring") };
    table.commit(vec![Op::Put(key.clone(), Expect::Absent, wanted)]).await.unwrap();
}

async fn fill(
    table: &dyn Table,
    partition: &str,
    sorts: impl IntoIterator<Item = impl AsRef<str>>,
) {
    let place = |sort: &str| Key::new(partition, sort);
    let put = |sort: &str| Op::Put(place(sort), Expect::Absent, plain("x"));
    let ops = sorts.into_iter().map(|sort| put(sort.as_ref())).collect();
    table.commit(ops).await.unwrap();
}

async fn delete(table: &dyn Table, key: &Key, expect: Expect) -> Result<(), TableError> {
    table.commit(vec![Op::Delete(key.clone(), expect)]).await
}

fn at_most(members: u32, first: u64, second: u64) -> SetLimit {
    SetLimit { members, weights: [Some(first), Some(second)] }
}

async fn join(
    table: &dyn Table,
    key: &Key,
    member: &str,
    limit: impl Into<SetLimit>,
) -> Result<(), TableError> {
    let (key, member) = (key.clone(), member.to_owned());
    table.commit(vec![Op::Join { key, member, limit: limit.into() }]).await
}

async fn leave(table: &dyn Table, key: &Key, member: &str) {
    let (key, member) = (key.clone(), member.to_owned());
    table.commit(vec![Op::Leave { key, member }]).await.unwrap();
}

/// Waits far longer than a wake-up takes, but not for ever.
async fn changed(table: &dyn Table, key: &Key, seen: Option<u64>) -> Option<Row> {
    let patience = Duration::from_mins(1);
    let waiting = tokio::time::timeout(patience / 2, table.changed(key, seen, patience));
    waiting.await.expect("nobody was woken by the change").unwrap()
}

/// Sixteen writers at once; the losers' outcomes go to `refused`.
async fn race(
    table: &dyn Table,
    key: &Key,
    expect: Expect,
    refused: impl Fn(Result<(), TableError>),
) {
    let bodies: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    let writes = join_all(bodies.iter().map(|body| put(table, key, expect, body))).await;
    let mut won = Vec::new();
    for (body, write) in bodies.iter().zip(writes) {
        match write {
            Ok(()) => won.push(body),
            lost => refused(lost),
        }
    }
    assert_eq!(won.len(), 1, "these won: {won:?}");
    assert_body(table, key, Some(won[0])).await;
}

async fn page(table: &dyn Table, query: &Query, cursor: Option<String>) -> Page {
    let query = Query { cursor: cursor.or_else(|| query.cursor.clone()), ..query.clone() };
    let page = table.query(&query).await.unwrap();
    assert!(page.rows.len() <= query.limit, "a page of {} rows: {query:?}", page.rows.len());
    page
}

/// Every row of the query, page by page.
async fn walk(table: &dyn Table, query: &Query) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut cursor = None;
    for _ in 0..1000 {
        let page = page(table, query, cursor).await;
        rows.extend(page.rows);
        cursor = page.cursor;
        if cursor.is_none() {
            return rows;
        }
    }
    panic!("a query without an end: {query:?}");
}

/// The index's rows, as soon as they are these.
async fn eventually(table: &dyn Table, query: &Query, expected: &[&str]) -> Vec<Row> {
    let until = tokio::time::Instant::now() + LAG;
    loop {
        let rows = walk(table, query).await;
        if sorts(&rows) == expected || tokio::time::Instant::now() > until {
            assert_eq!(sorts(&rows), expected, "{query:?}");
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn sorts(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.key.sort.as_str()).collect()
}

async fn assert_body(table: &dyn Table, key: &Key, expected: Option<&str>) {
    let row = table.get(key).await.unwrap();
    assert_eq!(row.map(|row| row.body), expected.map(text), "the body of {key}");
}

fn assert_exists(outcome: &Result<(), TableError>, at: &Key) {
    assert!(matches!(outcome, Err(TableError::Exists(key)) if key == at), "{outcome:?}");
}

fn assert_stale(outcome: &Result<(), TableError>, at: &Key) {
    assert!(matches!(outcome, Err(TableError::Stale(key)) if key == at), "{outcome:?}");
}

fn assert_full(outcome: &Result<(), TableError>, at: &Key) {
    assert!(matches!(outcome, Err(TableError::Full(key)) if key == at), "{outcome:?}");
}
