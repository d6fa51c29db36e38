//! Where what a process reads comes from: resolved when its plan is read, so
//! that what an earlier task left is seen.

use jiff::{SignedDuration, Timestamp};

use super::{
    contents::Contents,
    objects::Stretch,
    output::{self, Selector},
};
use crate::{
    agent::{InputPage, PlanInput, PlanSource},
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

/// After so many looks at what is stored a page ends: listings of folders, and
/// reads of archives.
///
/// So one answer takes these at most, what one more input takes, and what the
/// process reads on standard input: of a folder eleven, to count it; of an
/// archive with a manifest three, and no more for what else is wanted of it in
/// a row; of any other, and for streams, [`contents`](super::contents) has the
/// bound.
const LOOKS: u32 = 64;

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

impl Sources<'_> {
    /// What the process reads on standard input.
    pub(super) async fn stdin(self) -> Result<Option<PlanSource>, Problem> {
        match &self.task.stdin {
            Some(source) => self.resolve(source, &mut Looks::default()).await.map(Some),
            None => Ok(None),
        }
    }

    /// The inputs from `after` on, as an earlier page told it, or from the first.
    pub(super) async fn inputs(self, after: Option<&str>) -> Result<InputPage, Problem> {
        let mut at = match after {
            Some(after) => Place::read(after).ok_or_else(|| {
                Problem::invalid("after", "it is not where an earlier page ended")
            })?,
            None => Place::default(),
        };
        let (mut inputs, mut looks) = (Vec::new(), Looks::default());
        while let Some(input) = self.task.inputs.get(at.input) {
            if inputs.len() >= PAGE || looks.taken() >= LOOKS {
                return Ok(InputPage { inputs, more: Some(at.told()) });
            }
            if let Source::Folder { bucket, prefix } = &input.source {
                let folder = Folder { input, bucket, prefix };
                at = self.list(&folder, at, &mut inputs, &mut looks).await?;
            } else {
                inputs.push(planned(input, self.resolve(&input.source, &mut looks).await?));
                at = at.next();
            }
        }
        Ok(InputPage { inputs, more: None })
    }

    /// Adds a page of the folder's objects, each below the input's path; gives
    /// where the next one starts.
    async fn list(
        self,
        folder: &Folder<'_>,
        at: Place,
        inputs: &mut Vec<PlanInput>,
        looks: &mut Looks,
    ) -> Result<Place, Problem> {
        let objects = &self.service.platform.objects;
        let start = folder.start(self.job.key());
        let page = objects.list(&start, at.key.as_deref(), PAGE).await?;
        looks.lists += 1;
        let listed = at.listed.saturating_add(page.objects.len());
        let mut is_too_large = listed > MOST_OBJECTS;
        if at.key.is_none() {
            // It is there whether or not anything is in it.
            inputs.push(planned(folder.input, PlanSource::Folder));
            // That it is too large is better said before any of it is fetched.
            is_too_large |= self.is_too_large(&start, listed, page.cursor.clone(), looks).await?;
        }
        if is_too_large {
            let why = format!("{} has more than {MOST_OBJECTS} objects", folder.shown());
            inputs.push(planned(folder.input, PlanSource::Missing(why)));
            return Ok(at.next());
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
        Ok(match page.cursor {
            Some(key) => Place { key: Some(key), listed, ..at },
            None => at.next(),
        })
    }

    /// Whether more than a folder may have come after its first page.
    async fn is_too_large(
        self,
        start: &str,
        mut count: usize,
        first: Option<String>,
        looks: &mut Looks,
    ) -> Result<bool, Problem> {
        let mut next = first;
        while let Some(cursor) = next {
            let page = self.service.platform.objects.list(start, Some(&cursor), PAGE).await?;
            looks.lists += 1;
            count = count.saturating_add(page.objects.len());
            if count > MOST_OBJECTS {
                return Ok(true);
            }
            next = page.cursor;
        }
        Ok(false)
    }

    async fn resolve(self, source: &Source, looks: &mut Looks) -> Result<PlanSource, Problem> {
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
                self.left_by((*task, *instance), member.as_deref(), looks).await
            }
        }
    }

    /// What another task's instance has left: its archive, or a member of that.
    async fn left_by(
        self,
        of: (u32, u32),
        member: Option<&str>,
        looks: &mut Looks,
    ) -> Result<PlanSource, Problem> {
        let task = self.job.tasks.get(of.0 as usize);
        let task = task.ok_or_else(|| Problem::internal("a source is of no task"))?;
        if looks.last.as_ref().is_none_or(|(last, _)| *last != of) {
            let archive = self.archive(&task.name, of.1).await?;
            looks.turn_to(of, archive.map(Contents::of));
        }
        let Some((_, Some(contents))) = &mut looks.last else {
            return Ok(PlanSource::Missing(format!("task `{}` has left nothing", task.name)));
        };
        let Some(member) = member else {
            return self.signed(contents.archive().key.clone()).await;
        };
        match contents.member(self.service, member).await {
            Ok(found) if found.size() == 0 => Ok(PlanSource::Inline(String::new())),
            Ok(found) => match self.signed(found.key).await? {
                PlanSource::Url(url) => {
                    Ok(PlanSource::Part { url, start: found.within.start, end: found.within.end })
                }
                other => Ok(other),
            },
            Err(Problem::NotFound { .. }) => {
                let why = format!("task `{}` has left no `{member}`", task.name);
                Ok(PlanSource::Missing(why))
            }
            Err(Problem::Conflict { detail, .. }) => {
                Ok(PlanSource::Missing(format!("of task `{}`: {detail}", task.name)))
            }
            Err(other) => Err(other),
        }
    }

    /// The archive that the task's instance has left.
    async fn archive(self, task: &Name, instance: u32) -> Result<Option<Stretch>, Problem> {
        let selector =
            Selector { task: Some(task.to_string()), instance: Some(instance), attempt: None };
        let selected = output::select(self.service, self.job, &selector).await?;
        output::stored(self.service, self.job.key(), selected.attempt).await
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

/// What was looked at for one page.
#[derive(Default)]
struct Looks {
    /// Listings of folders.
    lists: u32,
    /// Reads of archives before the last.
    reads: u32,
    /// The task and the instance that something is wanted of, and what is in
    /// its archive: of the next input, most likely, as well.
    last: Option<((u32, u32), Option<Contents>)>,
}

impl Looks {
    fn taken(&self) -> u32 {
        self.lists + self.reads + self.of_last()
    }

    fn of_last(&self) -> u32 {
        self.last.as_ref().and_then(|(_, last)| last.as_ref()).map_or(0, Contents::reads)
    }

    fn turn_to(&mut self, of: (u32, u32), archive: Option<Contents>) {
        self.reads += self.of_last();
        self.last = Some((of, archive));
    }
}

/// Where a page of inputs starts, as the agent says it: one that makes it up is
/// told of what its job may read anyway, a page at a time.
#[derive(Default)]
struct Place {
    /// The place of the task's input.
    input: usize,
    /// How many of its objects earlier pages have listed.
    listed: usize,
    /// Where their listing goes on.
    key: Option<String>,
}

impl Place {
    /// At the next input.
    fn next(&self) -> Self {
        Place { input: self.input + 1, ..Place::default() }
    }

    fn told(&self) -> String {
        let Place { input, listed, key } = self;
        format!("{input}:{listed}:{}", key.as_deref().unwrap_or_default())
    }

    fn read(told: &str) -> Option<Self> {
        let (input, rest) = told.split_once(':')?;
        let (listed, key) = rest.split_once(':')?;
        let key = (!key.is_empty()).then(|| key.to_owned());
        Some(Place { input: input.parse().ok()?, listed: listed.parse().ok()?, key })
    }
}
