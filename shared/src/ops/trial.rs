//! What would become of a job, told without accepting it.
//!
//! Goes the way of a submit as far as that writes nothing, and then looks up
//! the images, which a submit leaves for later.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::{duties::chain, images, plan, queues::Queue, submit};
use crate::{
    job::{Cause, ImageReference, JobSpec, Name, ProjectId, ResolvedImage, Resources, TaskSpec},
    platform::ResolveError,
    service::Service,
    wire::{Problem, submit::Submission},
};

/// How many images are looked up side by side.
const AT_ONCE: usize = 8;

/// A job as it would be accepted.
#[derive(Debug)]
pub struct Trial {
    /// What would run.
    pub spec: JobSpec,
    /// Its tasks, in the spec's order.
    pub tasks: Vec<TaskTrial>,
    /// The queue that it would wait in.
    pub queue: Queue,
    /// How many unfinished jobs the project has.
    pub open_jobs: usize,
}

/// A task as it would start.
#[derive(Debug)]
pub struct TaskTrial {
    /// Its image, or why it has none.
    pub image: Result<ResolvedImage, NoImage>,
    /// The words of its process, if the image is known.
    pub argv: Vec<String>,
    /// The names of its environment's variables, sorted.
    pub env: Vec<String>,
    /// What each of its containers would be charged; or why there can be none.
    pub charge: Result<Option<Charge>, String>,
}

/// What a container costs while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What is paid for: the size that is sold, not less than what was asked.
    pub sold: Resources,
    /// In millionths of a US dollar an hour, where that is known.
    pub micro_usd_an_hour: Option<u64>,
}

/// Why an image cannot be used.
#[derive(Clone, Debug)]
pub struct NoImage {
    /// What an attempt would fail with.
    pub cause: Cause,
    /// A sentence for people.
    pub message: String,
}

/// Tries the job. What a submit would refuse is refused in the same way.
pub async fn perform(
    service: &Service,
    project: ProjectId,
    mut submission: Submission,
) -> Result<Trial, Problem> {
    let queue = submit::prepare(service, project, &mut submission).await?;
    let open_jobs = service.backlog.count(&service.platform, project, service.limits.open_jobs);
    let open_jobs = open_jobs.await?;
    let resolved = resolve_all(service, project, &submission.spec).await?;
    let tasks = submission.spec.tasks.iter().zip(&submission.secrets).map(|(task, secrets)| {
        let image = resolved[&(task.image.clone(), task.registered.clone())].clone();
        trial(service, task, secrets, image)
    });
    let tasks = tasks.collect();
    Ok(Trial { tasks, spec: submission.spec, queue, open_jobs })
}

fn trial(
    service: &Service,
    task: &TaskSpec,
    secrets: &BTreeMap<String, String>,
    image: Result<ResolvedImage, NoImage>,
) -> TaskTrial {
    let images = image.iter().flat_map(|image| image.env.keys());
    let told = task.env.keys().chain(secrets.keys()).chain(images).cloned();
    let env: BTreeSet<String> = told.chain(plan::OWN_VARIABLES.map(str::to_owned)).collect();
    let argv =
        |image: &ResolvedImage| image.argv(task.entrypoint.as_deref(), task.command.as_deref());
    TaskTrial {
        argv: image.as_ref().map(argv).unwrap_or_default(),
        env: env.into_iter().collect(),
        charge: charge(service, task.resources),
        image,
    }
}

/// What a container costs that may use so much, where it costs something; or
/// why there can be none.
fn charge(service: &Service, asked: Resources) -> Result<Option<Charge>, String> {
    let sold = service.platform.runtime.sold(asked)?;
    let prices = service.config.prices;
    let charge =
        |sold| Charge { sold, micro_usd_an_hour: prices.map(|prices| prices.an_hour(sold)) };
    Ok(sold.map(charge))
}

/// An image by its reference, and the registered image that it was named by.
type Named = (ImageReference, Option<Name>);

/// What each image is, each looked up once.
async fn resolve_all(
    service: &Service,
    project: ProjectId,
    spec: &JobSpec,
) -> Result<BTreeMap<Named, Result<ResolvedImage, NoImage>>, Problem> {
    let named = |task: &TaskSpec| (task.image.clone(), task.registered.clone());
    let named: BTreeSet<Named> = spec.tasks.iter().map(named).collect();
    let lookups: Vec<_> = named
        .into_iter()
        .map(|named| async move {
            let found = resolve(service, project, &named).await?;
            Ok::<_, Problem>((named, found))
        })
        .collect();
    stream::iter(lookups).buffered(AT_ONCE).try_collect().await
}

async fn resolve(
    service: &Service,
    project: ProjectId,
    (reference, registered): &Named,
) -> Result<Result<ResolvedImage, NoImage>, Problem> {
    let registered = match registered {
        Some(name) => images::load(service, project, name).await?,
        None => None,
    };
    let credentials = registered.and_then(|image| images::credentials(service, project, &image));
    let resolved = service.platform.runtime.resolve(project, reference, credentials.as_ref()).await;
    Ok(resolved.map_err(|error| {
        let cause = match &error {
            ResolveError::NotFound(_) => Cause::ImageNotFound,
            ResolveError::Denied(_) => Cause::ImageDenied,
            ResolveError::Unusable { .. } => Cause::ImageUnusable,
            ResolveError::Unavailable(_) => {
                tracing::warn!(image = %reference, error = chain(&error), "no image");
                Cause::ImageUnavailable
            }
        };
        NoImage { cause, message: error.to_string() }
    }))
}
