//! `SubmitJob`: the parameters, in the order in which they are looked at, and
//! the job that they become.

mod command;
pub(crate) mod env;
mod graph;
pub(crate) mod inputs;
mod login;
mod notify;
pub(crate) mod paths;
pub(crate) mod streams;
mod task;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::{
    auth::Identity,
    job::{JobId, MAX_TASKS, ProjectId},
    ops::{
        images::RegisteredImage,
        submit::{self, Accepted},
    },
    service::Service,
    wire::{
        Problem,
        submit::{JobRequest, Submission, TaskRequest, TasksRequest},
    },
};

pub(crate) use self::task::{FAILED_ACTIONS, Task, check_name};
use self::{env::Env, task::Place};
use crate::{
    call::Call,
    envs,
    faults::Fault,
    fields::Fields,
    kept::{self, Kept},
    zones,
};

/// The most images that a job brings users for: they are written with it, in
/// one commit.
const MOST_LOGINS: usize = 50;

/// The most tags of anything.
const MOST_TAGS: usize = 10;

/// The longest token that makes a repeated request safe.
const TOKEN_LENGTH: usize = 64;

/// Accepts a job.
pub(crate) async fn job(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let region = needed_region(&call)?;
    let said = |name: &str| call.parameters.get(name);
    let kept = Kept::new(Some(&region), said("Placement"), said("Job"));
    let mut fields = Fields::new(call.parameters);
    let (placement, job) = (fields.object("Placement")?, fields.object("Job")?);
    let placement = fields.needed("Placement", placement)?;
    let job = fields.needed("Job", job)?;
    let token = client_token(&mut fields)?;
    fields.end()?;
    check_placement(placement, &region)?;
    let drafted = draft(job, &region)?;
    let mut submission = drafted.submission(service, who.project).await?;
    submission.spec.origin = Some(kept::origin(&kept)?);
    submission.client_token = token;
    let id = accepted(service, who.project, submission).await?;
    Ok(json!({ "JobId": id.to_string() }))
}

/// A token is good for one job, whatever else is said with it.
async fn accepted(
    service: &Service,
    project: ProjectId,
    submission: Submission,
) -> Result<JobId, Fault> {
    match submit::submit(service, project, submission, b"", None).await {
        Ok(Accepted { job, .. }) => Ok(job.id),
        Err(Problem::Conflict { code: "job_deleted", detail }) => {
            Err(Fault::new("ResourceNotFound.Job", format!("{detail}.")))
        }
        Err(other) => Err(other.into()),
    }
}

/// The region, where something is made that has to be somewhere.
pub(crate) fn needed_region(call: &Call) -> Result<String, Fault> {
    call.region.clone().filter(|r| !r.is_empty()).ok_or_else(|| Fault::missing("Region"))
}

/// The token, apart from those of the native API.
pub(crate) fn client_token(fields: &mut Fields) -> Result<Option<String>, Fault> {
    let Some(token) = fields.text("ClientToken")?.filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    if token.len() > TOKEN_LENGTH || !token.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        let rule = format!("it is up to {TOKEN_LENGTH} printable ASCII characters");
        return Err(Fault::value("ClientToken", rule));
    }
    Ok(Some(format!("{}/{token}", crate::API)))
}

/// A placement: its zone counts, and the rest is about machines.
pub(crate) fn check_placement(mut placement: Fields, region: &str) -> Result<(), Fault> {
    let zone = placement.said("Zone")?;
    zones::check(&zone, Some(region))?;
    placement.integer("ProjectId")?;
    placement.ignore(&[
        "HostIds",
        "HostId",
        "DedicatedResourcePackTenancy",
        "DedicatedResourcePackIds",
        "RackId",
    ]);
    placement.end()
}

/// A job, read, before it is known what the project has of what it names.
struct Draft {
    job: JobRequest,
    tasks: Vec<Task>,
    after: Vec<Vec<shared::wire::submit::AfterRequest>>,
}

fn draft(mut fields: Fields, region: &str) -> Result<Draft, Fault> {
    let name = limited(&mut fields, "JobName", 60, "InvalidParameter.JobNameTooLong")?;
    limited(&mut fields, "JobDescription", 200, "InvalidParameter.JobDescriptionTooLong")?;
    let priority = fields.count("Priority", 100)?.unwrap_or(0);
    let tags = tags(&mut fields)?;
    fields.word("StateIfCreateCvmFailed", &["FAILED", "RUNNABLE"])?;
    let tasks = tasks(&mut fields, region)?;
    let names: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
    let after = graph::read(&mut fields, &names)?;
    let callback = notify::callback(&mut fields, &tasks)?;
    fields.end()?;
    let job = JobRequest {
        name,
        priority: i16::try_from(priority).unwrap_or(0),
        tags,
        callback,
        ..JobRequest::default()
    };
    Ok(Draft { job, tasks, after })
}

/// Text of so many characters; empty text is none.
pub(crate) fn limited(
    fields: &mut Fields,
    name: &str,
    most: usize,
    code: &'static str,
) -> Result<Option<String>, Fault> {
    let path = fields.path(name);
    let text = fields.text(name)?.filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > most => {
            Err(Fault::new(code, format!("`{path}` is longer than {most} characters.")))
        }
        text => Ok(text),
    }
}

/// Labels, as a list of keys and values.
pub(crate) fn tags(fields: &mut Fields) -> Result<BTreeMap<String, String>, Fault> {
    let path = fields.path("Tags");
    let mut tags = BTreeMap::new();
    let all = fields.objects("Tags")?;
    if all.len() > MOST_TAGS {
        return Err(Fault::limit(&path, format!("{MOST_TAGS} tags")));
    }
    for mut tag in all {
        let key = tag.said("Key")?;
        let value = tag.text("Value")?.unwrap_or_default();
        tag.end()?;
        tags.insert(key, value);
    }
    Ok(tags)
}

fn tasks(fields: &mut Fields, region: &str) -> Result<Vec<Task>, Fault> {
    let path = fields.path("Tasks");
    let all = fields.objects("Tasks")?;
    if all.is_empty() {
        return Err(Fault::missing(&path));
    }
    if all.len() > MAX_TASKS {
        return Err(Fault::limit(&path, format!("{MAX_TASKS} tasks")));
    }
    let mut tasks: Vec<Task> = Vec::with_capacity(all.len());
    for fields in all {
        let task = Task::read(fields, Some(region))?;
        if tasks.iter().any(|known| known.name == task.name) {
            let message = format!("`{path}`: two tasks are named `{}`.", task.name);
            return Err(Fault::new("InvalidParameter.TaskName", message));
        }
        tasks.push(task);
    }
    Ok(tasks)
}

impl Draft {
    /// The job, with all that the project has of it, within our own rules.
    async fn submission(self, service: &Service, project: ProjectId) -> Result<Submission, Fault> {
        let Draft { mut job, tasks, after } = self;
        let shared = shared_env(&tasks)?.map(str::to_owned);
        let common = match &shared {
            Some(id) => Some(envs::machine(service, project, id).await?),
            None => None,
        };
        let (mut requests, mut images) = (Vec::with_capacity(tasks.len()), BTreeMap::new());
        for (task, after) in tasks.into_iter().zip(after) {
            let (request, image) = request(service, project, task, common.as_ref()).await?;
            requests.push(TaskRequest { after, ..request });
            images.extend(image.map(|image| (image.name.clone(), image)));
        }
        if images.len() > MOST_LOGINS {
            return Err(Fault::limit("Job.Tasks", format!("{MOST_LOGINS} images with users")));
        }
        job.queue = shared;
        let submission = job.check(TasksRequest::Listed(requests), &service.limits)?;
        Ok(Submission { images: images.into_values().collect(), ..submission })
    }
}

/// The environment that a job's tasks share. A job waits in one queue, whole.
fn shared_env(tasks: &[Task]) -> Result<Option<&str>, Fault> {
    let id = |task: &'_ Task| match &task.place {
        Place::Shared(id) => Some(id.clone()),
        Place::Own(_) => None,
    };
    if tasks.iter().any(|task| id(task) != id(&tasks[0])) {
        let rule =
            "A job's tasks run in one environment, `EnvId`, or all on machines of their own.";
        return Err(Fault::combination(rule));
    }
    Ok(match &tasks[0].place {
        Place::Shared(id) => Some(id),
        Place::Own(_) => None,
    })
}

async fn request(
    service: &Service,
    project: ProjectId,
    mut task: Task,
    common: Option<&Env>,
) -> Result<(TaskRequest, Option<RegisteredImage>), Fault> {
    let env = match (&task.place, common) {
        (Place::Own(env), _) => env.clone(),
        (Place::Shared(_), Some(env)) => env.clone(),
        (Place::Shared(id), None) => return Err(Fault::no_env(id)),
    };
    let name = task.image.take().or_else(|| env.image.clone());
    let image = name.ok_or_else(|| Fault::missing("ComputeEnv.EnvData.ImageId"))?;
    let (image, registered) = login::image(service, project, image, task.login.take()).await?;
    let shared = matches!(task.place, Place::Shared(_));
    Ok((task.request(image, &env, shared), registered))
}
