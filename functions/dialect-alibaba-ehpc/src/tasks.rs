//! `ListTasks`: the jobs of a cluster, as operations on it that go on or went.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::{
    job::{Counts, InstanceState, Job, JobSpec, Members, Task},
    ops::{
        attempts,
        jobs::{self, Filter},
        rows::QueueKey,
    },
    wire::{Problem, Reply},
};

use crate::{
    API,
    call::{AT_ONCE, Call},
    faults::Fault,
    words,
};

/// How many of what went wrong are told at most.
const TOLD: usize = 100;

/// The most bytes of what was asked, as it is told: a page of many is to fit an
/// answer.
const LONGEST: usize = 32 << 10;

const PARAMETERS: [&str; 5] = ["ClusterId", "PageNumber", "PageSize", "TaskId", "Archived"];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    page_number: u32,
    page_size: u32,
    total_count: usize,
    tasks: Vec<Shown>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    task_id: String,
    cluster_id: String,
    task_type: &'static str,
    status: &'static str,
    current_step: u32,
    total_steps: u32,
    result: &'static str,
    errors: String,
    request: String,
}

pub async fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&PARAMETERS, &[])?;
    let cluster = call.cluster().await?;
    let page = call.page(50, 10, 999)?;
    let archived = call.parameters.flag("Archived")?;
    let found = match call.parameters.get("TaskId") {
        Some(id) => match words::of_task_id(id) {
            Some(id) => call.job(&cluster, id).await?.into_iter().collect(),
            None => Vec::new(),
        },
        None => jobs_of(call, &cluster, archived).await?,
    };
    let tasks: Vec<_> = page.of(&found).iter().map(|job| task(call, job)).collect();
    let tasks = stream::iter(tasks).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Found {
        page_number: page.number,
        page_size: page.size,
        total_count: found.len(),
        tasks,
    }))
}

async fn jobs_of(call: &Call<'_>, cluster: &QueueKey, archived: bool) -> Result<Vec<Job>, Problem> {
    let open = ["queued", "running", "stopping"].map(str::to_owned);
    let filter = Filter {
        states: if archived { Vec::new() } else { open.into() },
        queue: Some(cluster.name.to_string()),
        ..Filter::default()
    };
    jobs::newest(call.service, cluster.project, &filter).await
}

async fn task(call: &Call<'_>, job: &Job) -> Result<Shown, Problem> {
    let spec = attempts::load_spec(call.service, job).await?;
    let (current_step, total_steps) = steps(job);
    Ok(Shown {
        task_id: words::task_id(job.id),
        cluster_id: job.queue.to_string(),
        // The one that adds what computes, and is done when that is.
        task_type: "AddComputes",
        status: words::task_status(job),
        current_step,
        total_steps,
        // No nodes are added: containers come and go.
        result: r#"{"Instances":[]}"#,
        errors: serde_json::to_string(&errors(job)).unwrap_or_default(),
        request: fitting(request(job, &spec)),
    })
}

/// How many containers' parts are done, of how many. The last step is done when
/// the job is.
fn steps(job: &Job) -> (u32, u32) {
    let counts: Counts = job.tasks.iter().map(|task| task.members.counts()).sum();
    let (total, ended) = (counts.total(), counts.total() - counts.waiting - counts.live);
    match job.ending() {
        Some(_) => (ended, total),
        None => (ended.min(total.saturating_sub(1)), total),
    }
}

/// What went wrong so far, for people.
fn errors(job: &Job) -> Vec<String> {
    job.tasks.iter().flat_map(errors_of).take(TOLD).collect()
}

fn errors_of(task: &Task) -> Vec<String> {
    let name = &task.name;
    let Members::Inline(instances) = &task.members else {
        let counts = task.members.counts();
        let told = [(counts.failed, "failed"), (counts.stopped, "were stopped")];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        return told.map(|(count, how)| format!("{name}: {count} {how}")).collect();
    };
    let mut errors = Vec::new();
    for (place, instance) in instances.iter().enumerate() {
        let (InstanceState::Failed(outcome) | InstanceState::Stopped(outcome)) = &instance.state
        else {
            continue;
        };
        let why = outcome.cause.map(words::message).unwrap_or_default();
        let code = outcome.exit.map(|exit| format!(", exit code {}", exit.code()));
        errors.push(format!("{name} {place}: {why}{}", code.unwrap_or_default()));
    }
    errors
}

/// What was asked: as its client said it, or as well as it can be told here.
fn request(job: &Job, spec: &JobSpec) -> String {
    match &spec.origin {
        Some(origin) if origin.api == API => origin.request.clone(),
        other => {
            let tasks = spec.tasks.iter().take(TOLD).map(|task| {
                let image = task.registered.as_ref().map(ToString::to_string);
                let image = image.unwrap_or_else(|| task.image.to_string());
                json!({ "name": task.name, "image": image, "instances": task.instances })
            });
            let told = json!({
                "uid": job.project,
                "clusterId": job.queue,
                "jobName": job.name,
                "api": other.as_ref().map_or("native", |origin| origin.api.as_str()),
                "tasks": tasks.collect::<Vec<_>>(),
            });
            told.to_string()
        }
    }
}

/// What was asked, without what is longest in it where all of it is too long.
fn fitting(request: String) -> String {
    if request.len() <= LONGEST {
        return request;
    }
    let mut told: Map<String, Value> = serde_json::from_str(&request).unwrap_or_default();
    let length = |(name, value): (&String, &Value)| (value.to_string().len(), name.clone());
    let mut lengths: Vec<_> = told.iter().map(length).collect();
    lengths.sort();
    let (mut size, mut left_out) = (request.len(), Vec::new());
    while size > LONGEST
        && let Some((length, name)) = lengths.pop()
    {
        told.remove(&name);
        size -= length;
        left_out.push(name);
    }
    told.insert("leftOut".into(), left_out.into());
    Value::Object(told).to_string()
}

#[cfg(test)]
mod tests {
    use shared::{conformance::memory::World, ops::queues};

    use super::*;
    use crate::testing::{Client, Signed};

    const DEFAULT: (&str, &str) = ("ClusterId", "default");
    const ALL: [(&str, &str); 2] = [DEFAULT, ("Archived", "True")];

    /// Status, current step and total steps of each.
    fn seen(answer: &Value) -> Vec<(String, u64, u64)> {
        let tasks = answer["Tasks"].as_array().expect("a plain array");
        let task = |task: &Value| {
            let status = task["Status"].as_str().unwrap().to_owned();
            let step = |name: &str| task[name].as_u64().unwrap();
            (status, step("CurrentStep"), step("TotalSteps"))
        };
        tasks.iter().map(task).collect()
    }

    fn one(status: &str, current: u64, total: u64) -> Vec<(String, u64, u64)> {
        vec![(status.to_owned(), current, total)]
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_goes_on_step_by_step_and_is_then_in_the_archive() {
        let world = World::new().await;
        let client = Client::new(&world, Signed::Query);
        let job = world.submit(r#"{"image": "a", "name": "n", "instances": 3}"#).await.id;
        assert_eq!(seen(&client.call("ListTasks", &[DEFAULT]).await), one("Processing", 0, 3));
        let mut attempts = Vec::new();
        for _ in 0..3 {
            world.settle().await;
        }
        for attempt in world.live(job).await {
            shared::ops::attempts::read_plan(&world.service, attempt).await.unwrap();
            attempts.push(attempt);
        }
        world.finish(attempts[0], 0, &[]).await;
        assert_eq!(seen(&client.call("ListTasks", &[DEFAULT]).await), one("Processing", 1, 3));
        world.finish(attempts[1], 3, &[]).await;
        world.finish(attempts[2], 0, &[]).await;
        assert_eq!(seen(&client.call("ListTasks", &[DEFAULT]).await), []);
        let all = client.call("ListTasks", &ALL).await;
        assert_eq!(seen(&all), one("PartialFail", 3, 3));
        let task = &all["Tasks"][0];
        let id = crate::words::task_id(job);
        assert_eq!((&task["TaskId"], &task["ClusterId"]), (&id.into(), &"default".into()));
        assert_eq!(task["TaskType"], "AddComputes");
        let text =
            |name: &str| -> Value { serde_json::from_str(task[name].as_str().unwrap()).unwrap() };
        assert_eq!(text("Errors"), serde_json::json!(["main 1: exited, exit code 3"]));
        assert_eq!(text("Result"), serde_json::json!({ "Instances": [] }));
        assert_eq!(text("Request")["jobName"], "n");
        assert_eq!(text("Request")["api"], "native");
    }

    #[test]
    fn what_is_longest_of_a_long_request_is_left_out() {
        let long = "x".repeat(20_000);
        let asked = json!({ "jobName": "n", "one": long, "other": format!("{long}y") });
        let told: Value = serde_json::from_str(&fitting(asked.to_string())).unwrap();
        assert_eq!(told, json!({ "jobName": "n", "one": long, "leftOut": ["other"] }));
        let short = json!({ "jobName": "n" }).to_string();
        assert_eq!(fitting(short.clone()), short);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_is_found_by_its_id_whether_it_is_over_or_not() {
        let world = World::new().await;
        let client = Client::new(&world, Signed::Headers);
        let open = world.submit(r#"{"image": "a"}"#).await.id;
        let over = world.submit(r#"{"image": "a"}"#).await.id;
        world.start(open).await;
        world.run(over, 0, &[]).await;
        for (job, status) in [(open, "Processing"), (over, "Success")] {
            let id = crate::words::task_id(job);
            let found = client.call("ListTasks", &[DEFAULT, ("TaskId", &id)]).await;
            assert_eq!((&found["TotalCount"], seen(&found)[0].0.as_str()), (&1.into(), status));
        }
        for id in ["nonsense", "B745C159-3155-4B94-95D0-4B73D4D20000"] {
            let found = client.call("ListTasks", &[DEFAULT, ("TaskId", id)]).await;
            assert_eq!((&found["TotalCount"], seen(&found).len()), (&0.into(), 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_told_by_number_the_newest_first() {
        let world = World::new().await;
        let client = Client::new(&world, Signed::Query);
        let mut jobs = Vec::new();
        for _ in 0..5 {
            jobs.push(crate::words::task_id(world.submit(r#"{"image": "a"}"#).await.id));
        }
        jobs.sort_unstable_by(|one, other| other.cmp(one));
        let ids = |answer: &Value| -> Vec<String> {
            let tasks = answer["Tasks"].as_array().unwrap().iter();
            tasks.map(|task| task["TaskId"].as_str().unwrap().to_owned()).collect()
        };
        for (number, expected) in [("1", &jobs[..2]), ("3", &jobs[4..]), ("4", &[])] {
            let paged = [DEFAULT, ("PageNumber", number), ("PageSize", "2")];
            let page = client.call("ListTasks", &paged).await;
            assert_eq!(ids(&page), expected);
            assert_eq!((&page["TotalCount"], &page["PageSize"]), (&5.into(), &2.into()));
            assert_eq!(page["PageNumber"].to_string(), number);
        }
        let whole = client.call("ListTasks", &[DEFAULT]).await;
        assert_eq!((&whole["PageNumber"], &whole["PageSize"]), (&1.into(), &10.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_has_its_own_tasks_and_nobody_elses() {
        let world = World::new().await;
        let key = QueueKey { project: world.project, name: "ehpc-hz-1".parse().unwrap() };
        queues::put(&world.service, &key, queues::QueueChange::default()).await.unwrap();
        world.submit(r#"{"image": "a", "queue": "ehpc-hz-1"}"#).await;
        let neighbour = world.neighbour().await;
        for (world, cluster, count) in [
            (&world, "ehpc-hz-1", Some(1)),
            (&world, "default", Some(0)),
            (&neighbour, "default", Some(0)),
            (&neighbour, "ehpc-hz-1", None),
            (&world, "ehpc-hz-FYUr32****", None),
        ] {
            let client = Client::new(world, Signed::Headers);
            let answer = client.ask("ListTasks", &[("ClusterId", cluster)]).await;
            if let Some(count) = count {
                assert_eq!(answer.expect(200).json()["TotalCount"], count);
            } else {
                let refused = crate::testing::refusal(&answer);
                assert_eq!(refused, (404, "ClusterNotFound".to_owned()), "{cluster}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_or_malformed_is_refused_by_name() {
        let world = World::new().await;
        let client = Client::new(&world, Signed::Query);
        let none = client.refused("ListTasks", &[]).await;
        assert_eq!(none, (400, "MissingClusterId".to_owned()));
        for (name, value) in [
            ("PageNumber", "0"),
            ("PageNumber", "1000"),
            ("PageSize", "51"),
            ("PageSize", "x"),
            ("Archived", "perhaps"),
            ("Colour", "red"),
        ] {
            let refused = client.refused("ListTasks", &[DEFAULT, (name, value)]).await;
            assert_eq!(refused, (400, "InvalidParams".to_owned()), "{name}={value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cancelled_has_failed_and_says_why() {
        let world = World::new().await;
        let client = Client::new(&world, Signed::Query);
        let job = world.submit(r#"{"image": "a", "instances": 200}"#).await;
        jobs::cancel(&world.service, job.key()).await.unwrap();
        world.settle().await;
        let all = client.call("ListTasks", &ALL).await;
        assert_eq!(seen(&all), one("Fail", 200, 200));
        assert_eq!(all["Tasks"][0]["Errors"], r#"["main: 200 were stopped"]"#);
    }
}
