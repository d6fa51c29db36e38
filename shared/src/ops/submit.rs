//! Accepting a job: in the table or refused, and never twice for one token.

use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, HEXLOWER};
use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, instrument};

use super::{
    callbacks, images, leases, objects,
    queues::{self, Queue},
    recall, record, rerun,
    rows::{self, QueueKey},
};
use crate::{
    job::{Job, JobId, JobKey, JobSpec, Name, ProjectId, Source},
    platform::{
        ByteStream, Expect, Key, ObjectKey, ObjectsError, Op, Put, Row, TableError, one_chunk,
    },
    service::Service,
    wire::{Problem, submit::Submission},
};

/// How long a client token is remembered.
const TOKEN_HOURS: i64 = 7 * 24;

/// Inline inputs up to this many base 64 characters stay in the spec.
const INLINE_KEPT: usize = 8 << 10;

/// How many jobs are accepted together at most: each is up to three changes of
/// one commit.
pub const MOST_TOGETHER: usize = 33;

/// How many bytes they may have together: as many as a commit takes.
const MOST_BYTES: usize = 4_000_000;

/// A job that was accepted, now or before.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The job.
    pub job: Job,
    /// Whether an earlier request with the same token made it.
    pub repeated: bool,
}

/// What a client token stands for.
#[derive(Serialize, Deserialize)]
struct TokenRecord {
    v: u8,
    job: JobId,
    request: String,
}

/// Accepts a job. `request` is what the client sent, for telling whether a
/// repeated token comes with the same request; `stdin` is the first task's
/// standard input, if it came as the body.
#[instrument(level = "debug", name = "job.submit", skip_all, fields(project.id = %project))]
pub async fn submit(
    service: &Service,
    project: ProjectId,
    mut submission: Submission,
    request: &[u8],
    stdin: Option<ByteStream>,
) -> Result<Accepted, Problem> {
    let clock = service.platform.clock.as_ref();
    // What was accepted once is not held against what there is now.
    let token = submission.client_token.as_deref().map(|token| rows::token(project, token));
    let mut digest = Sha256::new_with_prefix(request);
    if let Some(token) = &token
        && let Some(row) = service.platform.table.get(token).await?
    {
        if let Some(stdin) = stdin {
            sum_up(&mut digest, stdin).await?;
        }
        return earlier(service, project, &row, &hex(digest)).await;
    }
    let key = identified(service, project, &mut submission).await?;
    service.backlog.admit(&service.platform, project, 1, service.limits.open_jobs).await?;
    let lease = attach(service, key, &mut submission, stdin.is_some()).await?;
    if let Some(stdin) = stdin {
        digest = attach_stdin(service, key, &mut submission.spec, digest, stdin).await?;
    }
    let request = hex(digest);
    let (job, mut ops) = written(service, key, submission);
    if let Some(token) = &token {
        let mut wanted = rows::plain(&TokenRecord { v: 1, job: key.job, request: request.clone() });
        wanted.expires_at = clock.now().checked_add(SignedDuration::from_hours(TOKEN_HOURS)).ok();
        ops.push(Op::Put(token.clone(), Expect::Absent, wanted));
    }
    ops.extend(lease.clone().map(leases::give_up));
    match service.platform.table.commit(ops).await {
        Ok(()) => {
            accepted(service, &job).await;
            Ok(Accepted { job, repeated: false })
        }
        Err(TableError::Exists(taken)) if Some(&taken) == token.as_ref() => {
            // Somebody was faster with the same token; what we stored is
            // nobody's, and the lease sees to it.
            match service.platform.table.get(&taken).await? {
                Some(row) => earlier(service, project, &row, &request).await,
                None => Err(Problem::Unavailable("a client token came and went".into())),
            }
        }
        Err(TableError::Stale(stale)) if Some(&stale) == lease.as_ref() => {
            // What came after the lease had run out, nobody else knows of.
            objects::delete_all(service, &ObjectKey::job_prefix(key)).await?;
            Err(Problem::Unavailable("the inputs took too long to come".into()))
        }
        Err(other) => Err(other.into()),
    }
}

/// The job that the very same request made before, if one did: by the client
/// token that came with it, or is in it. What it names may be gone since.
pub async fn repeated(
    service: &Service,
    project: ProjectId,
    token: Option<&str>,
    request: &[u8],
) -> Result<Option<Accepted>, Problem> {
    #[derive(Deserialize)]
    struct WithToken {
        client_token: Option<String>,
    }
    let given = || serde_json::from_slice::<WithToken>(request).ok()?.client_token;
    let Some(token) = token.map(str::to_owned).or_else(given) else { return Ok(None) };
    let row = service.platform.table.get(&rows::token(project, &token)).await?;
    let Some(row) = row else { return Ok(None) };
    earlier(service, project, &row, &hex(Sha256::new_with_prefix(request))).await.map(Some)
}

/// Accepts several jobs of a project, all or none: up to [`MOST_TOGETHER`],
/// without client tokens, and without images that they bring along.
#[instrument(level = "debug", name = "job.submit_all", skip_all, fields(project.id = %project))]
pub async fn submit_all(
    service: &Service,
    project: ProjectId,
    mut submissions: Vec<Submission>,
) -> Result<Vec<Job>, Problem> {
    if submissions.len() > MOST_TOGETHER {
        return Err(Problem::invalid("jobs", format!("there are at most {MOST_TOGETHER}")));
    }
    let mut keys = Vec::with_capacity(submissions.len());
    for submission in &mut submissions {
        keys.push(identified(service, project, submission).await?);
    }
    let limit = service.limits.open_jobs;
    service.backlog.admit(&service.platform, project, keys.len(), limit).await?;
    let (mut jobs, mut ops) = (Vec::with_capacity(keys.len()), Vec::new());
    for (&key, mut submission) in keys.iter().zip(submissions) {
        let lease = attach(service, key, &mut submission, false).await?;
        let (job, rows) = written(service, key, submission);
        jobs.push(job);
        ops.extend(rows.into_iter().chain(lease.map(leases::give_up)));
    }
    if ops.iter().map(body_length).sum::<usize>() > MOST_BYTES {
        let limit = MOST_BYTES as u64;
        return Err(Problem::TooLarge { what: "what the jobs are together", limit });
    }
    match service.platform.table.commit(ops).await {
        Ok(()) => {
            for job in &jobs {
                accepted(service, job).await;
            }
            Ok(jobs)
        }
        Err(TableError::Stale(_)) => {
            for key in keys {
                objects::delete_all(service, &ObjectKey::job_prefix(key)).await?;
            }
            Err(Problem::Unavailable("the inputs took too long to come".into()))
        }
        Err(other) => Err(other.into()),
    }
}

/// A job that is to be: under its id, with what its project knows, its secrets
/// sealed. Nothing is stored yet.
async fn identified(
    service: &Service,
    project: ProjectId,
    submission: &mut Submission,
) -> Result<JobKey, Problem> {
    let clock = service.platform.clock.as_ref();
    let queue = prepare(service, project, submission).await?;
    let key = JobKey { project, job: JobId::new(clock.now(), clock.random()) };
    seal_secrets(service, key, submission);
    let callback = queue.callback.as_ref();
    submission.spec.callback = callbacks::for_job(service, key, &submission.callback, callback)?;
    check_size(service, &submission.spec)?;
    Ok(key)
}

/// Stores what becomes objects of the job, under a lease if there is any: what
/// comes as the body as well.
async fn attach(
    service: &Service,
    key: JobKey,
    submission: &mut Submission,
    has_body: bool,
) -> Result<Option<Key>, Problem> {
    let stores = has_body || submission.spec.tasks.iter().flat_map(sources).any(is_stored);
    let lease = if stores { Some(leases::for_submit(service, key).await?) } else { None };
    rerun::copy_attached(service, submission.made_by.from, key, &mut submission.spec).await?;
    attach_inline(service, key, &mut submission.spec).await?;
    Ok(lease)
}

/// The job, and what is written of it: one row, or two where its spec is large,
/// and the images that it brings along.
fn written(service: &Service, key: JobKey, submission: Submission) -> (Job, Vec<Op>) {
    let made_by = submission.made_by;
    let job = Job { made_by, ..Job::new(key, &submission.spec, key.job.created_at()) };
    let (now, slack) = (service.platform.clock.now(), service.platform.table.mark_slack());
    let wanted = rows::new_job_row(&job, now, slack);
    let mut ops = vec![Op::Put(rows::job(key), Expect::Absent, wanted)];
    if job.spec.is_none() {
        ops.push(Op::Put(rows::spec(key), Expect::Absent, rows::plain(&submission.spec)));
    }
    ops.extend(submission.images.iter().map(|image| images::written(key.project, image)));
    (job, ops)
}

fn body_length(op: &Op) -> usize {
    match op {
        Op::Put(_, _, wanted) => wanted.body.len(),
        Op::Delete(..) | Op::Check(..) | Op::Join { .. } | Op::Leave { .. } => 0,
    }
}

async fn accepted(service: &Service, job: &Job) {
    info!(job.id = %job.id, queue = %job.queue, tasks = job.tasks.len(), "job accepted");
    record::remind(service, None, job).await;
}

/// Fills in what the project knows: what the queue gives, what names stand for.
/// Refuses what the queue cannot take.
pub(super) async fn prepare(
    service: &Service,
    project: ProjectId,
    submission: &mut Submission,
) -> Result<Queue, Problem> {
    let key = QueueKey { project, name: submission.spec.queue.clone() };
    let Some(queue) = queues::known(service, &key).await? else {
        let rule = format!("the project has no queue `{}`", key.name);
        return Err(Problem::invalid("queue", rule));
    };
    queue.prepare(submission)?;
    name_registered_images(service, project, submission).await?;
    check_size(service, &submission.spec)?;
    Ok(queue)
}

/// The job that an earlier request with this token made.
async fn earlier(
    service: &Service,
    project: ProjectId,
    token: &Row,
    request: &str,
) -> Result<Accepted, Problem> {
    let record: TokenRecord = rows::read(token)?;
    if record.request != request {
        return Err(Problem::conflict(
            "client_token_reused",
            "the client token was used for another request",
        ));
    }
    let key = JobKey { project, job: record.job };
    match record::load(service, key).await? {
        Some((_, job)) => Ok(Accepted { job, repeated: true }),
        None => Err(Problem::conflict("job_deleted", "the job of this client token was deleted")),
    }
}

/// An image that is named by a registered one becomes what that stands for.
async fn name_registered_images(
    service: &Service,
    project: ProjectId,
    submission: &mut Submission,
) -> Result<(), Problem> {
    for task in &mut submission.spec.tasks {
        let Ok(name) = task.image.as_str().parse::<Name>() else { continue };
        let brought = submission.images.iter().find(|image| image.name == name).cloned();
        let image = match brought {
            None => images::load(service, project, &name).await?,
            brought => brought,
        };
        if let Some(image) = image {
            task.image = image.reference;
            task.registered = Some(name);
        }
    }
    Ok(())
}

/// The scope that a task's secret environment is sealed for.
pub(super) fn secret_scope(key: JobKey, task: usize, name: &str) -> String {
    format!("{}/{}/{task}/env/{name}", key.project, key.job)
}

fn seal_secrets(service: &Service, key: JobKey, submission: &mut Submission) {
    let clock = service.platform.clock.as_ref();
    let tasks = submission.spec.tasks.iter_mut().zip(&submission.secrets).enumerate();
    for (place, (task, secrets)) in tasks {
        for (name, value) in secrets {
            let scope = secret_scope(key, place, name);
            task.secret_env.insert(name.clone(), service.keyring.seal(clock, &scope, value));
        }
    }
}

/// The spec without its inline inputs, which are kept elsewhere when large.
fn check_size(service: &Service, spec: &JobSpec) -> Result<(), Problem> {
    let whole = serde_json::to_vec(spec).map_or(0, |json| json.len());
    let inline: usize = spec.tasks.iter().flat_map(sources).map(inline_length).sum();
    let (size, limit) = (whole.saturating_sub(inline), service.limits.spec_bytes);
    if size > limit {
        return Err(Problem::TooLarge { what: "the job's spec", limit: limit as u64 });
    }
    Ok(())
}

fn sources(task: &crate::job::TaskSpec) -> impl Iterator<Item = &Source> {
    task.stdin.iter().chain(task.inputs.iter().map(|input| &input.source))
}

/// Whether it becomes an object of the job.
fn is_stored(source: &Source) -> bool {
    is_large(source) || matches!(source, Source::Attached(_))
}

/// Whether it is kept outside of the spec.
fn is_large(source: &Source) -> bool {
    inline_length(source) > INLINE_KEPT
}

fn inline_length(source: &Source) -> usize {
    match source {
        Source::Inline(text) => text.len(),
        Source::Object { .. }
        | Source::Upload(_)
        | Source::Attached(_)
        | Source::Folder { .. }
        | Source::Task { .. } => 0,
    }
}

/// Inline inputs that are too large for the spec become objects of the job.
async fn attach_inline(service: &Service, key: JobKey, spec: &mut JobSpec) -> Result<(), Problem> {
    for (place, task) in spec.tasks.iter_mut().enumerate() {
        let inputs = task.inputs.iter_mut().map(|input| &mut input.source);
        for (nth, source) in task.stdin.iter_mut().chain(inputs).enumerate() {
            if !is_large(source) {
                continue;
            }
            let Source::Inline(text) = &*source else { continue };
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|error| Problem::internal(format!("inline input: {error}")))?;
            let name = format!("input-{place}-{nth}");
            if let Some(rule) = &mut task.cache {
                rule.attached.insert(name.clone(), recall::digest(&bytes));
            }
            let object = ObjectKey::attached(key, &name);
            service.platform.objects.put(&object, one_chunk(bytes), Put::default()).await?;
            *source = Source::Attached(name);
        }
    }
    Ok(())
}

/// The body of the request becomes an object of the job; its bytes are summed
/// as they pass.
async fn attach_stdin(
    service: &Service,
    key: JobKey,
    spec: &mut JobSpec,
    digest: Sha256,
    stdin: ByteStream,
) -> Result<Sha256, Problem> {
    let summed = Arc::new(Mutex::new(digest));
    let passing = Arc::clone(&summed);
    let (body, own) = recall::summed(stdin);
    let body = body.inspect_ok(move |bytes| lock(&passing).update(bytes)).boxed();
    let object = ObjectKey::attached(key, "stdin");
    service.platform.objects.put(&object, body, Put::default()).await?;
    if let Some(rule) = &mut spec.tasks[0].cache {
        rule.attached.insert("stdin".into(), own.told());
    }
    spec.tasks[0].stdin = Some(Source::Attached("stdin".into()));
    let digest = lock(&summed).clone();
    Ok(digest)
}

async fn sum_up(digest: &mut Sha256, mut stdin: ByteStream) -> Result<(), Problem> {
    while let Some(bytes) = stdin.next().await {
        digest.update(bytes.map_err(ObjectsError::Body)?);
    }
    Ok(())
}

fn hex(digest: Sha256) -> String {
    HEXLOWER.encode(&digest.finalize())
}

fn lock(digest: &Mutex<Sha256>) -> std::sync::MutexGuard<'_, Sha256> {
    digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
