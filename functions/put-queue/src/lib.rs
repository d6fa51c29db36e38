//! `PUT /v1/queues/{queue}`: make a queue, or change one. What is left out
//! stays as it is.

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use shared::{
    auth,
    function::{Action, Route},
    ops::{
        queues::{self, QueueChange, Setting},
        rows::QueueKey,
    },
    service::Service,
    wire::{
        Problem, Reply, Request, SMALL_BODY_BYTES,
        callback::{CallbackChoice, CallbackRequest},
        openapi,
        submit::{ResourcesRequest, STANDARD_RESOURCES, parse_name, within},
        views::QueueView,
    },
};
use utoipa::ToSchema;

/// The action.
pub struct PutQueue;

/// What a queue should be like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRequest {
    /// Whether nothing starts from it.
    paused: Option<bool>,
    /// How many containers it may have at once.
    limit: Option<i64>,
    /// CPUs that these may have together; null lifts the limit.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    cpu_limit: Said<f64>,
    /// MiB of memory that these may have together; null lifts the limit.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    memory_limit_mib: Said<i64>,
    /// What a container has whose task does not say; null for what it has
    /// elsewhere.
    #[serde(default)]
    #[schema(value_type = Option<ResourcesRequest>)]
    resources: Said<ResourcesRequest>,
    /// Who is told of its jobs, where they do not say otherwise; `"no"` for
    /// nobody. It replaces what was set before, secrets included.
    #[schema(value_type = Option<CallbackRequest>)]
    callback: Option<Value>,
}

/// What a request says of a setting that a queue may have or not.
#[derive(Debug, Default)]
enum Said<T> {
    #[default]
    Nothing,
    Null,
    This(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(from)?.map_or(Said::Null, Said::This))
    }
}

impl<T> Said<T> {
    fn setting<U>(
        self,
        check: impl Fn(T) -> Result<U, Problem>,
    ) -> Result<Option<Setting<U>>, Problem> {
        match self {
            Said::Nothing => Ok(None),
            Said::Null => Ok(Some(Setting::Lifted)),
            Said::This(value) => check(value).map(|value| Some(Setting::To(value))),
        }
    }
}

impl Action for PutQueue {
    const NAME: &'static str = "put-queue";
    const ROUTE: Route = Route::put("/v1/queues/{queue}");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        // A name that is to be made is told what is wrong with it.
        let name: String = request.parameter("queue")?;
        let key = QueueKey { project: who.project, name: parse_name("queue", &name)? };
        let asked: QueueRequest = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        let change = asked.change(service)?;
        let (queue, is_new) = queues::put(service, &key, change).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply::json(status, &queues::view(service, who.project, &queue).await?))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Make or change a queue")
            .text(
                "Jobs start in strict order: higher priority first, then older. The first that \
                 finds no room is waited for. A limit below what runs stops nothing: it holds \
                 for what starts next. What asks for more than a limit lets all have together \
                 is refused, or waits until the limit is raised.",
            )
            .request::<QueueRequest>()
            .reply::<QueueView>(201, "The queue is new.")
            .reply::<QueueView>(200, "The queue, changed.");
    }
}

impl QueueRequest {
    fn change(self, service: &Service) -> Result<QueueChange, Problem> {
        let most = service.limits.queue_live.into();
        let memory = |mib| checked("memory_limit_mib", mib, i64::from(u32::MAX));
        let resources =
            |asked: ResourcesRequest| asked.or(STANDARD_RESOURCES, "resources", &service.limits);
        Ok(QueueChange {
            paused: self.paused,
            limit: self.limit.map(|limit| checked("limit", limit, most)).transpose()?,
            cpu_millis: self.cpu_limit.setting(millis)?,
            memory_mib: self.memory_limit_mib.setting(memory)?,
            resources: self.resources.setting(resources)?,
            callback: CallbackChoice::parse(self.callback)?,
            keeps_unsaid: false,
            origin: None,
        })
    }
}

fn checked(field: &str, value: i64, most: i64) -> Result<u32, Problem> {
    within(field, value, 1, most)?;
    u32::try_from(value).map_err(|error| Problem::invalid(field, error.to_string()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked to be within a range that fits"
)]
fn millis(cpus: f64) -> Result<u32, Problem> {
    let millis = (cpus * 1_000.0).round();
    if (1.0..=f64::from(u32::MAX)).contains(&millis) {
        return Ok(millis as u32);
    }
    let rule = format!("{cpus} is not within 0.001 to {} CPUs", u32::MAX / 1_000);
    Err(Problem::invalid("cpu_limit", rule))
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::PutQueue;

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_made_and_then_changed_field_by_field() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/nightly").json(body).of(PutQueue);
        let made = put(r#"{"limit": 3}"#).await.expect(201).json();
        assert_eq!((&made["name"], &made["limit"]), (&"nightly".into(), &3.into()));
        assert_eq!((&made["paused"], &made["running"]), (&false.into(), &0.into()));
        let paused = put(r#"{"paused": true}"#).await.expect(200).json();
        assert_eq!((&paused["paused"], &paused["limit"]), (&true.into(), &3.into()));
        assert_eq!(put("{}").await.expect(200).json(), paused);
        assert_eq!(world.ask("/v1/queues/nightly").of(PutQueue).await.expect(200).json(), paused);
        let other = world.neighbour().await;
        let theirs = other.ask("/v1/queues/nightly").of(PutQueue).await.expect(201).json();
        assert_eq!(theirs["limit"], 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_all_may_have_together_is_limited_until_that_is_lifted() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/default").json(body).of(PutQueue);
        let _ = put(r#"{"cpu_limit": 1.5, "memory_limit_mib": 2048}"#).await.expect(200);
        let jobs = r#"{"image": "a", "instances": 4, "resources": {"cpu": 0.5, "memory_mib": 64}}"#;
        let job = world.submit(jobs).await.id;
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts().len(), 3);
        let seen = put("{}").await.expect(200).json();
        assert_eq!((&seen["cpu_limit"], &seen["memory_limit_mib"]), (&1.5.into(), &2048.into()));
        assert_eq!((&seen["running"], &seen["running_cpu"]), (&3.into(), &1.5.into()));
        assert_eq!((&seen["running_memory_mib"], &seen["waiting"]), (&192.into(), &"1".into()));

        let lifted = put(r#"{"cpu_limit": null}"#).await.expect(200).json();
        assert_eq!((lifted.get("cpu_limit"), &lifted["memory_limit_mib"]), (None, &2048.into()));
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_gives_resources_to_tasks_that_do_not_say() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/default").json(body).of(PutQueue);
        let made = put(r#"{"resources": {"cpu": 2}}"#).await.expect(200).json();
        let gives = (&made["resources"]["cpu"], &made["resources"]["memory_mib"]);
        assert_eq!(gives, (&2.0.into(), &512.into()));
        let asked = async |job: &str| {
            let resources = world.submit(job).await.tasks[0].resources;
            (resources.cpu_millis, resources.memory_mib)
        };
        assert_eq!(asked(r#"{"image": "a"}"#).await, (2_000, 512));
        let cpu = r#"{"image": "a", "resources": {"memory_mib": 64}}"#;
        assert_eq!(asked(cpu).await, (2_000, 64));
        let both = r#"{"image": "a", "resources": {"cpu": 0.5, "memory_mib": 64}}"#;
        assert_eq!(asked(both).await, (500, 64));
        let _ = put(r#"{"resources": null}"#).await.expect(200);
        assert_eq!(asked(cpu).await, (250, 64));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queues_callback_is_set_shown_without_its_secrets_and_removed() {
        const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/default").json(body).of(PutQueue);
        let body = format!(
            r#"{{"callback": {{"url": "https://example.com/", "secret": "{SECRET}", "events": ["started", "finished"]}}}}"#
        );
        let set = put(&body).await.expect(200).json();
        let shown = serde_json::json!({
            "url": "https://example.com/", "secrets": 1, "events": ["started", "finished"],
            "format": "json",
        });
        assert_eq!(set["callback"], shown);
        assert_eq!(put(r#"{"limit": 3}"#).await.expect(200).json()["callback"], shown);
        assert!(put(r#"{"callback": "no"}"#).await.expect(200).json()["callback"].is_null());
        for (callback, field) in [
            ("7", "callback"),
            ("{}", "callback.url"),
            (r#"{"url": "ftp://example.com/"}"#, "callback.url"),
            (r#"{"url": "https://me@example.com/"}"#, "callback.url"),
            (r#"{"url": "https://example.com/", "secret": "hush"}"#, "callback.secret"),
            (r#"{"message_queue": "unknown"}"#, "callback.message_queue"),
            (r#"{"message_queue": "told", "url": "https://a.b/"}"#, "callback.message_queue"),
            (r#"{"url": "https://a.b/", "events": ["started"]}"#, "callback.events"),
            (r#"{"url": "https://a.b/", "events": ["x"]}"#, "callback.events[0]"),
            (r#"{"url": "https://a.b/", "hue": 1}"#, "callback.hue"),
        ] {
            let answer = put(&format!(r#"{{"callback": {callback}}}"#)).await;
            answer.refused(400, "invalid_field", field);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_queue_starts_nothing_until_it_goes_on() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/default").json(body).of(PutQueue);
        let _ = put(r#"{"paused": true}"#).await.expect(200);
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts(), []);
        let _ = put(r#"{"paused": false}"#).await.expect(200);
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts().len(), 1);
        assert_eq!(put("{}").await.json()["running"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_request_is_refused_with_its_field() {
        let world = World::new().await;
        for (body, field) in [
            (r#"{"limit": 0}"#, "limit"),
            (r#"{"limit": 10001}"#, "limit"),
            (r#"{"limit": "3"}"#, "limit"),
            (r#"{"paused": "yes"}"#, "paused"),
            (r#"{"cpu_limit": 0}"#, "cpu_limit"),
            (r#"{"cpu_limit": "1"}"#, "cpu_limit"),
            (r#"{"memory_limit_mib": 0}"#, "memory_limit_mib"),
            (r#"{"memory_limit_mib": 1.5}"#, "memory_limit_mib"),
            (r#"{"resources": {"cpu": 1000}}"#, "resources.cpu"),
            (r#"{"resources": {"memory_mib": 1}}"#, "resources.memory_mib"),
            (r#"{"resources": {"gpu": 1}}"#, "resources.gpu"),
            (r#"{"name": "x"}"#, "name"),
        ] {
            let answer = world.ask("/v1/queues/q").json(body).of(PutQueue).await;
            answer.refused(400, "invalid_field", field);
        }
        for name in ["-q", "a b", &"q".repeat(65)] {
            let answer = world.ask(&format!("/v1/queues/{name}")).of(PutQueue).await;
            answer.refused(400, "invalid_field", "queue");
        }
        let answer = world.ask("/v1/queues/q").nameless().of(PutQueue).await;
        answer.refused(401, "unauthenticated", "");
    }
}
