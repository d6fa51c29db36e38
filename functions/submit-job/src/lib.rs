//! `POST /v1/jobs`: accept a job.
//!
//! Answers as soon as the job is in the table, unless the caller wants to wait.
//! Starting it is the business of the reactions.

use http::{HeaderName, StatusCode, header};
use shared::{
    auth,
    function::{Action, Route},
    job::{Job, ProjectId},
    ops::{
        jobs, output, rerun,
        submit::{self, Accepted},
    },
    platform::ByteStream,
    service::Service,
    wire::{
        Body, Problem, RangeAsked, Reply, Request, openapi,
        submit::{JobBody, QUERY_FIELDS, Submission, check_client_token, from_query, in_query},
        views::JobView,
    },
};

/// The action.
pub struct SubmitJob;

impl Action for SubmitJob {
    const NAME: &'static str = "submit-job";
    const ROUTE: Route = Route::post("/v1/jobs");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        let wait = request.wait_seconds(service.config.longest_wait_seconds)?;
        let token = idempotency_key(&request)?;
        let accepted = if is_told_by_query(&request) {
            Asked::by_query(service, &mut request)?.submit(service, who.project, token).await?
        } else {
            by_json(service, who.project, &mut request, token).await?
        };
        if wait == 0 {
            return pending(service, &accepted.job).await;
        }
        let job = jobs::wait(service, accepted.job.key(), wait).await?;
        match job.ending() {
            Some(_) => ended(service, &job).await,
            None => pending(service, &job).await,
        }
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Submit a job")
            .text(
                "With a JSON body, or told by query parameters: then the body, of any other \
                 content type, is the job's standard input. Or by a template's name and its \
                 parameters' values. With `wait`, or `Prefer: wait=N`, the \
                 answer is the archive of a job of one container once that has ended. With an \
                 `Idempotency-Key` header or `client_token`, a repeated submit answers the same \
                 job.",
            )
            .request::<JobBody>()
            .request_bytes("application/octet-stream")
            .reply::<JobView>(202, "The job was accepted and is not over.")
            .bytes(200, "application/x-tar", "The job is over: its archive.")
            .reply::<JobView>(200, "The job is over, and has not the one archive.");
        for (name, text) in QUERY_FIELDS {
            describe.query(name, text);
        }
    }
}

/// A job that is asked for.
struct Asked {
    submission: Submission,
    /// What the client sent, but for the standard input: the same again is the
    /// same request.
    sent: Vec<u8>,
    stdin: Option<ByteStream>,
}

impl Asked {
    async fn submit(
        mut self,
        service: &Service,
        project: ProjectId,
        token: Option<String>,
    ) -> Result<Accepted, Problem> {
        let given = self.submission.client_token.take();
        self.submission.client_token = one_token(token, given)?;
        let Asked { submission, sent, stdin } = self;
        submit::submit(service, project, submission, &sent, stdin).await
    }

    fn by_query(service: &Service, request: &mut Request) -> Result<Self, Problem> {
        let (job, tasks) = from_query(request)?;
        if request.query("image").is_none() {
            return Err(Problem::invalid(
                "image",
                "it is required in the query, as the body is standard input; a job in JSON has \
                 the content type application/json",
            ));
        }
        let submission = job.check(tasks, &service.limits).map_err(in_query)?;
        let stdin = match std::mem::take(&mut request.body) {
            Body::Empty => None,
            body => Some(body.limited("standard input", service.limits.body_bytes)?),
        };
        Ok(Asked { submission, sent: told(request), stdin })
    }
}

async fn by_json(
    service: &Service,
    project: ProjectId,
    request: &mut Request,
    token: Option<String>,
) -> Result<Accepted, Problem> {
    request.only_query(&["wait"])?;
    let sent = request.bytes("the job", service.limits.request_bytes).await?;
    let problem = match rerun::submission(service, project, &sent).await {
        Ok(submission) => {
            let asked = Asked { submission, sent: sent.into(), stdin: None };
            return asked.submit(service, project, token).await;
        }
        Err(problem) => problem,
    };
    let before = submit::repeated(service, project, token.as_deref(), &sent).await?;
    before.ok_or_else(|| hinted(problem, &sent))
}

/// What a query says of a job, for telling whether it is said again. How long
/// the caller waits, and by which token it is known, is not about the job.
fn told(request: &Request) -> Vec<u8> {
    let about = |name: &str| name != "wait" && name != "client_token";
    let pairs = request.query.iter().filter(|(name, _)| about(name));
    // The lengths keep two queries apart whatever their texts are.
    let pair = |(name, value): &(String, String)| {
        format!("{} {name} {} {value}\n", name.len(), value.len())
    };
    pairs.map(pair).collect::<String>().into_bytes()
}

/// JSON, or nothing that says what it is: then the query, if it names an image.
fn is_told_by_query(request: &Request) -> bool {
    let Some(media_type) = request.header("content-type") else {
        return request.query("image").is_some();
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence != "application/json" && !essence.ends_with("+json")
}

/// A body that is empty by mistake is a common one.
fn hinted(problem: Problem, sent: &[u8]) -> Problem {
    if sent.is_empty() {
        let hint = "it is empty; a job is a JSON object, or is told by query parameters";
        return Problem::Malformed(hint.into());
    }
    problem
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers.get("idempotency-key") else { return Ok(None) };
    let token = String::from_utf8_lossy(value.as_bytes()).into_owned();
    check_client_token("Idempotency-Key", &token)?;
    Ok(Some(token))
}

fn one_token(header: Option<String>, given: Option<String>) -> Result<Option<String>, Problem> {
    match (header, given) {
        (Some(header), Some(given)) if header != given => {
            Err(Problem::invalid("client_token", "it differs from the Idempotency-Key header"))
        }
        (header, given) => Ok(header.or(given)),
    }
}

async fn pending(service: &Service, job: &Job) -> Result<Reply, Problem> {
    let view = jobs::view(service, job).await?;
    Ok(Reply::json(StatusCode::ACCEPTED, &view).about(job).with(header::LOCATION, view.links.own))
}

/// The one archive, where there is one.
async fn ended(service: &Service, job: &Job) -> Result<Reply, Problem> {
    let last = job.only_instance().map_or(0, |instance| instance.attempts);
    let archive = match last {
        0 => None,
        last => output::stored(service, job.key(), job.attempt_id(0, 0, last)).await?,
    };
    let Some(archive) = archive else {
        return Ok(Reply::json(StatusCode::OK, &jobs::view(service, job).await?).about(job));
    };
    let whole = RangeAsked::default().within(archive.size(), &archive.etag)?;
    let body = archive.read(service, whole.part.clone()).await?;
    let reply = whole.reply(body, &archive.etag, "application/x-tar").about(job);
    // Its parts are to be had elsewhere: a POST has none.
    let mut reply = reply.with(header::CONTENT_LOCATION, format!("/v1/jobs/{}/output", job.id));
    reply.headers.remove(HeaderName::from_static("accept-ranges"));
    Ok(reply)
}

#[cfg(test)]
mod template_tests;
#[cfg(test)]
mod tests;
