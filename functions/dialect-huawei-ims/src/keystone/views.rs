//! What Keystone's answers look like.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{job::AccessKeyId, ops::projects::Project, service::Service};

use super::regions;
use crate::{
    Sent,
    tokens::{Issue, Scope},
};

/// A token that was issued.
#[derive(Debug)]
pub struct Issued<'a> {
    /// Whose it is.
    pub key: AccessKeyId,
    /// What it is for.
    pub project: &'a Project,
    /// How.
    pub issue: Issue,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// The service's address as the client knows it, without a path: clients go on
/// to where its answers point.
pub fn base(service: &Service, sent: &Sent) -> String {
    let own = service.config.public_url.trim_end_matches('/');
    match (own.split_once("://"), sent.header("host")) {
        (Some((scheme, _)), Some(host)) => format!("{scheme}://{host}"),
        (Some(_) | None, _) => own.to_owned(),
    }
}

/// The version document.
pub fn version(base: &str) -> Value {
    json!({"version": {
        "id": "v3.8",
        "status": "stable",
        "updated": "2017-02-22T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/v3/")}],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    }})
}

/// What a token says of itself.
pub fn token(issued: &Issued<'_>, catalog: Option<Value>) -> Value {
    let key = issued.key.to_string();
    let mut token = json!({
        "methods": [issued.issue.method.word()],
        "issued_at": time(issued.issue.at),
        "expires_at": time(issued.expires_at),
        "user": {"id": key, "name": key, "domain": named(issued.project)},
    });
    let roles = json!([{"id": "member", "name": "member"}]);
    match issued.issue.scope {
        Scope::Project => {
            let Project { id, name, .. } = issued.project;
            let domain = named(issued.project);
            token["project"] = json!({"id": id, "name": name, "domain": domain});
        }
        Scope::Domain => token["domain"] = named(issued.project),
        Scope::Unscoped => return token,
    }
    token["roles"] = roles;
    if let Some(catalog) = catalog {
        token["catalog"] = catalog;
    }
    token
}

/// A project as lists have it.
pub fn project(project: &Project) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "description": "",
        "domain_id": project.id,
        "parent_id": project.id,
        "is_domain": false,
        "enabled": true,
    })
}

/// The domain that a project is in, as lists have it.
pub fn domain(project: &Project) -> Value {
    json!({"id": project.id, "name": project.name, "description": "", "enabled": true})
}

/// The domain that a project is in: it has one of its own, of the same name.
fn named(project: &Project) -> Value {
    json!({"id": project.id, "name": project.name})
}

/// Where each service is, the same in every region. Jobs are looked for at the
/// service of the type `image`, by an address without a version.
pub fn catalog(base: &str) -> Value {
    let service = |kind: &str, name: &str, url: &str| {
        let endpoint = |region: &str| {
            json!({
                "id": format!("{kind}-{region}"),
                "interface": "public",
                "region": region,
                "region_id": region,
                "url": url,
            })
        };
        let endpoints: Vec<_> = regions::all().map(endpoint).collect();
        json!({"id": kind, "type": kind, "name": name, "endpoints": endpoints})
    };
    json!([
        service("image", "glance", base),
        service("identity", "keystone", &format!("{base}/v3")),
    ])
}

/// As Keystone writes times.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
