//! An environment: its queue, and what is kept with that.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::{
    job::{Name, ProjectId},
    ops::{
        queues::{self, Queue, QueueChange},
        rows::QueueKey,
    },
    service::Service,
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    ids::is_made,
    kept,
    submit::{
        env::{self, Env},
        inputs,
    },
};

/// The most nodes of an environment.
pub(super) const MOST_NODES: u32 = 2_000;

/// The most bytes of what is kept of an environment: its queue is read often.
const KEPT_BYTES: usize = 32 << 10;

/// What is kept of an environment, with its queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The `ComputeEnv` that it was made with, or as it was changed.
    pub(super) env: Map<String, Value>,
    pub(super) placement: Map<String, Value>,
}

/// Whether it is the id of an environment.
pub(super) fn is_id(text: &str) -> bool {
    is_made("env-", text)
}

pub(crate) fn check_id(path: &str, text: &str) -> Result<(), Fault> {
    if is_id(text) {
        return Ok(());
    }
    let message = format!("`{path}`: `{text}` is not the id of a compute environment.");
    Err(Fault::new("InvalidParameter.EnvIdMalformed", message))
}

pub(super) fn key(project: ProjectId, id: &str) -> Result<QueueKey, Fault> {
    check_id("EnvId", id)?;
    let name: Name = id.parse().map_err(|_| Fault::no_env(id))?;
    Ok(QueueKey { project, name })
}

/// An environment: its queue, and what is kept with it.
pub(super) struct Known {
    pub(super) queue: Queue,
    pub(super) note: Note,
}

pub(super) async fn known(service: &Service, project: ProjectId, id: &str) -> Result<Known, Fault> {
    let found = queues::load(service, &key(project, id)?).await?;
    let (_, queue) = found.ok_or_else(|| Fault::no_env(id))?;
    Ok(Known::of(queue))
}

/// What tasks that run there have in common.
pub(crate) async fn machine(service: &Service, project: ProjectId, id: &str) -> Result<Env, Fault> {
    let Known { note, .. } = known(service, project, id).await?;
    let mut env = Fields::new(note.env);
    let data = env.object("EnvData")?;
    let machine = data.map(|data| env::data_of(data, None)).transpose()?.unwrap_or_default();
    let machine = Env { inputs: inputs::read(&mut env)?, ..machine };
    let disks = "MountDataDisks";
    let rest: Map<_, _> =
        env.raw(disks).map(|value| (disks.to_owned(), value)).into_iter().collect();
    env::with_rest(Fields::new(rest), machine)
}

pub(super) fn only_id(call: Call) -> Result<String, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    fields.end()?;
    Ok(id)
}

impl Note {
    /// The change of a queue, with which this is kept.
    pub(super) fn kept_with(&self, change: QueueChange) -> Result<QueueChange, Fault> {
        kept::check_size(self, KEPT_BYTES)?;
        Ok(QueueChange { origin: Some(kept::origin(self)?), ..change })
    }
}

impl Known {
    pub(super) fn of(queue: Queue) -> Self {
        let note = kept::said(queue.origin.as_ref()).unwrap_or_default();
        Known { queue, note }
    }

    pub(super) fn said(&self, name: &str) -> Option<&str> {
        self.note.env.get(name)?.as_str()
    }

    pub(super) fn id(&self) -> &str {
        self.queue.name.as_str()
    }

    pub(super) fn name(&self) -> &str {
        self.said("EnvName").unwrap_or(self.id())
    }

    pub(super) fn count(&self) -> u32 {
        if self.queue.paused { 0 } else { self.queue.limit.min(MOST_NODES) }
    }
}
