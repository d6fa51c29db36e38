//! What an attempt would run, as a key: equal ones run the same.
//!
//! All that a process can tell apart is in it, but for what never is the same
//! twice: the job's id and the attempt's number, which it sees in its
//! environment. How much of a machine it may use is not: only results of what
//! ended well are kept.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::{BASE64, HEXLOWER};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    job::{AttemptId, AttemptKey, Job, JobSpec, Layout, Network, ResolvedImage, Source, TaskSpec},
    ops::{chunks, plan},
    platform::{ByteStream, ObjectKey},
    service::Service,
    wire::Problem,
};

/// Changes with what this file makes of a task.
const FORM: u8 = 1;

/// How many objects of a folder are listed at once.
const PAGE: usize = 1_000;

/// How many such pages a folder may have.
const FOLDER_PAGES: usize = 11;

/// The key of an attempt; `None` if it has an input that is not there.
pub(super) async fn of(
    service: &Service,
    attempt: AttemptKey,
    job: &Job,
    spec: &JobSpec,
) -> Result<Option<String>, Problem> {
    let id = attempt.attempt;
    let task = spec.tasks.get(id.task as usize).zip(plan::image_of(job, id));
    let Some((task, image)) = task else { return Ok(None) };
    let mut inputs = Vec::new();
    let given = task.inputs.iter().map(|input| (Some(input), &input.source));
    for (input, source) in task.stdin.iter().map(|stdin| (None, stdin)).chain(given) {
        let Some(digest) = digest_of(service, job, task, source).await? else {
            return Ok(None);
        };
        inputs.push(json!([input.map(|input| (&input.path, input.mode)), digest]));
    }
    let env = plan::environment(service, attempt, task, image)?;
    let text = described(spec.layout, task, image, &env, &inputs).to_string();
    Ok(Some(service.keyring.fingerprint(&format!("result of {}", attempt.project), &text)))
}

fn described(
    layout: Layout,
    task: &TaskSpec,
    image: &ResolvedImage,
    env: &BTreeMap<String, String>,
    inputs: &[Value],
) -> Value {
    let once = [plan::OWN_VARIABLES[0], plan::OWN_VARIABLES[4]];
    let env: BTreeMap<_, _> =
        env.iter().filter(|(name, _)| !once.contains(&name.as_str())).collect();
    json!({
        "form": FORM,
        "layout": layout,
        "image": image.digest,
        "argv": image.argv(task.entrypoint.as_deref(), task.command.as_deref()),
        "env": env,
        "workdir": task.workdir.as_ref().or(image.workdir.as_ref()),
        "user": task.user.as_ref().or(image.user.as_ref()),
        "inputs": inputs,
        "outputs": task.outputs.iter().map(|output| &output.path).collect::<Vec<_>>(),
        "network": match task.network {
            Network::None => "none",
            Network::Least => "least",
            Network::Egress => "egress",
        },
        "read_only_root": task.read_only_root,
    })
}

/// What tells bytes from others, wherever they are kept: SHA-256 where it is
/// known, else what their store tells them apart by.
async fn digest_of(
    service: &Service,
    job: &Job,
    task: &TaskSpec,
    source: &Source,
) -> Result<Option<String>, Problem> {
    let of = job.key();
    let object = match source {
        Source::Inline(base64) => {
            let bytes = BASE64.decode(base64.as_bytes()).unwrap_or_default();
            return Ok(Some(digest(&bytes)));
        }
        Source::Attached(name) => {
            let known = task.cache.as_ref().and_then(|rule| rule.attached.get(name));
            if let Some(known) = known {
                return Ok(Some(known.clone()));
            }
            ObjectKey::attached(of, name)
        }
        Source::Object { bucket, key } => ObjectKey::user(of.project, bucket, key),
        Source::Upload(id) => ObjectKey::upload(of.project, id),
        Source::Folder { bucket, prefix } => {
            let start = format!("{}{prefix}", ObjectKey::user_prefix(of.project, bucket));
            return digest_of_folder(service, &start).await.map(Some);
        }
        Source::Task { task, instance, member } => {
            let left = left_by(service, job, *task, *instance).await?;
            return Ok(left.map(|from| format!("left:{from}:{member:?}")));
        }
    };
    let info = service.platform.objects.info(&object).await?;
    Ok(info.map(|info| format!("etag:{}:{}", info.size, info.etag)))
}

/// What tells a folder from others: the names in it, and what each stands for.
async fn digest_of_folder(service: &Service, start: &str) -> Result<String, Problem> {
    let mut all = Sha256::new();
    let mut cursor = None;
    // More than may be in one makes an attempt that fails.
    for _ in 0..FOLDER_PAGES {
        let page = service.platform.objects.list(start, cursor.as_deref(), PAGE).await?;
        for info in page.objects {
            let name = info.key.as_str().strip_prefix(start).unwrap_or_default();
            all.update(json!([name, info.size, info.etag]).to_string());
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(format!("folder:{}", HEXLOWER.encode(&all.finalize())))
}

/// The attempt whose result an earlier task of the job has: its own, or that of
/// an equal.
async fn left_by(
    service: &Service,
    job: &Job,
    task: u32,
    instance: u32,
) -> Result<Option<AttemptId>, Problem> {
    let of = AttemptId { job: job.id, run: job.run, task, instance, number: 0 };
    let held = chunks::held(service, AttemptKey { project: job.project, attempt: of }).await?;
    Ok(held.and_then(|held| {
        let outcome = held.instance(of)?.outcome()?;
        let latest = held.latest(task, instance);
        Some(outcome.cached_from.map_or(latest, |from| from.attempt))
    }))
}

/// The digest of bytes that pass.
#[derive(Clone, Default)]
pub(in crate::ops) struct Summed(Arc<Mutex<Sha256>>);

impl Summed {
    /// What it is once they have passed.
    pub(in crate::ops) fn told(&self) -> String {
        let sum = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        format!("sha256:{}", HEXLOWER.encode(&sum.finalize()))
    }
}

/// The bytes, and their digest once they have passed.
pub(in crate::ops) fn summed(bytes: ByteStream) -> (ByteStream, Summed) {
    let sum = Summed::default();
    let passing = sum.clone();
    let bytes = bytes.inspect_ok(move |bytes| {
        passing.0.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
    });
    (bytes.boxed(), sum)
}

/// The digest of bytes that are at hand.
pub(in crate::ops) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}
