//! One task: what it is, how far it is, and how that looks from outside.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::{
    sync::{Notify, RwLock, RwLockWriteGuard},
    task::AbortHandle,
};

use crate::{
    definitions::{Container, Definition, HERE},
    endpoint::{guard, now},
};

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) definition: Arc<Definition>,
    cluster: String,
    request: Value,
    state: Mutex<State>,
    /// Held while containers change, so that whoever looks then sees the end
    /// of it.
    changing: RwLock<()>,
    stopped: Notify,
    alive: Mutex<Option<AbortHandle>>,
}

/// How far it is.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) last_status: &'static str,
    pub(crate) desired_status: &'static str,
    pub(crate) version: u64,
    pub(crate) stop_code: Option<&'static str>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) containers: Vec<Contained>,
    created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) stopping_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
}

/// How far a container is.
#[derive(Clone, Debug)]
pub(crate) struct Contained {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) last_status: &'static str,
    pub(crate) exit_code: Option<i64>,
    pub(crate) reason: Option<String>,
}

/// Times are numbers in answers, and text in events.
#[derive(Clone, Copy)]
enum Times {
    Numbers,
    Text,
}

impl Task {
    pub(crate) fn new(
        id: String,
        arn: String,
        cluster: &str,
        definition: &Arc<Definition>,
        request: &Value,
    ) -> Self {
        let contained = |container: &Container| Contained {
            name: container.name.clone(),
            image: container.image.clone(),
            last_status: "PENDING",
            exit_code: None,
            reason: None,
        };
        let state = State {
            last_status: "PROVISIONING",
            desired_status: "RUNNING",
            version: 1,
            stop_code: None,
            stopped_reason: None,
            containers: definition.container_definitions.iter().map(contained).collect(),
            created_at: now(),
            started_at: None,
            stopping_at: None,
            stopped_at: None,
        };
        Task {
            id,
            arn,
            definition: Arc::clone(definition),
            cluster: cluster.to_owned(),
            request: request.clone(),
            state: Mutex::new(state),
            changing: RwLock::default(),
            stopped: Notify::new(),
            alive: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        guard(&self.state)
    }

    /// Nobody sees a change by half while this is held.
    pub(crate) async fn changes(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().await
    }

    /// Waits for a change that is under way.
    pub(crate) async fn settled(&self) {
        drop(self.changing.read().await);
    }

    /// Changes its state, as one step that an event tells.
    pub(crate) fn step(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.version += 1;
    }

    pub(crate) fn desired_status(&self) -> &'static str {
        self.state().desired_status
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.state().last_status == "STOPPED"
    }

    pub(crate) fn started_by(&self) -> Option<&str> {
        self.request["startedBy"].as_str()
    }

    /// Whoever asks first gives the reason.
    pub(crate) fn stop(&self, reason: &str) {
        {
            let mut state = self.state();
            if state.desired_status == "RUNNING" {
                state.desired_status = "STOPPED";
                state.stop_code = Some("UserInitiated");
                state.stopped_reason = Some(reason.to_owned());
            }
        }
        self.stopped.notify_one();
    }

    /// Waits until it is told to stop.
    pub(crate) async fn told_to_stop(&self) {
        self.stopped.notified().await;
    }

    pub(crate) fn seen_to_by(&self, alive: AbortHandle) {
        *guard(&self.alive) = Some(alive);
    }

    /// Nobody sees to it any more.
    pub(crate) fn abandon(&self) {
        if let Some(alive) = guard(&self.alive).take() {
            alive.abort();
        }
    }

    /// The environment that the request lays over a container's own.
    pub(crate) fn environment(&self, container: &Container) -> Vec<(String, String)> {
        let own = container.environment.iter().map(|pair| (pair.name.clone(), pair.value.clone()));
        let overrides = self.request["overrides"]["containerOverrides"].as_array();
        let over = overrides.into_iter().flatten().filter(|it| it["name"] == container.name);
        let over = over.filter_map(|it| it["environment"].as_array()).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        own.chain(over.map(|pair| (text(&pair["name"]), text(&pair["value"])))).collect()
    }

    /// As answers show it.
    pub(crate) fn described(&self) -> Value {
        self.shown(Times::Numbers)
    }

    /// As events show it.
    pub(crate) fn detail(&self) -> Value {
        let mut shown = self.shown(Times::Text);
        shown["updatedAt"] = json!(now().to_string());
        shown
    }

    fn shown(&self, times: Times) -> Value {
        let state = self.state().clone();
        let mut shown = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value.filter(|value| !value.is_null()) {
                shown.insert(name.to_owned(), value);
            }
        };
        let time = |at: Timestamp| match times {
            Times::Numbers => json!(at.as_duration().as_secs_f64()),
            Times::Text => json!(at.to_string()),
        };
        put("taskArn", Some(json!(self.arn)));
        put("clusterArn", Some(json!(format!("{HERE}:cluster/{}", self.cluster))));
        put("taskDefinitionArn", Some(json!(self.definition.arn)));
        put("group", Some(json!(format!("family:{}", self.definition.family))));
        put("cpu", Some(json!(self.definition.cpu)));
        put("memory", Some(json!(self.definition.memory)));
        put("launchType", Some(json!("FARGATE")));
        put("platformVersion", Some(json!("1.4.0")));
        put("availabilityZone", Some(json!("us-east-1a")));
        put("connectivity", Some(json!("CONNECTED")));
        put("lastStatus", Some(json!(state.last_status)));
        put("desiredStatus", Some(json!(state.desired_status)));
        put("version", Some(json!(state.version)));
        put("attachments", Some(json!([])));
        put("containers", Some(state.containers.iter().map(|it| self.contained(it)).collect()));
        put("createdAt", Some(time(state.created_at)));
        put("startedAt", state.started_at.map(time));
        put("stoppingAt", state.stopping_at.map(time));
        put("stoppedAt", state.stopped_at.map(time));
        put("stopCode", state.stop_code.map(Value::from));
        put("stoppedReason", state.stopped_reason.map(Value::from));
        for given in ["startedBy", "overrides", "tags"] {
            put(given, Some(self.request[given].clone()));
        }
        Value::Object(shown)
    }

    fn contained(&self, container: &Contained) -> Value {
        let mut shown = json!({
            "containerArn": format!("{HERE}:container/{}/{}", self.id, container.name),
            "taskArn": self.arn,
            "name": container.name,
            "image": container.image,
            "lastStatus": container.last_status,
            "networkInterfaces": [],
        });
        if let Some(code) = container.exit_code {
            shown["exitCode"] = json!(code);
        }
        if let Some(reason) = &container.reason {
            shown["reason"] = json!(reason);
        }
        shown
    }
}
