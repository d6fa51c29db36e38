//! `SubmitTask`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    job::{JobKey, JobSpec, Layout, Origin, ProjectId},
    ops::{jobs, submit},
    service::Service,
    wire::{
        Body,
        submit::{JobRequest, Submission},
    },
};

use super::{
    answer::{Answer, fields},
    results,
    shelf::Shelves,
};
use crate::{
    API,
    asked::Parameters,
    faults::{Code, Fault},
    words::{Kind, joined, split, task_id},
};

/// Seconds that a task may wait for a container whose caller waits for it.
const PATIENCE_SECONDS: u32 = 300;

/// Seconds that a caller is kept waiting at most, where the host would let it.
const LONGEST_SECONDS: u32 = 3_600;

/// What a client said of a task, as it is told again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Said {
    /// The image.
    pub image: String,
    /// The arguments.
    pub command: String,
    /// The folder of the results.
    pub folder: String,
    /// Their names in it.
    pub names: Vec<String>,
    /// Whether the caller waits.
    pub kind: Kind,
    /// Seconds that the process may run; 0 for as long as any may.
    pub seconds: u32,
}

impl Said {
    fn of(asked: &Parameters) -> Result<Self, Fault> {
        let image = asked.required("ImageName")?.to_owned();
        let kind = asked.text("TaskType").map_or(Some(Kind::Sync), Kind::named);
        let kind = kind.ok_or_else(|| Fault::new(Code::BadParameter, "TaskType: Sync or Async"))?;
        let names: Vec<_> = asked.list("OutputFileName").into_iter().map(str::to_owned).collect();
        let folder = match asked.text("OutputDir") {
            Some(folder) => folder.to_owned(),
            None if names.is_empty() => String::new(),
            None => return Err(Fault::new(Code::ParameterMissing, "OutputDir")),
        };
        let name = if asked.text("TimeOut").is_some() { "TimeOut" } else { "Timeout" };
        let seconds = asked.number(name, Code::BadTime)?.map(u32::try_from).transpose();
        let seconds = seconds.map_err(|_| Fault::new(Code::BadTime, "TimeOut"))?;
        let seconds = seconds.unwrap_or(kind.standard_seconds());
        let command = asked.text("Cmd").unwrap_or_default().to_owned();
        Ok(Said { image, command, folder, names, kind, seconds })
    }

    /// What a job of any other API says, in the words of this one: of its first
    /// task, if it has several.
    pub fn of_job(spec: &JobSpec) -> Self {
        let of_ours = spec.origin.as_ref().filter(|origin| origin.api == API);
        if let Some(said) = of_ours.and_then(|origin| serde_json::from_str(&origin.request).ok()) {
            return said;
        }
        let task = &spec.tasks[0];
        let image = task.registered.as_ref().map_or(task.image.as_str(), |name| name.as_str());
        let paths: Vec<_> = task.outputs.iter().map(|output| output.path.as_str()).collect();
        let (folder, names) = apart(&paths);
        Said {
            image: image.to_owned(),
            command: joined(task.command.as_deref().unwrap_or_default()),
            folder,
            names,
            kind: Kind::Async,
            seconds: task.deadlines.running,
        }
    }

    /// The job that is asked for, complete and within the rules.
    fn submission(
        &self,
        image: &str,
        service: &Service,
        name: Option<&str>,
    ) -> Result<Submission, Fault> {
        let command = split(&self.command);
        let command =
            command.map_err(|why| Fault::new(Code::BadParameter, format!("Cmd: {why}")))?;
        let most = self.kind.most_seconds();
        let seconds = if self.seconds == 0 { most } else { self.seconds.min(most) };
        let mut job = json!({
            "image": image,
            "outputs": self.names.iter().map(|name| self.path(name)).collect::<Vec<_>>(),
            // None where that can be had, and else as little as can be.
            "network": "least",
            "timeout_seconds": seconds,
        });
        if !command.is_empty() {
            job["command"] = command.into();
        }
        if let Some(name) = name {
            job["name"] = name.into();
        }
        if self.kind == Kind::Sync {
            job["waiting_seconds"] = PATIENCE_SECONDS.into();
        }
        let Value::Object(job) = job else { return Err(Code::InnerFault.into()) };
        let (job, tasks) = JobRequest::of_fields(job)?;
        let mut submission = job.check(tasks, &service.limits)?;
        submission.spec.layout = Layout::Ugc;
        let request = serde_json::to_string(self).unwrap_or_default();
        submission.spec.origin = Some(Origin { api: API.into(), request });
        Ok(submission)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{}", self.folder.trim_end_matches('/'), name.trim_start_matches('/'))
    }
}

/// The folder that all paths are in, and their names there.
fn apart(paths: &[&str]) -> (String, Vec<String>) {
    let folder = |path: &&str| {
        path.trim_end_matches('/').rsplit_once('/').map(|(folder, _)| folder.to_owned())
    };
    let first = paths.first().and_then(folder);
    let common =
        first.filter(|first| paths.iter().all(|path| folder(path).as_ref() == Some(first)));
    let common = common.unwrap_or_default();
    let name = |path: &&str| path[common.len()..].trim_matches('/').to_owned();
    let names = paths.iter().map(name).collect();
    match common.as_str() {
        "" if paths.is_empty() => (String::new(), names),
        "" => ("/".into(), names),
        _ => (common, names),
    }
}

/// Runs a container: its input is what was posted.
pub async fn submit(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
    body: Body,
) -> Result<Answer, Fault> {
    let said = Said::of(asked)?;
    let image = Shelves::image(service, project, &said.image).await?;
    let submission = said.submission(&image, service, asked.text("TaskName"))?;
    let stdin = match body.length() {
        Some(0) => None,
        _ => Some(body.limited("the task's input", service.limits.body_bytes)?),
    };
    // There is no token by which a repeated request would be known.
    let accepted = submit::submit(service, project, submission, b"", stdin).await?;
    match said.kind {
        Kind::Async => Ok(fields(json!({ "TaskId": task_id(accepted.job.id) }))),
        Kind::Sync => wait(service, accepted.job.key()).await,
    }
}

/// The result, once there is one.
async fn wait(service: &Service, key: JobKey) -> Result<Answer, Fault> {
    let longest = service.config.longest_wait_seconds.min(LONGEST_SECONDS);
    let job = jobs::wait(service, key, longest).await?;
    if job.ending().is_none() {
        let detail = format!("the task {} is not over yet", task_id(job.id));
        return Err(Fault::new(Code::TimedOut, detail));
    }
    results::of(service, &job).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_a_folder_and_names_in_it() {
        let cases: [(&[&str], &str, &[&str]); 6] = [
            (&[], "", &[]),
            (&["/tmp/result"], "/tmp", &["result"]),
            (&["/out/a", "/out/b/"], "/out", &["a", "b"]),
            (&["/out/a", "/tmp/b"], "/", &["out/a", "tmp/b"]),
            (&["/a"], "/", &["a"]),
            (&["/a/b/c", "/a/b"], "/", &["a/b/c", "a/b"]),
        ];
        for (paths, folder, names) in cases {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(apart(paths), (folder.to_owned(), names), "{paths:?}");
        }
    }
}
