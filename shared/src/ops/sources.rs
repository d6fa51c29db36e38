//! Where what a process reads comes from: resolved when its plan is read, so
//! that what an earlier task left is seen.

use jiff::{SignedDuration, Timestamp};

use super::output::{self, Selector};
use crate::{
    agent::{PlanInput, PlanSource},
    job::{InputSpec, Job, JobKey, Name, Source, TaskSpec},
    platform::{Grant, GrantMethod, ObjectKey},
    service::Service,
    wire::Problem,
};

/// How long the agent may use a URL that it was given, at most: where a role
/// signs for a while only, its URLs end with its credentials. Inputs are fetched
/// as soon as the plan is read, and every try to store an archive asks for a new
/// URL, so that what counts is that it is good now.
pub(super) const GRANT_HOURS: i64 = 12;

/// How many objects a folder may have that is an input.
const MOST_OBJECTS: usize = 10_000;

/// How many objects of a folder are listed at once. No more of them are in one
/// plan: what Lambda answers has a limit.
const PAGE: usize = 1_000;

/// Until when a URL is good that an agent is given now.
pub(super) fn expiry(service: &Service) -> Timestamp {
    let now = service.platform.clock.now();
    now.checked_add(SignedDuration::from_hours(GRANT_HOURS)).unwrap_or(Timestamp::MAX)
}

/// A task's sources, for one of its attempts.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) service: &'a Service,
    pub(super) job: &'a Job,
    pub(super) task: &'a TaskSpec,
}

/// Some of a plan's inputs, and where those after them start.
pub(super) type Page = (Vec<PlanInput>, Option<String>);

impl Sources<'_> {
    /// What the process reads on standard input.
    pub(super) async fn stdin(self) -> Result<Option<PlanSource>, Problem> {
        match &self.task.stdin {
            Some(source) => self.resolve(source).await.map(Some),
            None => Ok(None),
        }
    }

    /// The inputs from `after` on, as an earlier page told it, or from the first.
    pub(super) async fn inputs(self, after: Option<&str>) -> Result<Page, Problem> {
        let mut at = match after {
            Some(after) => Place::read(after).ok_or_else(|| {
                Problem::invalid("after", "it is not where an earlier page ended")
            })?,
            None => Place { input: 0, key: None },
        };
        let mut inputs = Vec::new();
        while let Some(input) = self.task.inputs.get(at.input) {
            let Source::Folder { bucket, prefix } = &input.source else {
                inputs.push(planned(input, self.resolve(&input.source).await?));
                at.input += 1;
                continue;
            };
            let folder = Folder { input, bucket, prefix };
            let next = self.list(&folder, at.key.take(), &mut inputs).await?;
            at.key = next;
            at.input += usize::from(at.key.is_none());
            if at.input < self.task.inputs.len() && inputs.len() >= PAGE {
                return Ok((inputs, Some(at.told())));
            }
        }
        Ok((inputs, None))
    }

    /// Adds a page of the folder's objects, each below the input's path; gives
    /// where the next one starts.
    async fn list(
        self,
        folder: &Folder<'_>,
        after: Option<String>,
        inputs: &mut Vec<PlanInput>,
    ) -> Result<Option<String>, Problem> {
        let objects = &self.service.platform.objects;
        let start = folder.start(self.job.key());
        let page = objects.list(&start, after.as_deref(), PAGE).await?;
        if after.is_none() {
            // It is there whether or not anything is in it.
            inputs.push(planned(folder.input, PlanSource::Folder));
            if self.is_too_large(&start, page.cursor.clone()).await? {
                let why = format!("{} has more than {MOST_OBJECTS} objects", folder.shown());
                inputs.push(planned(folder.input, PlanSource::Missing(why)));
                return Ok(None);
            }
        }
        for object in page.objects {
            let below = object.key.as_str().strip_prefix(&start).unwrap_or_default();
            // The mark by which some tools make an empty folder.
            if below.is_empty() {
                continue;
            }
            let source = if !is_path(below.trim_end_matches('/')) {
                let why = format!("{}{below} has no name that a file can have", folder.shown());
                PlanSource::Missing(why)
            } else if below.ends_with('/') {
                PlanSource::Folder
            } else {
                self.signed(object.key.clone()).await?
            };
            let path = format!("{}/{below}", folder.input.path.trim_end_matches('/'));
            inputs.push(PlanInput { path, ..planned(folder.input, source) });
        }
        Ok(page.cursor)
    }

    /// Whether more than a folder may have come after its first page.
    async fn is_too_large(self, start: &str, first: Option<String>) -> Result<bool, Problem> {
        let (mut next, mut count) = (first, PAGE);
        while let Some(cursor) = next {
            let page = self.service.platform.objects.list(start, Some(&cursor), PAGE).await?;
            count += page.objects.len();
            if count > MOST_OBJECTS {
                return Ok(true);
            }
            next = page.cursor;
        }
        Ok(false)
    }

    async fn resolve(self, source: &Source) -> Result<PlanSource, Problem> {
        let key = self.job.key();
        match source {
            Source::Inline(bytes) => Ok(PlanSource::Inline(bytes.clone())),
            Source::Object { bucket, key: name } => {
                self.signed(ObjectKey::user(key.project, bucket, name)).await
            }
            Source::Upload(id) => self.signed(ObjectKey::upload(key.project, id)).await,
            Source::Attached(name) => self.signed(ObjectKey::attached(key, name)).await,
            Source::Folder { .. } => Err(Problem::internal("a folder is no stream of bytes")),
            Source::Task { task, member, instance } => {
                self.left_by(*task, *instance, member.as_deref()).await
            }
        }
    }

    /// What another task's instance has left: its archive, or a member of that.
    async fn left_by(
        self,
        task: u32,
        instance: u32,
        member: Option<&str>,
    ) -> Result<PlanSource, Problem> {
        let of = self.job.tasks.get(task as usize);
        let of = of.ok_or_else(|| Problem::internal("a source is of no task"))?;
        let selector =
            Selector { task: Some(of.name.to_string()), instance: Some(instance), attempt: None };
        let selected = output::select(self.service, self.job, &selector).await?;
        let archive = output::stored(self.service, self.job.key(), selected.attempt).await?;
        let Some(archive) = archive else {
            return Ok(PlanSource::Missing(format!("task `{}` has left nothing", of.name)));
        };
        let Some(member) = member else { return self.signed(archive.key).await };
        match output::member(self.service, &archive, member).await {
            Ok(found) if found.size() == 0 => Ok(PlanSource::Inline(String::new())),
            Ok(found) => match self.signed(found.key).await? {
                PlanSource::Url(url) => {
                    Ok(PlanSource::Part { url, start: found.within.start, end: found.within.end })
                }
                other => Ok(other),
            },
            Err(Problem::NotFound { .. }) => {
                let why = format!("task `{}` has left no `{member}`", of.name);
                Ok(PlanSource::Missing(why))
            }
            Err(Problem::Conflict { detail, .. }) => {
                Ok(PlanSource::Missing(format!("of task `{}`: {detail}", of.name)))
            }
            Err(other) => Err(other),
        }
    }

    async fn signed(self, key: ObjectKey) -> Result<PlanSource, Problem> {
        let expires_at = expiry(self.service);
        let grant = Grant { method: GrantMethod::Get, key, expires_at };
        Ok(PlanSource::Url(self.service.platform.objects.sign(&grant).await?.url))
    }
}

fn planned(input: &InputSpec, source: PlanSource) -> PlanInput {
    PlanInput { path: input.path.clone(), source, mode: input.mode.unwrap_or(0o644) }
}

/// Whether it is the path of something in a folder.
fn is_path(below: &str) -> bool {
    !below.contains('\0') && !below.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// An input that is a folder of objects.
struct Folder<'a> {
    input: &'a InputSpec,
    bucket: &'a Name,
    prefix: &'a str,
}

impl Folder<'_> {
    /// What the names of its objects start with, as they are stored.
    fn start(&self, job: JobKey) -> String {
        format!("{}{}", ObjectKey::user_prefix(job.project, self.bucket), self.prefix)
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.bucket, self.prefix)
    }
}

/// Where a page of inputs starts.
struct Place {
    /// The place of the task's input.
    input: usize,
    /// Where a listing of its objects goes on.
    key: Option<String>,
}

impl Place {
    fn told(&self) -> String {
        format!("{}:{}", self.input, self.key.as_deref().unwrap_or_default())
    }

    fn read(told: &str) -> Option<Self> {
        let (input, key) = told.split_once(':')?;
        let key = (!key.is_empty()).then(|| key.to_owned());
        Some(Place { input: input.parse().ok()?, key })
    }
}
