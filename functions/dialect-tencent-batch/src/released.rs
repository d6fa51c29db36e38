//! What of a run's failures has been let go: one note for the instances of each
//! part of a task, so that none grows with the job.

use std::collections::{BTreeMap, BTreeSet};

use shared::{
    job::{Job, JobKey},
    ops::notes::Shelf,
    service::Service,
    wire::Problem,
};

use crate::API;

/// How many instances are noted together.
const PART: u32 = 128;

/// The note that says that all was let go.
const ALL: &str = "all";

/// An instance: its task's place, and its index.
pub(crate) type Place = (usize, u32);

/// What has been let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released(BTreeMap<String, BTreeSet<u32>>);

fn shelf(job: JobKey, run: u32) -> Shelf {
    Shelf::of_job(job, API, &format!("released-{run}"))
}

fn part((task, index): Place) -> String {
    format!("{task}-{}", index / PART)
}

impl Released {
    /// What of the job's current run.
    pub(crate) async fn load(service: &Service, job: &Job) -> Result<Self, Problem> {
        shelf(job.key(), job.run).all(service).await.map(Released)
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        let of_part = || self.0.get(&part(place)).is_some_and(|part| part.contains(&place.1));
        self.0.contains_key(ALL) || of_part()
    }
}

/// Lets go of all that is held of the job's current run.
pub(crate) async fn all(service: &Service, job: &Job) -> Result<(), Problem> {
    shelf(job.key(), job.run).put(service, ALL, &BTreeSet::<u32>::new()).await
}

/// Lets go of one instance.
pub(crate) async fn one(service: &Service, job: &Job, place: Place) -> Result<(), Problem> {
    let with = |part: Option<BTreeSet<u32>>| {
        let mut part = part.unwrap_or_default();
        part.insert(place.1);
        Some(part)
    };
    shelf(job.key(), job.run).change(service, &part(place), with).await.map(|_| ())
}
