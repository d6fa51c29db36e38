//! Serverless jobs from their submission to their end, as their clients see
//! them; and the same jobs as those of a scheduler.

use serde_json::{Value, json};
use shared::{
    conformance::memory::World,
    job::JobId,
    ops::{attempts::read_plan, jobs},
};

use crate::{
    testing::{Client, Signed},
    words,
};

const DEFAULT: (&str, &str) = ("ClusterId", "default");
const CONTAINER: (&str, &str) = ("Container", r#"{"Image": "a", "Arg": ["x"]}"#);
const NAMED: (&str, &str) = ("JobName", "testjob");

async fn submitted(client: &Client<'_>, more: &[(&str, &str)]) -> (String, JobId) {
    let parameters = [&[DEFAULT, CONTAINER, NAMED][..], more].concat();
    let id = client.call("SubmitServerlessJob", &parameters).await;
    let id = id["JobId"].as_str().unwrap().to_owned();
    let (job, _) = words::of_job_id(&id).unwrap();
    (id, job)
}

async fn described(client: &Client<'_>, id: &str) -> Value {
    let answer = client.call("DescribeServerlessJobs", &[DEFAULT, ("JobIds.1", id)]).await;
    assert_eq!(answer["TotalCount"], 1);
    answer["JobInfos"][0].clone()
}

async fn listed(client: &Client<'_>, more: &[(&str, &str)]) -> Vec<Value> {
    let parameters = [&[DEFAULT][..], more].concat();
    let answer = client.call("ListServerlessJobs", &parameters).await;
    answer["Jobs"].as_array().expect("a plain array").clone()
}

fn ids(jobs: &[Value]) -> Vec<&str> {
    jobs.iter().map(|job| job["JobId"].as_str().unwrap()).collect()
}

fn container(info: &Value) -> &Value {
    &info["ContainerGroups"][0]["Containers"][0]
}

#[tokio::test(start_paused = true)]
async fn a_job_is_described_from_its_queue_to_its_exit_code() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let more = [("Cpu", "0.5"), ("Memory", "1"), ("JobPriority", "10")];
    let (id, job) = submitted(&client, &more).await;
    let waits = described(&client, &id).await;
    assert_eq!((&waits["State"], &waits["JobName"]), (&"Pending".into(), &"testjob".into()));
    assert_eq!((&waits["Priority"], &waits["Queue"]), (&10.into(), &"default".into()));
    assert_eq!(waits["SubmitTime"], 1_772_366_400);
    assert_eq!(waits["IsArrayJob"], false);
    assert!(waits["StartTime"].is_null() && waits["EndTime"].is_null(), "{waits}");
    assert_eq!(container(&waits)["CurrentState"], json!({ "State": "Waiting" }));

    world.settle().await;
    assert_eq!(described(&client, &id).await["State"], "Initing");
    let (attempt, plan) = world.start(job).await;
    assert_eq!(plan.argv, ["/entrypoint", "x"]);
    let runs = described(&client, &id).await;
    assert_eq!(runs["State"], "Running");
    assert_eq!(container(&runs)["CurrentState"]["State"], "Running");
    assert_eq!(container(&runs)["Ready"], true);

    world.finish(attempt, 3, &[]).await;
    let ended = described(&client, &id).await;
    assert_eq!((&ended["State"], &ended["JobId"]), (&"Failed".into(), &id.clone().into()));
    let group = &ended["ContainerGroups"][0];
    assert_eq!((&group["Status"], &group["Memory"]), (&"Failed".into(), &1.0.into()));
    let of = container(&ended);
    assert_eq!((&of["Image"], &of["Args"], &of["Cpu"]), (&"a".into(), &json!(["x"]), &0.5.into()));
    let state = &of["CurrentState"];
    assert_eq!((&state["State"], &state["ExitCode"]), (&"Terminated".into(), &3.into()));
    assert_eq!((&state["Reason"], &state["Message"]), (&"Error".into(), &"exited".into()));
    assert_eq!(state["FinishTime"], "2026-03-01T12:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_an_array_is_told_its_index_and_described_by_it() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Query);
    let array = ("ArrayProperties", r#"{"IndexStart": 1, "IndexEnd": 5, "IndexStep": 2}"#);
    let (id, job) = submitted(&client, &[array]).await;
    world.settle().await;
    for (place, attempt) in (0..).zip(world.live(job).await) {
        let plan = read_plan(&world.service, attempt).await.unwrap();
        assert_eq!(plan.env["EHPC_ARRAY_TASK_ID"], ["1", "3", "5"][place]);
        world.finish(attempt, i32::from(place == 1), &[]).await;
    }
    for (index, state, code) in [(1, "Succeeded", 0), (3, "Failed", 1), (5, "Succeeded", 0)] {
        let part = described(&client, &format!("{id}_{index}")).await;
        assert_eq!((&part["State"], &part["IsArrayJob"]), (&state.into(), &true.into()));
        assert_eq!(part["JobId"], format!("{id}_{index}"));
        assert_eq!(container(&part)["CurrentState"]["ExitCode"], code);
    }
    let whole = described(&client, &id).await;
    assert_eq!(whole["State"], "Failed");
    let properties = json!({ "IndexStart": 1, "IndexEnd": 5, "IndexStep": 2 });
    assert_eq!(whole["ArrayProperties"], properties);
    assert_eq!(whole["ContainerGroups"].as_array().map(Vec::len), Some(3));
    for index in ["0", "2", "7", "x", ""] {
        let unknown = [DEFAULT, ("JobIds.1", &format!("{id}_{index}"))];
        let refused = client.refused("DescribeServerlessJobs", &unknown).await;
        assert_eq!(refused, (400, "InvalidParams".to_owned()), "{index}");
    }
    let named = [("JobIds.1", &*format!("{id}_3")), ("JobIds.2", &*format!("{id}_2"))];
    let jobs = listed(&client, &named).await;
    assert_eq!(ids(&jobs), [format!("{id}_3")]);
    assert_eq!(jobs[0]["State"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_tried_again_shows_how_it_ended_before() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let retry = r#"{"Attempts": 1, "EvaluateOnExit": [{"Action": "Retry", "OnExitCode": "7"}]}"#;
    let (id, job) = submitted(&client, &[("RetryStrategy", retry)]).await;
    world.run(job, 7, &[]).await;
    world.run(job, 0, &[]).await;
    let info = described(&client, &id).await;
    assert_eq!(info["State"], "Succeeded");
    let of = container(&info);
    assert_eq!((&of["RestartCount"], &of["CurrentState"]["ExitCode"]), (&1.into(), &0.into()));
    assert_eq!(of["PreviousState"]["ExitCode"], 7);
    let (id, job) = submitted(&client, &[("RetryStrategy", retry)]).await;
    world.run(job, 8, &[]).await;
    assert_eq!(described(&client, &id).await["State"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_shown_again_by_list_tasks() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Query);
    submitted(&client, &[("Timeout", "60")]).await;
    let tasks = client.call("ListTasks", &[DEFAULT]).await;
    let request: Value =
        serde_json::from_str(tasks["Tasks"][0]["Request"].as_str().unwrap()).unwrap();
    assert_eq!(request["container"], json!({ "Image": "a", "Arg": ["x"] }));
    assert_eq!((&request["jobName"], &request["timeout"]), (&"testjob".into(), &"60".into()));
    assert_eq!(request["uid"], world.project.to_string());
    assert!(request["requestId"].is_string() && request.get("accessKeyId").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_narrowed_ordered_and_paged() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let mut submitted = Vec::new();
    for name in ["one", "two", "three"] {
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        let parameters = [DEFAULT, CONTAINER, ("JobName", name)];
        let id = client.call("SubmitServerlessJob", &parameters).await["JobId"].clone();
        let id = id.as_str().unwrap().to_owned();
        let (job, _) = words::of_job_id(&id).unwrap();
        match name {
            "one" => drop(world.start(job).await),
            "two" => drop(world.run(job, 1, &[]).await),
            _ => drop(jobs::cancel(&world.service, world.of(job)).await.unwrap()),
        }
        submitted.push(id);
    }
    let jobs = submitted;
    let expect = |places: &[usize]| places.iter().map(|p| jobs[*p].clone()).collect::<Vec<_>>();
    let start = 1_772_366_400;
    let (from, to) = ((start + 10).to_string(), (start + 20).to_string());
    for (more, places) in [
        (vec![], &[2, 1, 0][..]),
        (vec![("SubmitOrder", "Asc")], &[0, 1, 2]),
        (vec![("SubmitOrder", "Desc")], &[2, 1, 0]),
        (vec![("StartOrder", "Asc")], &[0, 1, 2]),
        (vec![("StartOrder", "Desc")], &[1, 0, 2]),
        (vec![("State", "All")], &[2, 1, 0]),
        (vec![("State", "Running")], &[0]),
        (vec![("State", "Canceled")], &[2]),
        (vec![("State", "Failed")], &[1]),
        (vec![("State", "Succeeded")], &[]),
        (vec![("JobNames.1", "one"), ("JobNames.2", "three")], &[2, 0]),
        (vec![("SubmitTimeStart", &to)], &[2, 1]),
        (vec![("SubmitTimeStart", &from), ("SubmitTimeEnd", &to)], &[1, 0]),
        (vec![("JobIds.1", &jobs[1]), ("JobIds.2", "5")], &[1]),
        (vec![("JobIds.1", &jobs[1]), ("State", "Canceled")], &[]),
        (vec![("PageSize", "2"), ("PageNumber", "2")], &[0]),
    ] {
        let found = listed(&client, &more).await;
        assert_eq!(ids(&found), expect(places), "{more:?}");
    }
    for more in [
        ("State", "Ended"),
        ("SubmitOrder", "Up"),
        ("PageSize", "101"),
        ("SubmitTimeEnd", "yesterday"),
    ] {
        let refused = client.refused("ListServerlessJobs", &[DEFAULT, more]).await;
        assert_eq!(refused, (400, "InvalidParams".to_owned()), "{more:?}");
    }
    let all = listed(&client, &[]).await;
    assert_eq!((&all[1]["SubmitTime"], &all[1]["Priority"]), (&to.into(), &"0".into()));
    assert_eq!(all[2]["EndTime"], "");
    assert_eq!(all[0]["StartTime"], "");
}

#[tokio::test(start_paused = true)]
async fn stopping_an_array_stops_all_of_it_or_nothing() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Query);
    let array = ("ArrayProperties", r#"{"IndexStart": 1, "IndexEnd": 3}"#);
    let (id, job) = submitted(&client, &[array]).await;
    world.settle().await;
    for also in ["5", &format!("{id}_4")] {
        let asked = [DEFAULT, ("JobIds.1", &*id), ("JobIds.2", also)];
        let refused = client.refused("StopServerlessJobs", &asked).await;
        assert_eq!(refused, (400, "InvalidParams".to_owned()), "{also}");
    }
    assert_eq!(world.live(job).await.len(), 3, "all are there, or none is stopped");
    let answer = client.call("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &id)]).await;
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(1), "{answer}");
    assert!(world.job(job).await.halt().is_some());
    for attempt in world.live(job).await {
        read_plan(&world.service, attempt).await.unwrap_err();
        world.memory.runtime.exit(attempt, 137, false);
    }
    let missing = client.refused("StopServerlessJobs", &[DEFAULT]).await;
    assert_eq!(missing, (400, "MissingJobIds".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_part_of_an_array_is_stopped_and_the_others_go_on() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let array = ("ArrayProperties", r#"{"IndexStart": 1, "IndexEnd": 3}"#);
    let (id, job) = submitted(&client, &[array]).await;
    let part = |index: u32| format!("{id}_{index}");
    let stop = async |index: u32| {
        client.call("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &part(index))]).await;
    };
    stop(3).await;
    assert_eq!(described(&client, &part(3)).await["State"], "Canceled");
    world.settle().await;
    let (first, _) = world.start(job).await;
    stop(1).await;
    world.interrupt(first, &[]).await;
    let (second, _) = world.start(job).await;
    assert_eq!(described(&client, &part(2)).await["State"], "Running");
    world.finish(second, 0, &[]).await;
    for (index, state) in [(1, "Canceled"), (2, "Succeeded"), (3, "Canceled")] {
        assert_eq!(described(&client, &part(index)).await["State"], state, "{index}");
    }
    // What is over stays as it is.
    stop(2).await;
    assert_eq!(described(&client, &part(2)).await["State"], "Succeeded");
    assert_eq!(described(&client, &id).await["State"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_which_nothing_is_known_yet_is_not_stopped_alone() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Query);
    let begun = ("ArrayProperties", r#"{"IndexStart": 0, "IndexEnd": 1}"#);
    let (begun, _) = submitted(&client, &[begun]).await;
    let wide = ("ArrayProperties", r#"{"IndexStart": 0, "IndexEnd": 199}"#);
    let (wide, _) = submitted(&client, &[wide]).await;
    let part = format!("{wide}_150");
    let asked = [DEFAULT, ("JobIds.1", &*begun), ("JobIds.2", &*part)];
    let refused = client.refused("StopServerlessJobs", &asked).await;
    assert_eq!(refused, (400, "InvalidParams".to_owned()));
    assert_eq!(described(&client, &begun).await["State"], "Pending", "all are stopped, or none");
    client.call("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &wide)]).await;
    client.call("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &part)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_to_run_again_is_not_shown_as_it_ended_before() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let array = ("ArrayProperties", r#"{"IndexStart": 0, "IndexEnd": 199}"#);
    let (id, job) = submitted(&client, &[array]).await;
    world.settle().await;
    client.call("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &id)]).await;
    for attempt in world.live(job).await {
        world.memory.runtime.exit(attempt, 137, false);
    }
    for _ in 0..3 {
        world.settle().await;
    }
    assert!(world.job(job).await.ending().is_some());
    let part = format!("{id}_150");
    assert_eq!(described(&client, &part).await["State"], "Canceled");
    let jobs = json!([{ "Id": id }]).to_string();
    client.call("RerunJobs", &[DEFAULT, ("Jobs", &jobs)]).await;
    let again = described(&client, &part).await;
    assert_eq!(again["State"], "Pending");
    assert_eq!(container(&again)["CurrentState"], json!({ "State": "Waiting" }));
    assert!(again["EndTime"].is_null(), "{again}");
    let alone = client.refused("StopServerlessJobs", &[DEFAULT, ("JobIds.1", &part)]).await;
    assert_eq!(alone, (400, "InvalidParams".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn jobs_of_every_api_and_shape_are_listed_and_described() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let graph = r#"{"name": "graph", "priority": -5, "tasks": [
        {"name": "a", "image": "x"},
        {"name": "b", "image": "y", "instances": 2, "after": [{"task": "a"}]}]}"#;
    let graph = words::job_id(world.submit(graph).await.id);
    let wide = words::job_id(world.submit(r#"{"image": "a", "instances": 300}"#).await.id);
    let found = listed(&client, &[]).await;
    assert_eq!(found.len(), 2);
    let info = described(&client, &graph).await;
    assert_eq!((&info["IsArrayJob"], &info["Priority"]), (&false.into(), &0.into()));
    assert_eq!(info["ContainerGroups"].as_array().map(Vec::len), Some(3));
    assert_eq!(info["ContainerGroups"][2]["Containers"][0]["Name"], "b");
    let info = described(&client, &wide).await;
    assert_eq!((&info["IsArrayJob"], &info["JobName"]), (&true.into(), &"".into()));
    assert_eq!(info["ContainerGroups"].as_array().map(Vec::len), Some(100));
    assert_eq!(described(&client, &format!("{wide}_299")).await["State"], "Pending");
}

#[tokio::test(start_paused = true)]
async fn a_job_of_another_cluster_or_project_is_not_there() {
    let world = World::new().await;
    let (id, _) = submitted(&Client::new(&world, Signed::Query), &[]).await;
    let neighbour = world.neighbour().await;
    let client = Client::new(&neighbour, Signed::Query);
    for action in ["DescribeServerlessJobs", "StopServerlessJobs"] {
        let refused = client.refused(action, &[DEFAULT, ("JobIds.1", &id)]).await;
        assert_eq!(refused, (400, "InvalidParams".to_owned()));
    }
    assert_eq!(listed(&client, &[("JobIds.1", &id)]).await, Vec::<Value>::new());
    let none = client.refused("SubmitServerlessJob", &[NAMED, CONTAINER, ("ClusterId", "x")]).await;
    assert_eq!(none, (404, "ClusterNotFound".to_owned()));
    for (missing, code) in [(NAMED, "MissingJobName"), (CONTAINER, "MissingContainer")] {
        let parameters: Vec<_> =
            [DEFAULT, NAMED, CONTAINER].into_iter().filter(|pair| *pair != missing).collect();
        let refused = client.refused("SubmitServerlessJob", &parameters).await;
        assert_eq!(refused, (400, code.to_owned()));
    }
    let image = [DEFAULT, NAMED, ("Container", r#"{"Image": "UPPER"}"#)];
    let answer = client.ask("SubmitServerlessJob", &image).await;
    assert!(answer.text().contains("Container.Image"), "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn the_same_jobs_are_those_of_a_scheduler() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Query);
    let (id, job) = submitted(&client, &[]).await;
    let queued = client.call("ListJobs", &[DEFAULT, ("State", "notfinish")]).await;
    let listed = &queued["Jobs"]["JobInfo"][0];
    assert_eq!((&listed["Id"], &listed["State"]), (&id.clone().into(), &"QUEUED".into()));
    assert_eq!(listed["SubmitTime"], "2026-03-01T12:00:00");
    let jobs = json!([{ "Id": id }]).to_string();
    for action in ["RerunJobs", "DeleteJobs"] {
        let early = client.refused(action, &[DEFAULT, ("Jobs", &jobs)]).await;
        assert_eq!(early, (400, "InvalidParams".to_owned()));
    }
    world.run(job, 2, &[("Stdout", "hello\n"), ("Stderr", "oh\n")]).await;
    let log = [DEFAULT, ("JobId", &*id), ("Offset", "1"), ("Size", "3")];
    let log = client.call("GetJobLog", &log).await;
    assert_eq!((&log["OutputLog"], &log["ErrorLog"]), (&"ZWxs".into(), &"aAo=".into()));
    let message = client.call("DescribeJob", &[DEFAULT, ("JobId", &id)]).await;
    let info: Value =
        serde_json::from_str(message["Message"]["JobInfo"].as_str().unwrap()).unwrap();
    assert_eq!((&info["State"], &info["Name"]), (&"FINISHED".into(), &"testjob".into()));
    client.call("RerunJobs", &[DEFAULT, ("Jobs", &jobs)]).await;
    assert_eq!(world.job(job).await.run, 2);
    client.call("StopJobs", &[DEFAULT, ("Jobs", &jobs)]).await;
    assert!(world.job(job).await.ending().is_some());
    client.call("DeleteJobs", &[DEFAULT, ("Jobs", &jobs)]).await;
    let none = client.call("ListJobs", &[DEFAULT]).await;
    assert_eq!((&none["TotalCount"], &none["Jobs"]["JobInfo"]), (&0.into(), &json!([])));
    for (jobs, code) in [(&*jobs, "InvalidParams"), ("[]", "InvalidParams"), ("", "MissingJobs")] {
        let refused = client.refused("StopJobs", &[DEFAULT, ("Jobs", jobs)]).await;
        assert_eq!(refused, (400, code.to_owned()), "{jobs}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_clusters_own_nodes_is_refused_with_the_reason() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    for action in ["SubmitJob", "ListJobsWithFilters", "CreateJobTemplate", "ListJobTemplates"] {
        let refused = client.refused(action, &[DEFAULT]).await;
        assert_eq!(refused, (400, "NotEnabled".to_owned()), "{action}");
    }
    let unknown = client.refused("CreateCluster", &[]).await;
    assert_eq!(unknown, (404, "InvalidAction.NotFound".to_owned()));
}
