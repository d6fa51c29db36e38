//! Telling the caller: signed, until it is taken, and again if somebody dies
//! over it.

use std::time::Duration;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use shared::{
    conformance::memory::{Reception, Told, World},
    job::{CallbackKey, Cause, Job, JobId},
    ops::{
        attempts,
        callbacks::{self, Kept, State},
        jobs,
        queues::{self, QueueChange},
        rows::QueueKey,
    },
    platform::{Clock, Recipient},
    wire::{
        Problem,
        callback::{CallbackChoice, CallbackView},
    },
};

const OLD: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
const NEW: &str = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4";
const HOOK: &str = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;

/// A job of this JSON that has run to its end.
async fn ended(world: &World, json: &str) -> JobId {
    let job = world.submit(json).await.id;
    world.run(job, 0, &[("Stdout", "")]).await;
    job
}

async fn kept(world: &World, job: JobId) -> (Job, Vec<Kept>) {
    callbacks::list(&world.service, world.of(job)).await.unwrap()
}

async fn only(world: &World, job: JobId) -> (State, Vec<(Option<u16>, Option<String>)>) {
    let (job, all) = kept(world, job).await;
    assert_eq!(all.len(), 1);
    let tries = all[0].tries.iter().map(|made| (made.status, made.error.clone()));
    (callbacks::state_of(&job, &all[0]), tries.collect())
}

/// Time passes, and then everything is told that is due.
async fn after(world: &World, seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    world.tell().await;
}

fn json(told: &Told) -> Value {
    serde_json::from_slice(&told.message.body).unwrap()
}

fn is_signed_with(told: &Told, secret: &str) -> bool {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    mac.update(format!("{}.{}.{}", id.unwrap(), at.unwrap(), told.body()).as_bytes());
    let wanted = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    told.header("webhook-signature").is_some_and(|all| all.split(' ').any(|one| one == wanted))
}

fn queue(world: &World) -> QueueKey {
    QueueKey { project: world.project, name: "default".parse().unwrap() }
}

async fn set(world: &World, callback: &str) {
    let field = serde_json::from_str(callback).unwrap();
    let change = QueueChange {
        callback: CallbackChoice::parse(Some(field)).unwrap(),
        ..QueueChange::default()
    };
    queues::put(&world.service, &queue(world), change).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_told_once_when_the_job_has_ended() {
    let world = World::new().await;
    let job = ended(&world, HOOK).await;
    world.tell().await;
    world.tell().await;
    let told = world.memory.outbox.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to, Recipient::Url("https://example.com/hook".into()));
    assert_eq!(told[0].message.content_type, "application/json");
    assert_eq!(told[0].header("webhook-id"), Some(format!("{job}-1-finished").as_str()));
    assert_eq!(told[0].header("webhook-signature"), None, "there is no secret to sign with");
    let said = json(&told[0]);
    assert_eq!(
        (&said["type"], &said["data"]["id"]),
        (&"job.finished".into(), &job.to_string().into())
    );
    assert_eq!(
        (&said["data"]["state"], &said["data"]["exit_code"]),
        (&"succeeded".into(), &0.into())
    );
    assert_eq!(said["timestamp"], said["data"]["ended_at"]);
    assert_eq!(only(&world, job).await, (State::Delivered, vec![(Some(200), None)]));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_a_job_that_is_not_over_or_did_not_ask() {
    let world = World::new().await;
    let job = world.submit(HOOK).await.id;
    world.start(job).await;
    ended(&world, r#"{"image": "a"}"#).await;
    world.tell().await;
    assert_eq!(world.memory.outbox.told(), []);
    assert_eq!(kept(&world, job).await.1, []);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_is_tried_for_days_under_one_id() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Answer(500); 10]);
    let job = ended(&world, HOOK).await;
    let began = world.memory.clock.now();
    world.tell().await;
    let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (tries, wait) in (2..).zip(waits) {
        after(&world, wait - 1).await;
        assert_eq!(world.memory.outbox.told().len(), tries - 1, "not before its time");
        // As late as chance may have it.
        after(&world, wait / 10 + 1).await;
        assert_eq!(world.memory.outbox.told().len(), tries);
    }
    after(&world, 200_000).await;
    let told = world.memory.outbox.told();
    assert_eq!(told.len(), 10);
    assert!(told.iter().all(|one| one.header("webhook-id") == told[0].header("webhook-id")));
    assert_ne!(told[0].header("webhook-timestamp"), told[9].header("webhook-timestamp"));
    let (state, tries) = only(&world, job).await;
    let failed = (Some(500), Some("the receiver answered with status 500".to_owned()));
    assert_eq!((state, tries), (State::GivenUp, vec![failed; 10]));
    let days = world.memory.clock.now().duration_since(began).as_hours() / 24;
    assert!((3..8).contains(&days), "{days}");
    let view = jobs::view(&world.service, &world.job(job).await).await.unwrap();
    assert_eq!(view.callback.unwrap().state, "given_up");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_back_is_told_and_every_try_is_kept() {
    let world = World::new().await;
    world.memory.outbox.receive(&[
        Reception::Barred,
        Reception::Answer(301),
        Reception::Answer(204),
    ]);
    let job = ended(&world, HOOK).await;
    world.tell().await;
    let (state, _) = only(&world, job).await;
    assert!(matches!(state, State::Pending { at } if at > world.memory.clock.now()));
    after(&world, 6).await;
    after(&world, 330).await;
    let barred = "the receiver has an address that is not allowed".to_owned();
    let moved = "the receiver answered with status 301".to_owned();
    let tries = vec![(None, Some(barred)), (Some(301), Some(moved)), (Some(204), None)];
    assert_eq!(only(&world, job).await, (State::Delivered, tries));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_is_left_alone() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Answer(410)]);
    let job = ended(&world, HOOK).await;
    world.tell().await;
    after(&world, 200_000).await;
    assert_eq!(world.memory.outbox.told().len(), 1);
    assert_eq!(only(&world, job).await.0, State::GivenUp);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Busy(600)]);
    ended(&world, HOOK).await;
    world.tell().await;
    after(&world, 599).await;
    assert_eq!(world.memory.outbox.told().len(), 1);
    after(&world, 1).await;
    assert_eq!(world.memory.outbox.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_dies_between_delivery_and_record_is_followed_by_another_with_the_same_id() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Silence]);
    let job = ended(&world, HOOK).await;
    // Whoever waits for the answer is gone before it comes.
    tokio::time::timeout(Duration::from_secs(1), world.tell()).await.unwrap_err();
    world.tell().await;
    assert_eq!(world.memory.outbox.told().len(), 1, "the first try may still be under way");
    after(&world, 20).await;
    let told = world.memory.outbox.told();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    let (state, tries) = only(&world, job).await;
    let cut = "it was cut short; whether it arrived is not known".to_owned();
    assert_eq!((state, tries), (State::Delivered, vec![(None, Some(cut)), (Some(200), None)]));
}

#[tokio::test(start_paused = true)]
async fn two_that_come_at_once_make_one_try() {
    let world = World::new().await;
    let job = ended(&world, HOOK).await;
    let key = world.of(job);
    let tell = || callbacks::deliver(&world.service, &[], key);
    let (one, two, three) = tokio::join!(tell(), tell(), tell());
    one.and(two).and(three).unwrap();
    assert_eq!(world.memory.outbox.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_asks_for_is_delivered_again_under_its_id() {
    let world = World::new().await;
    let job = ended(&world, HOOK).await;
    let id = format!("{job}-1-finished");
    world.tell().await;
    let (asked, shown) = callbacks::redeliver(&world.service, world.of(job), &id).await.unwrap();
    let view = CallbackView::of(&asked, shown);
    assert_eq!((view.id.as_str(), view.state, view.tries.len()), (id.as_str(), "pending", 1));
    world.tell().await;
    let told = world.memory.outbox.told();
    assert_eq!((told.len(), told[1].header("webhook-id")), (2, Some(id.as_str())));
    assert_eq!(only(&world, job).await.1, [(Some(200), None), (Some(200), None)]);

    let missing = callbacks::redeliver(&world.service, world.of(job), "job-1-1-finished").await;
    assert!(matches!(missing, Err(Problem::NotFound { what: "callback", .. })));
    let other = world.neighbour().await;
    let theirs = callbacks::redeliver(&other.service, other.of(job), &id).await;
    assert!(matches!(theirs, Err(Problem::NotFound { what: "job", .. })));
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_tried_by_the_whole_schedule_once_somebody_asks() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Answer(410), Reception::Answer(500)]);
    let job = ended(&world, HOOK).await;
    world.tell().await;
    let id = callbacks::id(world.of(job), CallbackKey::finished(1));
    callbacks::redeliver(&world.service, world.of(job), &id).await.unwrap();
    world.tell().await;
    after(&world, 6).await;
    assert_eq!(world.memory.outbox.told().len(), 3);
    assert_eq!(only(&world, job).await.0, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_signed_with_both_secrets_while_one_replaces_the_other() {
    let world = World::new().await;
    let json = format!(
        r#"{{"image": "a", "callback": {{"url": "https://example.com/", "secret": "{NEW}",
            "previous_secret": "{OLD}"}}}}"#
    );
    let job = ended(&world, &json).await;
    world.tell().await;
    let told = world.memory.outbox.told();
    assert!(is_signed_with(&told[0], NEW) && is_signed_with(&told[0], OLD));
    let stored = serde_json::to_string(&world.job(job).await).unwrap();
    assert!(!stored.contains("whsec_") && !stored.contains(&NEW[6..]), "they are sealed");
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_before_its_queue_and_may_tell_nobody() {
    let world = World::new().await;
    set(&world, r#"{"url": "https://example.com/queue"}"#).await;
    ended(&world, r#"{"image": "a"}"#).await;
    ended(&world, HOOK).await;
    ended(&world, r#"{"image": "a", "callback": "no"}"#).await;
    world.tell().await;
    let urls = |path: &str| Recipient::Url(format!("https://example.com/{path}"));
    let mut to: Vec<_> = world.memory.outbox.told().into_iter().map(|told| told.to).collect();
    to.sort_by_key(|to| format!("{to:?}"));
    assert_eq!(to, [urls("hook"), urls("queue")]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_queue_changes_counts_for_what_is_under_way() {
    let world = World::new().await;
    let at = |path: &str, secret: &str| {
        format!(r#"{{"url": "https://example.com/{path}", "secret": "{secret}"}}"#)
    };
    set(&world, &at("old", OLD)).await;
    let job = world.submit(r#"{"image": "a"}"#).await.id;
    set(&world, &at("new", NEW)).await;
    world.run(job, 0, &[("Stdout", "")]).await;
    world.tell().await;
    let told = world.memory.outbox.told();
    assert_eq!(told[0].to, Recipient::Url("https://example.com/new".into()));
    assert!(is_signed_with(&told[0], NEW) && !is_signed_with(&told[0], OLD));

    let job = world.submit(r#"{"image": "a"}"#).await.id;
    set(&world, r#""no""#).await;
    world.run(job, 0, &[("Stdout", "")]).await;
    world.tell().await;
    let why = "the queue has no callback any more".to_owned();
    assert_eq!(only(&world, job).await, (State::GivenUp, vec![(None, Some(why))]));
}

#[tokio::test(start_paused = true)]
async fn a_start_is_told_to_who_wants_to_know() {
    let world = World::new().await;
    let json = r#"{"image": "a", "callback": {"message_queue": "told",
        "events": ["started", "finished"]}}"#;
    let job = world.submit(json).await.id;
    let (attempt, _) = world.start(job).await;
    world.tell().await;
    world.finish(attempt, 3, &[("Stdout", "")]).await;
    world.tell().await;
    let told = world.memory.outbox.told();
    assert_eq!(told[0].to, Recipient::MessageQueue("told".parse().unwrap()));
    let said: Vec<_> = told.iter().map(json_words).collect();
    assert_eq!(said, [["job.started", "running"], ["job.finished", "failed"]]);
    let ids: Vec<_> = kept(&world, job).await.1.into_iter().map(|kept| kept.key).collect();
    assert_eq!(ids, [CallbackKey::started(1), CallbackKey::finished(1)]);
}

fn json_words(told: &Told) -> [String; 2] {
    let said = json(told);
    [&said["type"], &said["data"]["state"]].map(|word| word.as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_job_of_many_containers_is_told_of_as_one() {
    let world = World::new().await;
    let json = r#"{"tasks": [
        {"name": "a", "image": "a", "instances": 2}, {"name": "b", "image": "a", "after": [{"task": "a"}]}],
        "callback": {"url": "https://example.com/"}}"#;
    let job = world.submit(json).await.id;
    while world.job(job).await.ending().is_none() {
        let (attempt, _) = world.start(job).await;
        world.finish(attempt, 0, &[("Stdout", "")]).await;
        world.tell().await;
    }
    let told = world.memory.outbox.told();
    assert_eq!(told.len(), 1);
    let tasks = self::json(&told[0])["data"]["tasks"].clone();
    assert_eq!(tasks[0]["instances"]["succeeded"], 2);
    assert_eq!(tasks[1]["state"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn xml_says_the_same_in_few_elements() {
    let world = World::new().await;
    let json = r#"{"image": "a", "name": "a < b", "callback": {"url": "https://example.com/", "format": "xml"}}"#;
    let job = world.submit(json).await.id;
    world.run(job, 3, &[("Stdout", "")]).await;
    world.tell().await;
    let told = world.memory.outbox.told();
    assert_eq!(told[0].message.content_type, "application/xml");
    let body = told[0].body();
    let start = format!(
        "<Response><EventName>TaskFinish</EventName><JobsDetail><Code>exited</Code><Message/>\
         <JobId>{job}</JobId><State>Failed</State><CreationTime>2026-03-01T12:00:00+0000</CreationTime>"
    );
    assert!(body.starts_with(&start), "{body}");
    assert!(
        body.ends_with("<QueueId>default</QueueId><Tag>a &lt; b</Tag></JobsDetail></Response>"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn xml_has_nothing_that_no_document_may_have() {
    let world = World::new().await;
    let json = r#"{"image": "a", "callback": {"url": "https://example.com/", "format": "xml"}}"#;
    let job = world.submit(json).await.id;
    let (attempt, _) = world.start(job).await;
    let message = Some("\u{1b}[31mtoo <large>\u{0}".to_owned());
    attempts::end_unreported(&world.service, attempt, Cause::TooLarge, message).await.unwrap();
    world.tell().await;
    let told = world.memory.outbox.told();
    let said = "<Code>too_large</Code><Message>[31mtoo &lt;large&gt;</Message>";
    assert!(told[0].body().contains(said), "{}", told[0].body());
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_is_told_to_nobody() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Answer(500)]);
    let job = ended(&world, HOOK).await;
    world.tell().await;
    jobs::delete(&world.service, world.of(job)).await.unwrap();
    after(&world, 10).await;
    world.settle().await;
    after(&world, 10).await;
    assert_eq!(world.memory.outbox.told().len(), 1);
}
