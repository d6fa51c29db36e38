//! `POST /v1/jobs/bulk`: cancel, retry or delete the jobs that a filter lets
//! through, a bounded number at a time.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::{
    auth,
    function::{Action, Route},
    job::JobId,
    ops::{
        bulk::{self, Deed, Done},
        jobs::Filter,
    },
    service::Service,
    wire::{
        Cursor, Problem, Reply, Request, SMALL_BODY_BYTES, openapi, submit::within,
        views::JOB_STATES,
    },
};
use utoipa::ToSchema;

/// The action.
pub struct ChangeJobs;

const LISTING: &str = "bulk";

/// The most jobs that one request changes.
const MOST: i64 = 100;

/// What is to be done to which jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// `cancel`, `retry` or `delete`.
    action: String,
    /// Which jobs; `{}` for all that it can be done to.
    filter: FilterRequest,
    /// With `retry`: also what succeeded.
    #[serde(default)]
    all: bool,
    /// Do nothing, and tell which jobs it would be done to.
    #[serde(default)]
    dry_run: bool,
    /// How many jobs at most: 1 to 100; 100 without.
    limit: Option<i64>,
    /// The `next` of the answer before, to go on from there.
    cursor: Option<String>,
}

/// Which jobs: those that all of this is true of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilterRequest {
    /// In one of these states; in any that it can be done in without.
    states: Vec<String>,
    /// Of this queue.
    queue: Option<String>,
    /// Of this name.
    name: Option<String>,
    /// With all of these labels.
    tags: BTreeMap<String, String>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkView {
    /// How many jobs it was done to, or would be.
    changed: usize,
    /// The jobs that were found, newest first.
    jobs: Vec<String>,
    /// Those of them that it could not be done to.
    refused: Vec<RefusedView>,
    /// For the next request; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A job that something could not be done to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedView {
    /// Which.
    job: String,
    /// A stable word for programs.
    code: String,
    /// A sentence for people.
    detail: String,
}

impl Action for ChangeJobs {
    const NAME: &'static str = "change-jobs";
    const ROUTE: Route = Route::post("/v1/jobs/bulk");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let asked: BulkRequest = request.json("the body", SMALL_BODY_BYTES).await?;
        let deed = asked.deed()?;
        let limit = asked.limit.unwrap_or(MOST);
        within("limit", limit, 1, MOST)?;
        let after = match &asked.cursor {
            None => None,
            Some(text) => {
                let Cursor(job) = Cursor::open(text, &service.keyring, who.project, LISTING)?;
                let job: Result<JobId, _> = job.parse();
                Some(job.map_err(|error| Problem::invalid("cursor", error.to_string()))?)
            }
        };
        let dry = asked.dry_run;
        let (filter, page) =
            (asked.filter.checked()?, (after, usize::try_from(limit).unwrap_or(1)));
        let done = bulk::perform(service, who.project, deed, filter, page, dry).await?;
        let Done { jobs, refused, next } = done;
        let next =
            next.map(|job| Cursor(job.to_string()).seal(&service.keyring, who.project, LISTING));
        let view = BulkView {
            changed: jobs.len() - refused.len(),
            jobs: jobs.iter().map(JobId::to_string).collect(),
            refused: refused.iter().map(RefusedView::of).collect(),
            next,
        };
        Ok(Reply::json(StatusCode::OK, &view))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Cancel, retry or delete many jobs")
            .text(
                "Newest first, up to `limit` of them. As long as the answer has a `next`, there \
                 may be more: ask again with it as `cursor`. What is submitted meanwhile is left \
                 alone. An answer may have found nothing and not be the last.",
            )
            .request::<BulkRequest>()
            .reply::<BulkView>(200, "What was done to which jobs.");
    }
}

impl BulkRequest {
    fn deed(&self) -> Result<Deed, Problem> {
        let deed = match self.action.as_str() {
            "cancel" => Deed::Cancel,
            "retry" => Deed::Retry { all: self.all },
            "delete" => Deed::Delete,
            _ => return Err(Problem::invalid("action", "it is `cancel`, `retry` or `delete`")),
        };
        if self.all && !matches!(deed, Deed::Retry { .. }) {
            return Err(Problem::invalid("all", "it goes with `retry` alone"));
        }
        Ok(deed)
    }
}

impl FilterRequest {
    fn checked(self) -> Result<Filter, Problem> {
        if let Some(place) = self.states.iter().position(|it| !JOB_STATES.contains(&it.as_str())) {
            let rule = format!("it is one of {}", JOB_STATES.join(", "));
            return Err(Problem::invalid(format!("filter.states[{place}]"), rule));
        }
        let FilterRequest { states, queue, name, tags } = self;
        Ok(Filter { states, queue, name, tags: tags.into_iter().collect() })
    }
}

impl RefusedView {
    fn of((job, problem): &(JobId, Problem)) -> Self {
        RefusedView {
            job: job.to_string(),
            code: problem.code().to_owned(),
            detail: problem.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
