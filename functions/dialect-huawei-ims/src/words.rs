//! A job, and a task of one, as the API shows a job.

use jiff::Timestamp;
use serde::Serialize;
use shared::job::{
    Cause, Ending, Image, ImageState, Instance, InstanceState, Job, Phase, Task, TaskState,
};

use crate::{
    ids,
    reasons::{self, Reason},
};

/// The tag by which a job says which of [`JOB_TYPES`] it is shown as.
const TYPE_TAG: &str = "job_type";

/// What a job can be shown as: the types of the image service's own jobs, the
/// first of them where the job does not say.
const JOB_TYPES: [&str; 15] = [
    "imsCreateImageByInstance",
    "imsImportImageJob",
    "imsImportOvaImageJob",
    "imsVolumeCreateImageJob",
    "imsImportDataImageJob",
    "imsCreateWholeImageByInstanceJob",
    "imsCreateWholeImageByBackupJob",
    "imsNativeImportImageJob",
    "imsNativeExportImageJob",
    "imsAddImageMembersJob",
    "imsDelImageMembersJob",
    "imsUpdateImageMembersJob",
    "imsCopyImageInRegionJob",
    "imsVolumesToSysDataImagesJob",
    "imsCopyImageCrossUserJob",
];

/// Which call is answered: each leaves out what the other shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// That of a job.
    Job,
    /// That of its progress.
    Progress,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Init,
    Running,
    Success,
    Fail,
}

/// A job, or a sub-job.
#[derive(Debug, Serialize)]
pub struct JobObject {
    status: Status,
    job_id: String,
    job_type: &'static str,
    begin_time: String,
    end_time: String,
    error_code: Option<&'static str>,
    fail_reason: Option<String>,
    entities: Entities,
}

/// What there is to say of a job besides.
#[derive(Debug, Default, Serialize)]
struct Entities {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "subJobId", skip_serializing_if = "Option::is_none")]
    sub_job_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<ResultObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sub_jobs_result: Vec<JobObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sub_jobs_list: Vec<String>,
}

/// How it went with one image.
#[derive(Debug, Serialize)]
struct ResultObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    project_id: String,
    status: &'static str,
}

impl JobObject {
    /// The job; `message` is what its only container left to say.
    pub fn of(job: &Job, message: Option<&str>, form: Form) -> Self {
        let reason = reasons::of_job(job);
        let current = reason.as_ref().and_then(|(_, place)| *place).unwrap_or_else(|| current(job));
        let reason = reason.map(|(mut reason, _)| {
            reason.text.extend(message.into_iter().flat_map(|message| [": ", message]));
            reason
        });
        let mut entities = entities(job, &job.tasks[current]);
        entities.process_percent = Some(match job.ending() {
            Some(_) => 1.0,
            None => done(&job.tasks),
        });
        let several = job.tasks.len() > 1;
        let places = (0..job.tasks.len()).filter(|_| several);
        entities.sub_jobs_list = places.clone().map(|place| ids::of_task(job.id, place)).collect();
        entities.sub_jobs_result = places.filter_map(|place| sub_job(job, place)).collect();
        match form {
            Form::Job => entities.results = results(job),
            Form::Progress => {
                entities.sub_job_id = several.then(|| ids::of_task(job.id, current));
            }
        }
        let object = JobObject {
            status: status_of(job),
            job_id: ids::of_job(job.id),
            job_type: job_type(job),
            begin_time: time(job.started_at.unwrap_or(job.run_at)),
            end_time: end_time(job.ending().map(|(_, at)| at)),
            error_code: None,
            fail_reason: None,
            entities,
        };
        object.because(reason, form)
    }

    /// The task at this place, as a sub-job; `None` where there is none.
    pub fn of_task(job: &Job, place: usize, form: Form) -> Option<Self> {
        let task = job.tasks.get(place).filter(|_| job.tasks.len() > 1)?;
        let mut entities = entities(job, task);
        entities.process_percent = Some(done(std::slice::from_ref(task)));
        let object = JobObject {
            status: status_of_task(task.state),
            job_id: ids::of_task(job.id, place),
            job_type: job_type(job),
            begin_time: time(begun(job, task)),
            end_time: end_time(task.state.is_ended().then_some(task.since)),
            error_code: None,
            fail_reason: None,
            entities,
        };
        Some(object.because(reasons::of_task(task), form))
    }

    /// The same, with why it did not succeed.
    fn because(mut self, reason: Option<Reason>, form: Form) -> Self {
        let Some(Reason { code, cause, text }) = reason else { return self };
        if form == Form::Job {
            self.entities.error_code = cause.map(Cause::word);
            self.entities.error = Some(text.clone());
        }
        self.error_code = Some(code);
        self.fail_reason = Some(text);
        self
    }
}

/// A sub-job within its job: what it is about besides is the job's to say.
fn sub_job(job: &Job, place: usize) -> Option<JobObject> {
    let mut object = JobObject::of_task(job, place, Form::Progress)?;
    let Entities { image_id, image_name, .. } = object.entities;
    object.entities = Entities { image_id, image_name, ..Entities::default() };
    Some(object)
}

/// The image of a task, and the task's name.
fn entities(job: &Job, task: &Task) -> Entities {
    let image = &job.images[task.image as usize];
    let name = image.registered.as_ref().map_or(image.reference.as_str(), |name| name.as_str());
    Entities {
        image_id: image_id(image),
        image_name: Some(name.to_owned()),
        current_task: Some(task.name.to_string()),
        ..Entities::default()
    }
}

/// What an image is, once it was looked up.
fn image_id(image: &Image) -> Option<String> {
    match &image.state {
        ImageState::Resolved(resolved) => Some(resolved.digest.clone()),
        ImageState::Wanted { .. } | ImageState::Refused(_) => None,
    }
}

/// How it went with each image of tasks that are over.
fn results(job: &Job) -> Vec<ResultObject> {
    let result = |task: &Task| {
        let status = match status_of_task(task.state) {
            Status::Init | Status::Running => return None,
            Status::Success => "success",
            Status::Fail => "fail",
        };
        let image_id = image_id(&job.images[task.image as usize]);
        Some(ResultObject { image_id, project_id: job.project.to_string(), status })
    };
    job.tasks.iter().filter_map(result).collect()
}

fn status_of(job: &Job) -> Status {
    match job.phase {
        Phase::Queued => Status::Init,
        Phase::Running | Phase::Stopping { .. } => Status::Running,
        Phase::Finished { ending: Ending::Succeeded, .. } => Status::Success,
        Phase::Finished {
            ending: Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut,
            ..
        } => Status::Fail,
    }
}

/// A task that was skipped did not do what it is there for, whatever became of
/// its job.
fn status_of_task(state: TaskState) -> Status {
    match state {
        TaskState::Pending | TaskState::Ready => Status::Init,
        TaskState::Running => Status::Running,
        TaskState::Succeeded => Status::Success,
        TaskState::Failed | TaskState::PartlyFailed | TaskState::Stopped | TaskState::Skipped => {
            Status::Fail
        }
    }
}

/// The place of the task that the job is at: the first that runs, or is about
/// to; once it is over, the one that was the last to end.
fn current(job: &Job) -> usize {
    let first = |state| job.tasks.iter().position(|task| task.state == state);
    let last = || {
        let ended = job.tasks.iter().enumerate();
        let ended =
            ended.filter(|(_, task)| task.state.is_ended() && task.state != TaskState::Skipped);
        ended.max_by_key(|(_, task)| task.since).map(|(place, _)| place)
    };
    first(TaskState::Running).or_else(|| first(TaskState::Ready)).or_else(last).unwrap_or(0)
}

/// How much of the tasks is over, from 0 to 1, in whole hundredths: 1 not a
/// moment too early.
fn done(tasks: &[Task]) -> f64 {
    let (mut over, mut all) = (0, 0);
    for task in tasks {
        let counts = task.members.counts();
        let left = if task.state.is_ended() { 0 } else { counts.waiting + counts.live };
        over += counts.total() - left;
        all += counts.total();
    }
    f64::from((100 * over).checked_div(all).unwrap_or(0)) / 100.0
}

/// When the task's first process started; until then, when it was asked for.
fn begun(job: &Job, task: &Task) -> Timestamp {
    let started = |instance: &Instance| match &instance.state {
        InstanceState::Waiting { .. } => None,
        InstanceState::Live(attempt) => attempt.started_at,
        InstanceState::Succeeded(outcome)
        | InstanceState::Failed(outcome)
        | InstanceState::Stopped(outcome) => outcome.started_at,
    };
    task.instances().iter().filter_map(started).min().unwrap_or(job.run_at)
}

fn job_type(job: &Job) -> &'static str {
    let asked = job.tags.get(TYPE_TAG);
    let known = JOB_TYPES.into_iter().find(|known| asked.is_some_and(|asked| asked == known));
    known.unwrap_or(JOB_TYPES[0])
}

/// Empty, not left out, while there is none.
fn end_time(at: Option<Timestamp>) -> String {
    at.map(time).unwrap_or_default()
}

/// UTC, to the millisecond.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
