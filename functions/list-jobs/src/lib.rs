//! `GET /v1/jobs`: the jobs of a project, newest first, a page at a time.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::JobId,
    ops::jobs::{self, Filter},
    service::Service,
    wire::{
        Cursor, Problem, Reply, Request, openapi,
        views::{JOB_STATES, JobsView},
    },
};

/// The action.
pub struct ListJobs;

const LISTING: &str = "jobs";

impl Action for ListJobs {
    const NAME: &'static str = "list-jobs";
    const ROUTE: Route = Route::get("/v1/jobs");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["state", "queue", "name", "tag", "limit", "cursor"])?;
        let limit = request.limit(25, 100)?;
        let filter = filter(&request)?;
        let after = match request.query("cursor") {
            None => None,
            Some(text) => {
                let Cursor(job) = Cursor::open(text, &service.keyring, who.project, LISTING)?;
                let job: Result<JobId, _> = job.parse();
                Some(job.map_err(|error| Problem::invalid("cursor", error.to_string()))?)
            }
        };
        let (jobs, next) = jobs::list(service, who.project, &filter, after, limit).await?;
        let next =
            next.map(|job| Cursor(job.to_string()).seal(&service.keyring, who.project, LISTING));
        let view = JobsView { jobs: jobs::views(service, &jobs).await?, next };
        Ok(Reply::json(StatusCode::OK, &view))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List jobs, newest first")
            .text("A page may be short, or empty, and not be the last: the last has no `next`.")
            .query("state", "Only jobs in this state; repeatable.")
            .query("queue", "Only jobs of this queue.")
            .query("name", "Only jobs of this name.")
            .query("tag", "Only jobs with this label, `key=value`; repeatable.")
            .query("limit", "Jobs of a page: 1 to 100; 25 without.")
            .query("cursor", "The `next` of the page before.")
            .reply::<JobsView>(200, "A page of jobs.");
    }
}

fn filter(request: &Request) -> Result<Filter, Problem> {
    let text = |name: &str| request.query(name).map(str::to_owned);
    let states: Vec<_> = request.query_all("state").map(str::to_owned).collect();
    if states.iter().any(|state| !JOB_STATES.contains(&state.as_str())) {
        return Err(Problem::invalid("state", format!("it is one of {}", JOB_STATES.join(", "))));
    }
    let tag = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Problem::invalid("tag", "it is `key=value`")),
    };
    let tags = request.query_all("tag").map(tag).collect::<Result<_, _>>()?;
    Ok(Filter { states, queue: text("queue"), name: text("name"), tags })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::conformance::memory::World;

    use super::ListJobs;

    /// Submits one job a millisecond, and returns their ids, newest first.
    async fn submitted(world: &World, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for n in 0..count {
            tokio::time::advance(Duration::from_millis(1)).await;
            let parity = if n % 2 == 0 { "even" } else { "odd" };
            let json = format!(
                r#"{{"image": "a", "name": "{parity}", "tags": {{"n": "{n}", "p": "{parity}"}}}}"#
            );
            ids.push(world.submit(&json).await.id.to_string());
        }
        ids.reverse();
        ids
    }

    /// The ids of every page, and how many pages there are.
    async fn pages(world: &World, query: &str) -> (Vec<String>, usize) {
        let (mut ids, mut count) = (Vec::new(), 0);
        let mut ask = world.ask(&format!("/v1/jobs?{query}"));
        loop {
            let page = ask.of(ListJobs).await.expect(200).json();
            let jobs = page["jobs"].as_array().expect("an array");
            ids.extend(jobs.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)));
            count += 1;
            let Some(next) = page["next"].as_str() else { return (ids, count) };
            ask = world.ask(&format!("/v1/jobs?{query}")).query("cursor", next);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_whole_and_newest_first() {
        let world = World::new().await;
        let ids = submitted(&world, 60).await;
        submitted(&world.neighbour().await, 3).await;
        assert_eq!(pages(&world, "").await, (ids.clone(), 3), "25, 25 and 10");
        assert_eq!(pages(&world, "limit=20").await, (ids.clone(), 3), "no empty page at the end");
        assert_eq!(pages(&world, "limit=7").await, (ids.clone(), 9));
        assert_eq!(pages(&world, "limit=100").await, (ids, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn pages_go_back_over_months() {
        let world = World::new().await;
        let mut ids = submitted(&world, 5).await;
        tokio::time::advance(Duration::from_hours(24 * 70)).await;
        ids.splice(0..0, submitted(&world, 5).await);
        for query in ["", "limit=3", "limit=5", "limit=1"] {
            assert_eq!(pages(&world, query).await.0, ids, "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn filters_narrow_the_pages() {
        let world = World::new().await;
        let ids = submitted(&world, 60).await;
        let odd: Vec<_> = ids.iter().step_by(2).cloned().collect();
        assert_eq!(pages(&world, "name=odd&limit=7").await.0, odd);
        assert_eq!(pages(&world, "tag=p=odd&limit=7").await.0, odd);
        assert_eq!(pages(&world, "tag=p=odd&tag=n=59").await.0, ids[..1]);
        assert_eq!(pages(&world, "tag=p=even&tag=n=59").await.0, ids[..0]);
        assert_eq!(pages(&world, "state=queued&limit=7").await.0, ids);
        assert_eq!(pages(&world, "state=queued&state=running&limit=7").await.0, ids);
        assert_eq!(pages(&world, "state=succeeded&state=failed").await.0, ids[..0]);
        assert_eq!(pages(&world, "queue=default&limit=50").await.0, ids);
        assert_eq!(pages(&world, "queue=other").await.0, ids[..0]);
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_of_a_state_are_found_as_they_change() {
        let world = World::new().await;
        let done = world.submit(r#"{"image": "a"}"#).await.id;
        world.run(done, 0, &[("Stdout", "")]).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        let open = world.submit(r#"{"image": "a"}"#).await.id;
        assert_eq!(pages(&world, "state=succeeded").await.0, [done.to_string()]);
        assert_eq!(pages(&world, "state=queued").await.0, [open.to_string()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_query_is_refused_with_its_field() {
        let world = World::new().await;
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("limit=-1", "limit"),
            ("state=done", "state"),
            ("tag=novalue", "tag"),
            ("tag==v", "tag"),
            ("cursor=x", "cursor"),
            ("page=2", "page"),
        ] {
            let answer = world.ask(&format!("/v1/jobs?{query}")).of(ListJobs).await;
            answer.refused(400, "invalid_field", field);
        }
        world.ask("/v1/jobs").nameless().of(ListJobs).await.refused(401, "unauthenticated", "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_is_good_for_its_own_project_alone() {
        let world = World::new().await;
        submitted(&world, 3).await;
        let page = world.ask("/v1/jobs?limit=2").of(ListJobs).await.json();
        let next = page["next"].as_str().expect("a next page");
        let stolen = world.neighbour().await.ask("/v1/jobs").query("cursor", next);
        stolen.of(ListJobs).await.refused(400, "invalid_field", "cursor");
    }
}
