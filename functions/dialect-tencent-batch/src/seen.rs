//! A job as this API sees it: its record, what is kept of its request, and what
//! of its failures has been let go.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::{
    job::{Job, JobId, JobKey, ProjectId, TaskState},
    ops::{jobs, notes::Shelf},
    service::Service,
    wire::Problem,
};

use crate::{
    API,
    faults::Fault,
    kept::Kept,
    words::{self, Held, State},
};

/// What of a run's failures has been let go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Released {
    run: u32,
    all: bool,
    instances: BTreeSet<(usize, u32)>,
}

/// A job, and all that it takes to tell of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) job: Job,
    pub(crate) kept: Option<Kept>,
    released: Released,
    /// How many instances of each task are in which state.
    pub(crate) instances: Vec<BTreeMap<State, u32>>,
    /// How each task stands.
    pub(crate) tasks: Vec<State>,
    /// How the job stands.
    pub(crate) state: State,
}

struct Holding<'a> {
    kept: Option<&'a Kept>,
    released: &'a Released,
    run: u32,
}

impl Held for Holding<'_> {
    fn holds(&self, task: usize) -> bool {
        self.kept.is_some_and(|kept| kept.holds(task))
    }

    fn is_released(&self, task: usize, instance: u32) -> bool {
        let Released { run, all, instances } = self.released;
        *run == self.run && (*all || instances.contains(&(task, instance)))
    }
}

/// A job's id, in this API's form, which is ours.
pub(crate) fn id(text: &str) -> Result<JobId, Fault> {
    text.parse().map_err(|_| {
        let message = format!("`{text}` is not the id of a job.");
        Fault::new("InvalidParameter.JobIdMalformed", message)
    })
}

fn shelf(key: JobKey) -> Shelf {
    Shelf::of_job(key, API, "released")
}

impl Seen {
    pub(crate) async fn load(
        service: &Service,
        project: ProjectId,
        text: &str,
    ) -> Result<Self, Fault> {
        let key = JobKey { project, job: id(text)? };
        match jobs::load(service, key).await {
            Ok(job) => Ok(Seen::of(service, job).await?),
            Err(Problem::NotFound { .. }) => Err(Fault::no_job(text)),
            Err(other) => Err(other.into()),
        }
    }

    pub(crate) async fn of(service: &Service, job: Job) -> Result<Self, Problem> {
        let kept = Kept::of(service, &job).await?;
        let may_hold = |place: usize| kept.as_ref().is_some_and(|kept| kept.holds(place));
        let fails = job
            .tasks
            .iter()
            .enumerate()
            .any(|(place, task)| may_hold(place) && task.members.counts().failed > 0);
        let released = if fails {
            shelf(job.key()).load(service, "run").await?.unwrap_or_default()
        } else {
            Released::default()
        };
        Ok(Seen::new(job, kept, released))
    }

    /// The job as its run ended: nothing has been let go.
    pub(crate) async fn ended(service: &Service, job: Job) -> Result<Self, Problem> {
        let kept = Kept::of(service, &job).await?;
        Ok(Seen::new(job, kept, Released::default()))
    }

    fn new(job: Job, kept: Option<Kept>, released: Released) -> Self {
        let held = Holding { kept: kept.as_ref(), released: &released, run: job.run };
        let places = 0..job.tasks.len();
        let instances: Vec<_> = places.map(|place| words::instances(&held, &job, place)).collect();
        let tasks = job.tasks.iter().zip(&instances);
        let tasks: Vec<State> =
            tasks.map(|(task, instances)| words::task(&job, task, instances)).collect();
        let state = words::job(&job, &tasks);
        Seen { job, kept, released, instances, tasks, state }
    }

    /// Lets go of what is held: of one instance, or of all there is.
    pub(crate) async fn release(
        &self,
        service: &Service,
        one: Option<(usize, u32)>,
    ) -> Result<(), Fault> {
        let run = self.job.run;
        let release = |released: Option<Released>| {
            let released = released.filter(|released| released.run == run);
            let mut released = released.unwrap_or(Released { run, ..Released::default() });
            match one {
                Some(one) => {
                    released.instances.insert(one);
                }
                None => released.all = true,
            }
            Some(released)
        };
        shelf(self.job.key()).change(service, "run", release).await?;
        Ok(())
    }

    /// How an instance of the task at this place stands.
    pub(crate) fn instance(
        &self,
        place: usize,
        index: u32,
        instance: &shared::job::Instance,
    ) -> State {
        let run = self.job.run;
        let held = Holding { kept: self.kept.as_ref(), released: &self.released, run };
        let waits = self.job.tasks[place].state == TaskState::Pending;
        words::instance(&held, (place, index), instance, waits)
    }

    /// The place of the task of this name.
    pub(crate) fn task(&self, name: &str) -> Result<usize, Fault> {
        let found = self.job.tasks.iter().position(|task| task.name.as_str() == name);
        found.ok_or_else(|| Fault::no_task(name))
    }

    /// Whether failures of the task at this place are held at first.
    pub(crate) fn holds(&self, place: usize) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.holds(place))
    }

    /// The zone that it was submitted to; none, if it came another way.
    pub(crate) fn zone(&self) -> Option<&str> {
        self.kept.as_ref()?.zone()
    }
}
