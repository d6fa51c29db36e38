//! Keystone v3: what a client asks before it asks about jobs.

pub mod regions;
mod views;

use http::{HeaderName, StatusCode};
use serde_json::{Value, json};
use shared::{
    auth::{self, AccessToken, Identity},
    job::AccessKeyId,
    ops::projects::{self, Project},
    service::Service,
    wire::{Problem, Reply},
};

use crate::{
    API, Sent, caller,
    faults::Fault,
    tokens::{self, Issue},
};
use views::{Issued, base, catalog, domain, project, token};

/// The header that carries a token that is spoken of.
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// `GET /v3`: which version there is.
pub fn version(service: &Service, sent: &Sent) -> Reply {
    Reply::json(StatusCode::OK, &views::version(&base(service, sent)))
}

/// `POST /v3/auth/tokens`: a token for a key and its secret.
pub async fn issue_token(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    let asked: Value = serde_json::from_slice(&sent.body)
        .map_err(|error| Fault::Malformed(format!("the body is not JSON: {error}")))?;
    let (key, method, until) = tokens::identify(service, &asked)?;
    let who = auth::verified(service, key, API).await?;
    let project = project_of(service, who).await?;
    let scope = tokens::scope(&asked, &project)?;
    let issue = Issue { method, scope, at: service.platform.clock.now() };
    let (sealed, expires_at) = tokens::seal(service, key, issue, until);
    let issued = Issued { key, project: &project, issue, expires_at };
    let body = json!({"token": token(&issued, shown_catalog(service, sent))});
    Ok(Reply::json(StatusCode::CREATED, &body).with(SUBJECT, sealed).secret())
}

/// `GET /v3/auth/tokens`: what a token is good for, asked with one.
pub async fn show_token(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    let who = caller::known(service, sent).await?;
    let unknown = || Fault::NotFound("the token is not valid, or not of this project".into());
    let subject = sent.header("x-subject-token").ok_or_else(|| {
        Fault::Malformed("X-Subject-Token, the token that is asked about, is missing".into())
    })?;
    let (opened, issue) = tokens::issued(service, subject).map_err(|_| unknown())?;
    if !is_good(service, opened.key, who).await? {
        return Err(unknown());
    }
    let project = project_of(service, who).await?;
    let AccessToken { key, expires_at } = opened;
    let issued = Issued { key, project: &project, issue, expires_at };
    let body = json!({"token": token(&issued, shown_catalog(service, sent))});
    Ok(Reply::json(StatusCode::OK, &body).with(SUBJECT, subject).secret())
}

/// `GET /v3/auth/catalog`: where each service is.
pub async fn show_catalog(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    caller::known(service, sent).await?;
    let base = base(service, sent);
    let links = json!({"self": format!("{base}/v3/auth/catalog")});
    Ok(Reply::json(StatusCode::OK, &json!({"catalog": catalog(&base), "links": links})))
}

/// `GET /v3/projects` and `/v3/auth/projects`: the caller's, if it goes by the
/// name that is asked for. The Huawei SDK looks up a region's project so.
pub async fn list_projects(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    let who = caller::known(service, sent).await?;
    let own = project_of(service, who).await?;
    let wanted = sent.query("name").is_none_or(|name| tokens::goes_by(&own, name));
    let list: Vec<_> = wanted.then(|| project(&own)).into_iter().collect();
    Ok(list_of("projects", &base(service, sent), sent, &list))
}

/// `GET /v3/auth/domains`: the one that the caller's project is in.
pub async fn list_domains(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    let who = caller::known(service, sent).await?;
    let own = project_of(service, who).await?;
    Ok(list_of("domains", &base(service, sent), sent, &[domain(&own)]))
}

fn list_of(what: &str, base: &str, sent: &Sent, list: &[Value]) -> Reply {
    let own = format!("{base}{}", sent.path);
    let links = json!({"self": own, "next": null, "previous": null});
    Reply::json(StatusCode::OK, &json!({what: list, "links": links}))
}

/// Where each service is, unless the caller wants to do without.
fn shown_catalog(service: &Service, sent: &Sent) -> Option<Value> {
    let wanted = sent.query("nocatalog").is_none();
    wanted.then(|| catalog(&base(service, sent)))
}

/// Whether the key is one of the caller's project that is good here.
async fn is_good(service: &Service, key: AccessKeyId, who: Identity) -> Result<bool, Fault> {
    match auth::verified(service, key, API).await {
        Ok(subject) => Ok(subject.project == who.project),
        Err(Problem::Unauthenticated(_) | Problem::Forbidden(_)) => Ok(false),
        Err(problem) => Err(problem.into()),
    }
}

async fn project_of(service: &Service, who: Identity) -> Result<Project, Fault> {
    Ok(projects::load(service, who.project).await?)
}
