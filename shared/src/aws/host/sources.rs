//! From what Lambda's event sources send to what reactions take. Pure.
//!
//! | source | becomes |
//! |---|---|
//! | a change of the table (its stream) | what that calls for: `ops::sweep::wakes` |
//! | a task's change of state (ECS, by way of EventBridge) | the attempt it is about |
//! | an object written (S3, by way of `EventBridge`) | the user's object that it is |
//! | a reminder of a row that has come due (SQS) | what a change of it calls for |
//! | another message of a queue (SQS) | its body, as JSON, and by that one of the above |
//! | anything else, a schedule say | itself |

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::adapters::{self, KEY, Place, Reminder};
use crate::{
    ops::{sweep, triggers::ObjectCreated},
    platform::{Index, Key, Mark, ObjectKey},
};

/// One thing to react to.
#[derive(Debug, PartialEq)]
pub(super) struct Parcel {
    /// What it is called in the log, and to a queue that asks which failed.
    pub id: String,
    /// What a reaction takes, or why there is no such thing.
    pub event: Result<Value, String>,
}

/// What an invocation brought.
#[derive(Debug, PartialEq)]
pub(super) struct Batch {
    /// All of it, each once.
    pub parcels: Vec<Parcel>,
    /// Whether the source asks which ones failed, and brings those again.
    pub asks_which_failed: bool,
}

/// What there is to react to.
pub(super) fn read(payload: Value) -> Batch {
    if let Some(records) = payload.get("Records").and_then(Value::as_array) {
        return of_records(records);
    }
    let id = text(&payload, "/id").unwrap_or("invocation").to_owned();
    Batch { parcels: vec![Parcel { id, event: told(payload) }], asks_which_failed: false }
}

/// What an event of AWS's is about.
fn told(payload: Value) -> Result<Value, String> {
    match text(&payload, "/detail-type") {
        Some("ECS Task State Change") => task(&payload),
        Some("Object Created") => object(&payload),
        _ => Ok(payload),
    }
}

fn of_records(records: &[Value]) -> Batch {
    let mut batch = Batch { parcels: Vec::new(), asks_which_failed: false };
    let mut known = HashSet::new();
    for record in records {
        match text(record, "/eventSource") {
            Some("aws:dynamodb") => match change(record) {
                Ok(Some(Change { key, marks, calls })) => {
                    let news = sweep::wakes(&key, &marks, calls);
                    // A batch often has several changes of one job.
                    let fresh = news.filter(|wake| known.insert(wake.clone()));
                    batch.parcels.extend(fresh.map(|wake| parcel(&key.to_string(), json!(wake))));
                }
                Ok(None) => {}
                Err(why) => batch.parcels.push(unreadable(record, why)),
            },
            Some("aws:sqs") => {
                batch.asks_which_failed = true;
                batch.parcels.push(message(record));
            }
            _ => batch.parcels.push(unreadable(record, "a record of an unknown source")),
        }
    }
    batch
}

fn parcel(id: &str, event: Value) -> Parcel {
    Parcel { id: id.to_owned(), event: Ok(event) }
}

fn unreadable(record: &Value, why: &str) -> Parcel {
    let id = text(record, "/eventID").unwrap_or("unknown").to_owned();
    Parcel { id, event: Err(why.to_owned()) }
}

/// What a change is about, its places in the indexes, and whether it was due
/// when it was written. A row that was removed has none of that.
struct Change {
    key: Key,
    marks: BTreeMap<Index, Mark>,
    calls: bool,
}

/// `Ok(None)` is a change that calls for nothing: of a set that nobody waits for
/// a place in.
fn change(record: &Value) -> Result<Option<Change>, &'static str> {
    let of = |image: &str, name: &str| text(record, &format!("/dynamodb/{image}/{name}/S"));
    let (Some(partition), Some(sort)) = (of("Keys", KEY[0]), of("Keys", KEY[1])) else {
        return Err("a change without a key");
    };
    let mark = |index: Index| {
        let [partition, sort] = adapters::place_in(index);
        let (partition, sort) = (of("NewImage", partition)?, of("NewImage", sort)?);
        // Behind the mark's own order comes that of the rows' keys.
        let sort = sort.split('\0').next().unwrap_or_default();
        Some((index, Mark { partition: partition.into(), sort: sort.into() }))
    };
    match Place::of(partition, sort) {
        Place::Set(key) if has_place(record) => {
            Ok(Some(Change { key, marks: BTreeMap::new(), calls: true }))
        }
        Place::Set(_) => Ok(None),
        Place::Row(key) => {
            let marks = Index::ALL.into_iter().filter_map(mark).collect();
            let calls = has(record, "NewImage", adapters::CALLS);
            Ok(Some(Change { key, marks, calls }))
        }
    }
}

/// Whether a member has left a set in which somebody found no place.
fn has_place(record: &Value) -> bool {
    let noted = |image| has(record, image, adapters::REFUSED);
    noted("OldImage") && !noted("NewImage")
}

fn has(record: &Value, image: &str, attribute: &str) -> bool {
    record.pointer(&format!("/dynamodb/{image}/{attribute}")).is_some()
}

/// The attempt that a task was started for.
fn task(event: &Value) -> Result<Value, String> {
    let ended = event.get("detail").and_then(adapters::ended);
    ended.ok_or_else(|| "not the end of a task of ours".to_owned())
}

/// The user's object that was written.
fn object(event: &Value) -> Result<Value, String> {
    let of = |name: &str| {
        let found = text(event, &format!("/detail/object/{name}"));
        found.ok_or_else(|| format!("an object without its {name}"))
    };
    let name = ObjectKey::stored(of("key")?);
    let (project, bucket, key) = name.as_user().ok_or("not an object of a user's")?;
    let at = text(event, "/time").and_then(|time| time.parse().ok());
    let created = ObjectCreated {
        project,
        bucket,
        key: key.to_owned(),
        size: event.pointer("/detail/object/size").and_then(Value::as_u64).unwrap_or(0),
        etag: of("etag")?.to_owned(),
        // It grows with each writing of a key; the event's own id is another
        // when S3 tells of the same writing twice.
        id: format!("{name}@{}", of("sequencer")?),
        at: at.ok_or("an event without its time")?,
    };
    Ok(json!(created))
}

fn message(record: &Value) -> Parcel {
    let id = text(record, "/messageId").unwrap_or_default().to_owned();
    let body = text(record, "/body").unwrap_or_default();
    let event: Result<Value, String> =
        serde_json::from_str(body).map_err(|error| format!("a message of no JSON: {error}"));
    Parcel { id, event: event.and_then(due).and_then(told) }
}

/// What a row that has come due calls for, if the message reminds of one.
fn due(message: Value) -> Result<Value, String> {
    let Ok(reminder) = Reminder::deserialize(&message) else { return Ok(message) };
    let key = Key::new(reminder.due_partition, reminder.due_sort);
    let wake = sweep::wakes(&key, &BTreeMap::new(), true).next();
    wake.map(|wake| json!(wake)).ok_or_else(|| format!("{key} calls for nothing"))
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "07070707070747078707070707070707";
    const JOB: &str = "job-0190b8a0a0a070008000000000000001";

    fn event(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn events(batch: Batch) -> Vec<Value> {
        batch.parcels.into_iter().map(|parcel| parcel.event.unwrap()).collect()
    }

    #[test]
    fn changes_become_what_they_call_for_each_once() {
        let batch = read(event(include_str!("events/table-changes.json")));
        assert!(!batch.asks_which_failed, "a stream must not be held up");
        let job = json!({ "job": { "project": PROJECT, "job": JOB } });
        let queue = json!({ "queue": { "project": PROJECT, "name": "default" } });
        let other = json!({ "queue": { "project": PROJECT, "name": "slow" } });
        assert_eq!(events(batch), [job, queue, other]);
    }

    #[test]
    fn only_what_is_due_calls_for_its_job() {
        let json = include_str!("events/table-changes.json");
        let jobs = |json: &str| {
            let events = events(read(event(json)));
            events.iter().filter(|event| event.get("job").is_some()).count()
        };
        assert_eq!(jobs(json), 1);
        assert_eq!(jobs(&json.replace("\"c\"", "\"d\"")), 0);
    }

    #[test]
    fn a_place_that_becomes_free_calls_where_somebody_wanted_one() {
        let json = include_str!("events/table-changes.json");
        let slow = |json: &str| {
            let events = events(read(event(json)));
            events.iter().any(|event| event.to_string().contains("slow"))
        };
        assert!(slow(json));
        assert!(!slow(&json.replace("\"r\"", "\"d\"")));
    }

    #[test]
    fn the_end_of_a_task_is_about_its_attempt() {
        let batch = read(event(include_str!("events/task-stopped.json")));
        assert_eq!(batch.parcels.len(), 1);
        assert_eq!(batch.parcels[0].id, "3317b2af-7005-947d-b652-f55e762e571a");
        let said = events(batch)[0].to_string();
        for part in [PROJECT, "att-0190b8a0a0a070008000000000000001-1-0-0-1"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn somebody_elses_task_is_put_aside() {
        let json = include_str!("events/task-stopped.json");
        for (from, to) in [("tarpon/0707", "others/0707"), ("\"startedBy\"", "\"group2\"")] {
            let batch = read(event(&json.replace(from, to)));
            assert!(batch.parcels[0].event.is_err(), "{to}");
        }
    }

    #[test]
    fn a_message_is_its_body_and_the_queue_asks_which_failed() {
        let batch = read(event(include_str!("events/messages.json")));
        assert!(batch.asks_which_failed);
        let ids: Vec<_> = batch.parcels.iter().map(|parcel| parcel.id.as_str()).collect();
        assert_eq!(
            ids,
            ["059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"]
        );
        assert_eq!(batch.parcels[0].event, Ok(json!({ "callback": 7 })));
        assert!(batch.parcels[1].event.is_err(), "it is no JSON");
    }

    #[test]
    fn an_object_is_a_users_and_its_writing_has_an_id() {
        let created = include_str!("events/object-created.json");
        let message = |body: &str| json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body}]});
        let expected = json!({
            "project": PROJECT, "bucket": "photos", "key": "in/a b.jpg", "size": 42,
            "etag": "b57f9512698f4b09e608f4f2a65852e5", "at": "2026-11-12T00:00:00Z",
            "id": format!("{PROJECT}/user/photos/in/a b.jpg@617f08299329d189"),
        });
        for batch in [read(message(created)), read(event(created))] {
            assert_eq!(events(batch), std::slice::from_ref(&expected));
        }
        for (from, to) in [("/user/", "/job/"), ("sequencer", "other"), ("2026-11-12", "x")] {
            let batch = read(message(&created.replace(from, to)));
            assert!(batch.parcels[0].event.is_err(), "{to}");
        }
    }

    #[test]
    fn a_reminder_calls_for_its_job_or_its_queue() {
        let events = |partition: &str, sort: &str| {
            due(json!(Reminder { due_partition: partition.into(), due_sort: sort.into() }))
        };
        let month = format!("{PROJECT}#202603");
        let job = json!({ "job": { "project": PROJECT, "job": JOB } });
        assert_eq!(events(&month, JOB), Ok(job));
        let queue = json!({ "queue": { "project": PROJECT, "name": "fast" } });
        assert_eq!(events(PROJECT, "queue#fast"), Ok(queue));
        assert!(events(&month, "nobody").is_err());
    }

    #[test]
    fn a_schedule_is_itself() {
        let schedule = event(include_str!("events/schedule.json"));
        assert_eq!(events(read(schedule.clone())), [schedule]);
    }

    #[test]
    fn what_makes_no_sense_is_named_and_put_aside() {
        for record in [
            json!({ "eventSource": "aws:dynamodb", "eventID": "e", "dynamodb": {} }),
            json!({ "eventSource": "aws:kinesis", "eventID": "e" }),
            json!({ "eventID": "e" }),
        ] {
            let batch = read(json!({ "Records": [record] }));
            assert_eq!((batch.parcels.len(), batch.parcels[0].id.as_str()), (1, "e"));
            assert!(batch.parcels[0].event.is_err());
        }
    }
}
