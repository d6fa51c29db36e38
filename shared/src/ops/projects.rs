//! Projects: made by the operator, with a first access key and a queue.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{keys, queues, rows};
use crate::{
    auth::Secret,
    job::{AccessKeyId, ProjectId},
    platform::{Expect, Op},
    service::Service,
    wire::Problem,
};

/// A stored project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// The stored shape's version.
    pub v: u8,
    /// The project.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new project and its first key.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// The project.
    pub project: Project,
    /// The key's public half.
    pub key: AccessKeyId,
    /// The key's secret half.
    pub secret: Secret,
}

/// The project.
pub async fn load(service: &Service, id: ProjectId) -> Result<Project, Problem> {
    let row = service.platform.table.find(&rows::project(id)).await?;
    rows::read(&row.ok_or_else(|| Problem::not_found("project", id))?)
}

/// Makes a project, its `default` queue and its first key, all or nothing.
pub async fn create(service: &Service, name: &str) -> Result<NewProject, Problem> {
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        let rule = "it is 1 to 64 characters, none of them a control character";
        return Err(Problem::invalid("name", rule));
    }
    let clock = &service.platform.clock;
    let project = Project {
        v: 1,
        id: ProjectId::new(clock.random()),
        name: name.to_owned(),
        created_at: clock.now(),
    };
    let key = keys::new(service, project.id, Some("made with the project".into()));
    let ops = vec![
        Op::Put(rows::project(project.id), Expect::Absent, rows::plain(&project)),
        Op::Put(rows::access_key(key.id), Expect::Absent, rows::plain(&key)),
        queues::default(service, project.id),
    ];
    service.platform.table.commit(ops).await?;
    Ok(NewProject { secret: service.keyring.secret_of(key.id), key: key.id, project })
}
