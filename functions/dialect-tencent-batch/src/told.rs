//! What the receivers of a job's notifications are told: events, as this API
//! puts them on a topic.
//!
//! A message goes out when the job starts and when it ends. So it can tell of
//! the job, of its task where it has but one, and of that one's instance where
//! it is alone: what is one of many has moments of its own.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use shared::{
    job::{Ending, Job, Telling},
    ops::callbacks::{News, Shape, Shaped},
    service::Service,
    wire::Problem,
};

use crate::{
    API,
    kept::{self, Kept},
    seen::Seen,
    words::{State, time},
};

/// The version of an event's shape.
const VERSION: &str = "1.0";

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Job,
    Task,
    Instance,
}

/// The states that there are events for.
const STATES: [State; 4] =
    [State::Running, State::Succeed, State::Failed, State::FailedInterrupted];

impl About {
    const ALL: [About; 3] = [About::Job, About::Task, About::Instance];

    /// The event that it has come to a state.
    fn event(self, state: State) -> String {
        let prefix = match self {
            About::Job => "JOB",
            About::Task => "TASK",
            About::Instance => "TASK_INSTANCE",
        };
        format!("{prefix}_{}", state.word())
    }

    /// What the event of this name is about, and the state that it tells of.
    pub(crate) fn of_event(name: &str) -> Option<(About, State)> {
        let all = About::ALL.into_iter().flat_map(|about| STATES.map(|state| (about, state)));
        all.into_iter().find(|(about, state)| about.event(*state) == name)
    }

    /// What is said of it.
    fn batch(self, job: &Job, state: State) -> Value {
        let task = job.tasks.first().map(|task| &task.name);
        match self {
            About::Job => json!({ "JobId": job.id, "JobName": job.name, "JobState": state.word() }),
            About::Task => json!({
                "JobId": job.id, "JobName": job.name, "TaskName": task, "TaskState": state.word(),
            }),
            About::Instance => json!({
                "JobId": job.id, "JobName": job.name, "TaskName": task, "TaskInstanceIndex": 0,
                "TaskInstanceState": state.word(),
            }),
        }
    }
}

/// The shape of this API's notifications.
pub struct Told;

#[async_trait]
impl Shape for Told {
    fn api(&self) -> &'static str {
        API
    }

    async fn told(&self, service: &Service, news: News<'_>) -> Result<Option<Shaped>, Problem> {
        let News { job, spec, telling, format: _ } = news;
        let kept: Kept = kept::said(spec.origin.as_ref()).unwrap_or_default();
        let state = state(service, job, telling).await?;
        let event = |(about, variables): (About, Value)| {
            json!({
                "EventVersion": VERSION,
                "EventTime": time(telling.happened_at),
                "Region": kept.region,
                "Batch": about.batch(job, state),
                "EventName": about.event(state),
                "EventVars": variables,
            })
        };
        let events: Vec<Value> = wanted(&kept.job, state).into_iter().map(event).collect();
        if events.is_empty() {
            return Ok(None);
        }
        let body = json!({ "Events": events }).to_string();
        Ok(Some(Shaped { content_type: "application/json", body }))
    }
}

/// What the job came to. Of a run that was followed by another, only how it
/// ended is still known.
async fn state(service: &Service, job: &Job, telling: &Telling) -> Result<State, Problem> {
    match telling.ending {
        None => Ok(State::Running),
        Some(_) if telling.key.run == job.run => Ok(Seen::ended(service, job.clone()).await?.state),
        Some(Ending::Succeeded) => Ok(State::Succeed),
        Some(Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut) => {
            Ok(State::Failed)
        }
    }
}

/// What of that state is to be told, each with the variables that go with it:
/// as the job configured; of one that configured nothing, which is told of at
/// the wish of its queue, the job's own event.
fn wanted(job: &Map<String, Value>, state: State) -> Vec<(About, Value)> {
    let lists = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let topics = job.get("Notifications").and_then(Value::as_array).into_iter().flatten();
    let configs: Vec<Value> = topics.flat_map(|topic| lists(topic, "EventConfigs")).collect();
    if configs.is_empty() {
        return vec![(About::Job, json!([]))];
    }
    let of_state = |config: &Value| {
        let (about, of) = About::of_event(config["EventName"].as_str()?)?;
        (of == state).then(|| (about, lists(config, "EventVars").into()))
    };
    configs.iter().filter_map(of_state).collect()
}
