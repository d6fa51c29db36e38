//! From a request to what answers it.

use http::{Method, StatusCode};
use shared::{
    service::Service,
    wire::{Reply, Request},
};

use crate::{
    asker::Asker,
    faults::{self, Fault},
    jobs, list,
    place::Place,
    queues as their_queues, service as their_service, sign, templates,
    tree::Fields,
    words::{self, Kind, Subject},
};

/// The most bytes of a request's document.
const MOST_BYTES: u64 = 256 << 10;

/// What a path and a method are about.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    CreateJobs(Kind),
    DescribeJobs(String),
    ListJobs,
    CancelJob(String),
    ListQueues(Kind),
    UpdateQueue(String),
    CreateTemplate,
    ListTemplates,
    UpdateTemplate(String),
    DeleteTemplate(String),
    OpenService(Kind),
    ShowService(Kind),
    CloseService(Kind),
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (subject, id) = match path.split_once('/') {
            None => (path, None),
            Some((_, id)) if id.is_empty() || id.contains('/') => return None,
            Some((subject, id)) => (subject, Some(id.to_owned())),
        };
        // Some of the vendor's own samples post what others put.
        let puts = *method == Method::PUT || *method == Method::POST;
        Some(match (words::subject(subject)?, method.as_str(), id) {
            (Subject::Jobs(kind), "POST", None) => Call::CreateJobs(kind),
            (Subject::Jobs(_), "GET", Some(ids)) => Call::DescribeJobs(ids),
            (Subject::Jobs(_), "GET", None) => Call::ListJobs,
            (Subject::Jobs(_), "PUT", Some(id)) => Call::CancelJob(id),
            (Subject::Queues(kind), "GET", None) => Call::ListQueues(kind),
            (Subject::Queues(_), _, Some(id)) if puts => Call::UpdateQueue(id),
            (Subject::Templates, "POST", None) => Call::CreateTemplate,
            (Subject::Templates, "GET", None) => Call::ListTemplates,
            (Subject::Templates, "PUT", Some(id)) => Call::UpdateTemplate(id),
            (Subject::Templates, "DELETE", Some(id)) => Call::DeleteTemplate(id),
            (Subject::Service(kind), "POST", None) => Call::OpenService(kind),
            (Subject::Service(kind), "GET", None) => Call::ShowService(kind),
            (Subject::Service(kind), "DELETE", None) => Call::CloseService(kind),
            _ => return None,
        })
    }
}

/// Does what is asked.
pub async fn handle(service: &Service, mut request: Request, id: &str) -> Result<Reply, Fault> {
    let place = Place::of(&request)?;
    let who = sign::identity(service, &request, &place).await?;
    let call = Call::of(&request.method, &place.path).ok_or_else(Fault::no_such_path)?;
    let asker = Asker { service, project: who.project, place, id };
    let answer = match call {
        Call::CreateJobs(kind) => {
            let asked = document(&mut request).await?;
            jobs::create(&asker, kind, &asked).await?
        }
        Call::DescribeJobs(ids) => jobs::describe(&asker, &ids).await?,
        Call::ListJobs => list::list(&asker, &request.query).await?,
        Call::CancelJob(job) => {
            if request.query("cancel").is_none() {
                return Err(Fault::no_such_path());
            }
            jobs::cancel(&asker, &job).await?;
            return Ok(faults::reply(StatusCode::OK, String::new(), id));
        }
        Call::ListQueues(kind) => their_queues::list(&asker, kind, &request.query).await?,
        Call::UpdateQueue(queue) => {
            let asked = document(&mut request).await?;
            their_queues::update(&asker, &queue, &asked).await?
        }
        Call::CreateTemplate => {
            let asked = document(&mut request).await?;
            templates::create(&asker, &asked).await?
        }
        Call::ListTemplates => templates::list(&asker, &request.query).await?,
        Call::UpdateTemplate(template) => {
            let asked = document(&mut request).await?;
            templates::update(&asker, &template, &asked).await?
        }
        Call::DeleteTemplate(template) => templates::delete(&asker, &template).await?,
        Call::OpenService(kind) => their_service::open(&asker, kind).await?,
        Call::ShowService(kind) => their_service::show(&asker, kind, &request.query).await?,
        Call::CloseService(kind) => their_service::close(&asker, kind).await?,
    };
    Ok(faults::reply(StatusCode::OK, answer.xml("Response"), id))
}

async fn document(request: &mut Request) -> Result<Fields, Fault> {
    let bytes = request.bytes("the body", MOST_BYTES).await?;
    Ok(Fields::read("Request", &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_told_apart() {
        let call = |method: &str, path: &str| Call::of(&method.parse().unwrap(), path);
        for (method, path, expected) in [
            ("POST", "/jobs", Call::CreateJobs(Kind::Media)),
            ("POST", "/pic_jobs", Call::CreateJobs(Kind::Pic)),
            ("GET", "/jobs", Call::ListJobs),
            ("GET", "/pic_jobs/a,b", Call::DescribeJobs("a,b".into())),
            ("PUT", "/jobs/a", Call::CancelJob("a".into())),
            ("GET", "/picqueue", Call::ListQueues(Kind::Pic)),
            ("PUT", "/queue/a", Call::UpdateQueue("a".into())),
            ("POST", "/queue/a", Call::UpdateQueue("a".into())),
            ("POST", "/template", Call::CreateTemplate),
            ("GET", "/template", Call::ListTemplates),
            ("PUT", "/template/a", Call::UpdateTemplate("a".into())),
            ("DELETE", "/template/a", Call::DeleteTemplate("a".into())),
            ("POST", "/picbucket", Call::OpenService(Kind::Pic)),
            ("GET", "/picbucket", Call::ShowService(Kind::Pic)),
            ("DELETE", "/ai_bucket", Call::CloseService(Kind::Ai)),
        ] {
            assert_eq!(call(method, path), Some(expected), "{method} {path}");
        }
        for (method, path) in [
            ("DELETE", "/jobs"),
            ("DELETE", "/jobs/a"),
            ("POST", "/jobs/a"),
            ("GET", "/jobs/"),
            ("GET", "/jobs/a/b"),
            ("GET", "/template/a"),
            ("GET", "/queue/a"),
            ("POST", "/workflow"),
            ("GET", "/"),
            ("GET", "jobs"),
        ] {
            assert_eq!(call(method, path), None, "{method} {path}");
        }
    }
}
