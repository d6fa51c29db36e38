//! `POST /v1/jobs/dry-run`: what would become of a job, without accepting it.
//!
//! A function of its own, not a parameter of the submit: it looks up images,
//! and so has credentials of registries, which a submit has no use for.

mod view;

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    ops::{queues, rerun, trial},
    service::Service,
    wire::{Problem, Reply, Request, openapi, submit::JobBody},
};

use view::DryRunView;

/// The action.
pub struct TryJob;

impl Action for TryJob {
    const NAME: &'static str = "try-job";
    const ROUTE: Route = Route::post("/v1/jobs/dry-run");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let sent = request.bytes("the job", service.limits.request_bytes).await?;
        let submission = rerun::submission(service, who.project, &sent).await?;
        let trial = trial::perform(service, who.project, submission).await?;
        let queue = queues::view(service, who.project, &trial.queue).await?;
        let view = DryRunView::of(&trial, queue, &service.limits);
        Ok(Reply::json(StatusCode::OK, &view))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Try a job")
            .text(
                "What a submit would refuse is refused; else the job is told as it would start, \
                 its images looked up, and nothing is stored or started. The same look-up may \
                 find another image later.",
            )
            .request::<JobBody>()
            .reply::<DryRunView>(200, "The job as it would start.");
    }
}

#[cfg(test)]
mod tests;
