//! `GET /v1/jobs/{job}/attempts`: every attempt of a job, a page at a time.

mod view;

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::{AttemptId, Job, JobKey},
    ops::{
        history::{self, Filter, Tried},
        jobs,
    },
    service::Service,
    wire::{Cursor, Problem, Reply, Request, openapi},
};
use view::{AttemptView, AttemptsView};

/// The action.
pub struct ListAttempts;

impl Action for ListAttempts {
    const NAME: &'static str = "list-attempts";
    const ROUTE: Route = Route::get("/v1/jobs/{job}/attempts");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["run", "task", "instance", "limit", "cursor"])?;
        let limit = request.limit(25, 100)?;
        let run = request.query_as("run")?;
        let instance = request.query_as("instance")?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let job = jobs::load(service, key).await?;
        let filter = Filter { run, task: task(&job, &request, instance)?, instance };
        let listing = format!("attempts of {}", job.id);
        let after = match request.query("cursor") {
            None => None,
            Some(text) => {
                let Cursor(last) = Cursor::open(text, &service.keyring, who.project, &listing)?;
                let last: Result<AttemptId, _> = last.parse();
                Some(last.map_err(|error| Problem::invalid("cursor", error.to_string()))?)
            }
        };
        let (found, more) = history::list(service, &job, filter, after, limit).await?;
        let next = found.last().map(Tried::id).filter(|_| more);
        let view = AttemptsView {
            attempts: found
                .into_iter()
                .map(|tried| AttemptView::of(&job, tried, service.config.prices))
                .collect(),
            next: next
                .map(|last| Cursor(last.to_string()).seal(&service.keyring, who.project, &listing)),
        };
        Ok(Reply::json(StatusCode::OK, &view))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List every attempt of a job")
            .text(
                "By run, task, instance and number: those that have ended with how and why, the \
                 end of what they wrote, and their archive; those that are live with how far \
                 they are.",
            )
            .query("run", "Only attempts of this run, from 1.")
            .query("task", "Only attempts of the task of this name.")
            .query("instance", "Only attempts of this instance, from 0.")
            .query("limit", "Attempts of a page: 1 to 100; 25 without.")
            .query("cursor", "The `next` of the page before.")
            .reply::<AttemptsView>(200, "A page of attempts.");
    }
}

/// The place of the task that is named; of the only one, where an instance is.
fn task(job: &Job, request: &Request, instance: Option<u32>) -> Result<Option<u32>, Problem> {
    let Some(name) = request.query("task") else {
        return match instance {
            None => Ok(None),
            Some(_) if job.tasks.len() == 1 => Ok(Some(0)),
            Some(_) => Err(Problem::invalid("task", "the job has several; name one")),
        };
    };
    let place = job.tasks.iter().position(|task| task.name.as_str() == name);
    let place = place.and_then(|place| u32::try_from(place).ok());
    place.map(Some).ok_or_else(|| Problem::not_found("task", name))
}

#[cfg(test)]
mod tests;
