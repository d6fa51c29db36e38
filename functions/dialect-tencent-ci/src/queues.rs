//! Queues: listed, named, paused, and told whom to tell.
//!
//! Each service has one in each bucket, which is shown as if it was there, and is
//! made once a job waits in it or something is said of it. A queue of the
//! project that is no bucket's can be named by its id all the same: a job of any
//! API waits in one. What another API keeps with it is not ours to replace.

use std::collections::HashMap;

use http::StatusCode;
use shared::{
    job::{CallbackFormat, CallbackTarget, Origin},
    ops::{
        queues::{self, Queue, QueueChange},
        rows::QueueKey,
    },
    wire::Problem,
};

use crate::{
    asker::Asker,
    callback,
    faults::Fault,
    order::required,
    query::{Page, parameter},
    tree::Fields,
    words::{self, API, Kind},
};

/// The most characters of a name.
const MOST_NAME: usize = 128;

/// The most bytes that are kept of what is said of a queue: all of them are
/// read whenever it is.
const MOST_KEPT: usize = 16 << 10;

/// The queue of a service in a bucket, or those of certain ids.
pub async fn list(
    asker: &Asker<'_>,
    kind: Kind,
    query: &[(String, String)],
) -> Result<Fields, Fault> {
    let page = Page::of(query)?;
    let paused = match parameter(query, "state") {
        None | Some("All") => None,
        Some(state) => Some(
            words::is_paused(state)
                .ok_or_else(|| Fault::argument("state", "it is All, Active or Paused"))?,
        ),
    };
    let own = asker.queue_key(kind)?;
    let all = asker.queues().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    match parameter(query, "queueIds") {
        None => found.extend(all.into_iter().filter(|queue| queue.name == own.name)),
        Some(ids) => {
            let id_of = |queue: &Queue| words::queue_id(&asker.key_of(queue));
            let named: HashMap<String, Queue> =
                all.into_iter().map(|queue| (id_of(&queue), queue)).collect();
            for id in ids.split(',').filter(|id| !id.is_empty()) {
                match named.get(id) {
                    Some(queue) => found.push(queue.clone()),
                    None => missing.push(id),
                }
            }
        }
    }
    found.retain(|queue| paused.is_none_or(|paused| queue.paused == paused));
    let total = found.len();
    let shown: Vec<Fields> = page.on(found).map(|queue| view(asker, &queue)).collect();
    let answer = page.said(asker.answer(), total).with("QueueList", shown);
    let missing = (!missing.is_empty()).then(|| missing.join(","));
    Ok(answer.with_some("NonExistPIDs", missing))
}

/// Changes a queue: its name, whether it is paused, whom it tells.
pub async fn update(asker: &Asker<'_>, id: &str, asked: &Fields) -> Result<Fields, Fault> {
    let key = find(asker, id).await?;
    let name = required(asked, "Name", "Name")?;
    if name.chars().count() > MOST_NAME {
        return Err(Fault::argument("Name", &format!("it is at most {MOST_NAME} characters")));
    }
    let state = required(asked, "State", "State")?;
    let paused = words::is_paused(state);
    let paused = paused.ok_or_else(|| Fault::argument("State", "it is Active or Paused"))?;
    let notify = asked.value("NotifyConfig");
    notify.ok_or_else(|| Fault::argument("NotifyConfig", "it is required"))?;
    let notify = asked.fields("NotifyConfig").cloned().unwrap_or_default();
    let callback = callback::of_queue(&notify)?;
    let kept = Fields::new().with("Name", name).with("NotifyConfig", notify).xml("Queue");
    if kept.len() > MOST_KEPT {
        let limit = MOST_KEPT as u64;
        return Err(Problem::TooLarge { what: "what is kept of the queue", limit }.into());
    }
    let change = QueueChange {
        paused: Some(paused),
        callback,
        keeps_unsaid: true,
        origin: Some(Origin { api: API.into(), request: kept }),
        ..QueueChange::default()
    };
    let (queue, _) = queues::put(asker.service, &key, change).await?;
    Ok(asker.answer().with("Queue", view(asker, &queue)))
}

/// The queue of this id, whatever bucket or API it is of.
pub async fn find(asker: &Asker<'_>, id: &str) -> Result<QueueKey, Fault> {
    let all = asker.queues().await?;
    let mut keys = all.iter().map(|queue| asker.key_of(queue));
    keys.find(|key| words::queue_id(key) == id).ok_or_else(|| {
        let message = "The specified queue does not exist.";
        Fault::new(StatusCode::NOT_FOUND, "NoSuchQueue", message)
    })
}

impl Asker<'_> {
    /// The project's queues, and those of this bucket that are yet to be made.
    async fn queues(&self) -> Result<Vec<Queue>, Problem> {
        let mut all = queues::list(self.service, self.project).await?;
        for kind in Kind::all() {
            let Ok(QueueKey { name, .. }) = self.queue_key(kind) else { continue };
            if all.iter().all(|queue| queue.name != name) {
                all.push(queues::fresh(self.service, name));
            }
        }
        Ok(all)
    }

    fn key_of(&self, queue: &Queue) -> QueueKey {
        QueueKey { project: self.project, name: queue.name.clone() }
    }
}

/// What clients of this API last said of a queue, if they did.
fn said(queue: &Queue) -> Option<Fields> {
    let origin = queue.origin.as_ref().filter(|origin| origin.api == API)?;
    Fields::read("Queue", origin.request.as_bytes()).ok()
}

/// A queue, as this API shows it.
fn view(asker: &Asker<'_>, queue: &Queue) -> Fields {
    let said = said(queue).unwrap_or_default();
    // The names of ours that are made here: a bucket's, and a service's word.
    let ours = queue.name.as_str().rsplit_once('.');
    let ours = ours.and_then(|(bucket, word)| Some((bucket, Kind::of_word(word)?)));
    let (bucket, kind) = ours.unwrap_or((asker.place.bucket.as_str(), Kind::Media));
    let standard = ours.map_or(queue.name.as_str(), |(_, kind)| kind.queue_name());
    let updated_at = queue.updated_at.unwrap_or(queue.created_at);
    Fields::new()
        .with("QueueId", words::queue_id(&asker.key_of(queue)))
        .with("Name", said.text("Name").unwrap_or(standard))
        .with("State", words::queue_state(queue.paused))
        .with("NotifyConfig", notify_config(queue, said.fields("NotifyConfig")))
        .with("MaxSize", asker.service.limits.open_jobs.to_string())
        .with("MaxConcurrent", queue.limit.to_string())
        .with("CreateTime", words::time(queue.created_at))
        .with("UpdateTime", words::time(updated_at))
        .with("BucketId", bucket)
        .with("Category", kind.category())
}

/// Whom a queue tells: as it is, whoever has set it; and what clients said
/// besides, where that is not in force.
fn notify_config(queue: &Queue, said: Option<&Fields>) -> Fields {
    let Some(callback) = &queue.callback else {
        let Some(said) = said else { return Fields::new().with("State", "Off") };
        // On, and never for the end of a job.
        let state = said.text("State").filter(|state| *state == "On").unwrap_or("Off");
        return Fields::new().with("State", state).and(said.only(|name| name != "State"));
    };
    let events = said.and_then(|said| said.text("Event")).unwrap_or("TaskFinish");
    let format = match callback.format {
        CallbackFormat::Json => "JSON",
        CallbackFormat::Xml => "XML",
    };
    let config =
        Fields::new().with("State", "On").with("Event", events).with("ResultFormat", format);
    match &callback.to {
        CallbackTarget::Url(url) => config.with("Type", "Url").with("Url", url.as_str()),
        CallbackTarget::MessageQueue(name) => {
            let text = |name| said.and_then(|said| said.text(name));
            config
                .with("Type", "TDMQ")
                .with("MqMode", text("MqMode").unwrap_or("Queue"))
                .with_some("MqRegion", text("MqRegion"))
                .with("MqName", name.as_str())
        }
        CallbackTarget::OfQueue | CallbackTarget::OfQueueInOwnForm => config,
    }
}
