//! From a request to the action that it is for.

use http::header;
use shared::{
    service::Service,
    wire::{Reply, Request, query_pairs},
};

use crate::{
    VERSION,
    call::{Call, RequestId},
    containers,
    faults::Fault,
    jobs,
    parameters::Parameters,
    scheduler,
    sign::Claim,
    submit, tasks,
};

/// The most bytes of a body: parameters fit in.
const BODY_BYTES: u64 = 1 << 20;

pub async fn answer(
    service: &Service,
    mut request: Request,
    id: &RequestId,
) -> Result<Reply, Fault> {
    if !matches!(request.path.as_str(), "" | "/") {
        return Err(Fault::no_such_path());
    }
    let body = request.bytes("the body", BODY_BYTES).await?;
    let form = form(&request, &body)?;
    let claim = Claim::of(&request, &form, &body)?;
    let action = signed_header(&request, &claim, "x-acs-action");
    let version = signed_header(&request, &claim, "x-acs-version");
    let parameters = Parameters::new(request.query.into_iter().chain(form).collect());
    let action = parameters.get("Action").map(str::to_owned).or(action);
    let version = parameters.get("Version").map(str::to_owned).or(version);
    let who = claim.proven(service, action.as_deref().unwrap_or_default()).await?;
    let action = action.ok_or_else(|| Fault::missing("Action"))?;
    if version.ok_or_else(|| Fault::missing("Version"))? != VERSION {
        let message = format!("Specified version is not found: here it is {VERSION}.");
        return Err(Fault::bad("NoSuchVersion", message));
    }
    perform(&action, &Call { service, who, parameters, id }).await
}

async fn perform(action: &str, call: &Call<'_>) -> Result<Reply, Fault> {
    match action {
        "ListTasks" => tasks::list(call).await,
        "SubmitServerlessJob" => submit::submit(call).await,
        "DescribeServerlessJobs" => containers::describe(call).await,
        "ListServerlessJobs" => jobs::list(call).await,
        "StopServerlessJobs" => jobs::stop(call).await,
        "ListJobs" => scheduler::list(call).await,
        "DescribeJob" => scheduler::describe(call).await,
        "StopJobs" => scheduler::stop(call).await,
        "DeleteJobs" => scheduler::delete(call).await,
        "RerunJobs" => scheduler::rerun(call).await,
        "GetJobLog" => scheduler::log(call).await,
        "SubmitJob" => Err(Fault::not_enabled(
            "SubmitJob runs a command line on a cluster's own nodes, as one of their users; here a \
             job is what an image runs: use SubmitServerlessJob",
        )),
        "ListJobsWithFilters" => Err(Fault::not_enabled(
            "its filters are of users and nodes, which a cluster has none of here; use ListJobs or \
             ListServerlessJobs",
        )),
        "CreateJobTemplate" | "EditJobTemplate" | "DeleteJobTemplates" | "ListJobTemplates" => {
            Err(Fault::not_enabled(
                "these templates are of command lines on a cluster's own nodes, which it has none \
                 of here",
            ))
        }
        unknown => Err(Fault::no_such_action(unknown)),
    }
}

/// A header that says what is asked for: it counts where it is signed.
fn signed_header(request: &Request, claim: &Claim, name: &str) -> Option<String> {
    request.header(name).filter(|_| claim.signs_headers()).map(str::to_owned)
}

/// The parameters of a form body; a body of another type has none.
fn form(request: &Request, body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let media_type = request.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Vec::new());
    }
    Ok(query_pairs(&String::from_utf8_lossy(body))?)
}
