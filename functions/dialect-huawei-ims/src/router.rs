//! Which call a request is, and its answer.

use http::{Method, StatusCode};
use shared::{dialect::Asked, job::JobKey, ops::jobs, service::Service, wire::Reply};

use crate::{
    Sent, caller,
    faults::Fault,
    ids::{self, Named},
    keystone, sign,
    words::{Form, JobObject},
};

/// Why a call that would make or change an image is refused.
const UNSUPPORTED: &str = "images are not made or changed here: jobs are submitted by another API, \
                           and this one shows how they stand";

/// A call of the API.
#[derive(Debug, PartialEq, Eq)]
enum Call<'a> {
    Version,
    IssueToken,
    ShowToken,
    Catalog,
    Projects,
    Domains,
    /// How a job stands, by the path's project.
    Job(&'a str, &'a str),
    /// The same without a project in the path.
    Progress(&'a str),
    /// Something about images: answered with a job there, and refused here.
    Image,
}

impl<'a> Call<'a> {
    fn of(method: &Method, path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let parts: Vec<_> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["v3"]) => Some(Call::Version),
            ("POST", ["v3", "auth", "tokens"]) => Some(Call::IssueToken),
            ("GET" | "HEAD", ["v3", "auth", "tokens"]) => Some(Call::ShowToken),
            ("GET", ["v3", "auth", "catalog"]) => Some(Call::Catalog),
            ("GET", ["v3", "projects"] | ["v3", "auth", "projects"]) => Some(Call::Projects),
            ("GET", ["v3", "auth", "domains"]) => Some(Call::Domains),
            ("GET", ["v1", "cloudimages", "job", job]) => Some(Call::Progress(job)),
            ("GET", ["v1", project, "jobs", job]) => Some(Call::Job(project, job)),
            (method, [version, "cloudimages", rest @ ..]) => {
                is_about_images(method, version, rest).then_some(Call::Image)
            }
            _ => None,
        }
    }
}

/// Whether the API has such a call that makes, changes or shares an image.
fn is_about_images(method: &str, version: &str, rest: &[&str]) -> bool {
    match (method, rest) {
        ("POST", ["action"] | ["quickimport", "action"]) => matches!(version, "v2" | "v2.1"),
        ("POST", ["dataimages", "action"] | [_, "file" | "copy"]) => {
            matches!(version, "v1" | "v2.1")
        }
        ("POST", ["wholeimages", "action"] | [_, "cross_region_copy"])
        | ("PUT", [_, "upload"])
        | ("POST" | "PUT" | "DELETE", ["members"]) => version == "v1",
        _ => false,
    }
}

/// Whether a request is of this API: by its path, or by how its caller is known.
pub fn is_ours(asked: &Asked<'_>) -> bool {
    let signed = asked.header("authorization").is_some_and(|header| {
        header.split_once(' ').is_some_and(|(scheme, _)| scheme == sign::SCHEME)
    });
    let parts: Vec<_> = asked.path.split('/').collect();
    let ours = match parts.as_slice() {
        ["", "v3", ..] | ["", "v1" | "v2" | "v2.1", "cloudimages", ..] => true,
        ["", "v1" | "v2", project, ..] => {
            project.len() == 32 && project.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        _ => false,
    };
    ours || signed || asked.header("x-auth-token").is_some()
}

/// Answers.
pub async fn answer(service: &Service, sent: &Sent) -> Result<Reply, Fault> {
    match Call::of(&sent.method, &sent.path).ok_or(Fault::NoSuchApi)? {
        Call::Version => Ok(keystone::version(service, sent)),
        Call::IssueToken => keystone::issue_token(service, sent).await,
        Call::ShowToken => keystone::show_token(service, sent).await,
        Call::Catalog => keystone::show_catalog(service, sent).await,
        Call::Projects => keystone::list_projects(service, sent).await,
        Call::Domains => keystone::list_domains(service, sent).await,
        Call::Job(project, job) => show(service, sent, Some(project), job, Form::Job).await,
        Call::Progress(job) => show(service, sent, None, job, Form::Progress).await,
        Call::Image => {
            caller::known_in(service, sent, None).await?;
            Err(Fault::Unsupported(UNSUPPORTED))
        }
    }
}

/// How a job, or a part of one, stands.
async fn show(
    service: &Service,
    sent: &Sent,
    project: Option<&str>,
    id: &str,
    form: Form,
) -> Result<Reply, Fault> {
    let who = caller::known_in(service, sent, project).await?;
    let unknown = || Fault::NoSuchJob(id.to_owned());
    let named = ids::named(id).ok_or_else(unknown)?;
    let (Named::Job(job) | Named::Task(job, _)) = named;
    let found = jobs::load(service, JobKey { project: who.project, job }).await;
    let job = found.map_err(|problem| match Fault::from(problem) {
        // By the id that was asked for.
        Fault::NoSuchJob(_) => unknown(),
        other => other,
    })?;
    let object = match named {
        Named::Job(_) if job.ending().is_some() => {
            let message = jobs::view(service, &job).await?.message;
            JobObject::of(&job, message.as_deref(), form)
        }
        Named::Job(_) => JobObject::of(&job, None, form),
        Named::Task(_, place) => JobObject::of_task(&job, place, form).ok_or_else(unknown)?,
    };
    Ok(Reply::json(StatusCode::OK, &object))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn ours(path: &str, header: Option<(&'static str, &'static str)>) -> bool {
        let headers: HeaderMap = header
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        is_ours(&Asked { method: &Method::GET, path, headers: &headers, parameters: &[] })
    }

    #[test]
    fn a_request_is_known_by_its_path_or_by_its_credential() {
        let project = "ac234de25c6741d2b1273da49eea1b9e";
        assert!(ours("/v3", None) && ours("/v3/", None) && ours("/v3/auth/tokens", None));
        assert!(ours(&format!("/v1/{project}/jobs/x"), None));
        assert!(ours("/v2.1/cloudimages/action", None) && ours("/v1/cloudimages/job/x", None));
        assert!(ours("/anything", Some(("x-auth-token", "t"))));
        assert!(ours("/v1/7/jobs/x", Some(("authorization", "SDK-HMAC-SHA256 Access=a"))));
        assert!(!ours("/v1/jobs", Some(("authorization", "Basic SDK-HMAC-SHA256"))));
        assert!(!ours("/", None) && !ours("/v1/jobs/x/y", None) && !ours("/v30", None));
        assert!(!ours("/v1/objects/bucket", None));
    }

    #[test]
    fn each_call_has_its_method_and_path() {
        let of = |method: &str, path| Call::of(&method.parse().unwrap(), path);
        assert_eq!(of("GET", "/v3"), Some(Call::Version));
        assert_eq!(of("GET", "/v3/"), Some(Call::Version));
        assert_eq!(of("GET", "/v1/p/jobs/j"), Some(Call::Job("p", "j")));
        assert_eq!(of("GET", "/v1/p/jobs/j/"), Some(Call::Job("p", "j")));
        assert_eq!(of("GET", "/v1/cloudimages/job/j"), Some(Call::Progress("j")));
        for (method, path) in [
            ("POST", "/v2/cloudimages/action"),
            ("POST", "/v2.1/cloudimages/action"),
            ("POST", "/v1/cloudimages/dataimages/action"),
            ("POST", "/v1/cloudimages/wholeimages/action"),
            ("POST", "/v2/cloudimages/quickimport/action"),
            ("PUT", "/v1/cloudimages/i/upload"),
            ("POST", "/v1/cloudimages/i/file"),
            ("POST", "/v1/cloudimages/i/copy"),
            ("POST", "/v1/cloudimages/i/cross_region_copy"),
            ("POST", "/v1/cloudimages/members"),
            ("PUT", "/v1/cloudimages/members"),
            ("DELETE", "/v1/cloudimages/members"),
        ] {
            assert_eq!(of(method, path), Some(Call::Image), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "/v1/p/jobs/j"),
            ("GET", "/v1/p/jobs"),
            ("GET", "/v2/cloudimages/action"),
            ("POST", "/v1/cloudimages/action"),
            ("DELETE", "/v3/auth/tokens"),
            ("GET", "/"),
        ] {
            assert_eq!(of(method, path), None, "{method} {path}");
        }
    }
}
