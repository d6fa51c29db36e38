//! A job as this API sees it: its record, what is kept of its request, and what
//! of its failures has been let go.

use std::collections::BTreeMap;

use shared::{
    job::{Instance, Job, JobId, JobKey, Members, ProjectId, TaskState},
    ops::{jobs, members},
    service::Service,
    wire::Problem,
};

use crate::{
    faults::Fault,
    kept::Kept,
    released::Released,
    words::{self, Held, State},
};

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
}

impl Held for Holding<'_> {
    fn holds(&self, task: usize) -> bool {
        self.kept.is_some_and(|kept| kept.holds(task))
    }

    fn is_released(&self, task: usize, instance: u32) -> bool {
        self.released.contains((task, instance))
    }
}

/// A job's id, in this API's form, which is ours.
pub(crate) fn id(text: &str) -> Result<JobId, Fault> {
    text.parse().map_err(|_| {
        let message = format!("`{text}` is not the id of a job.");
        Fault::new("InvalidParameter.JobIdMalformed", message)
    })
}

/// Whether instances of the task at this place have failed for good.
fn fails(job: &Job, place: usize) -> bool {
    job.tasks[place].members.counts().failed > 0
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
        let held = kept.as_ref().is_some_and(|kept| {
            (0..job.tasks.len()).any(|place| kept.holds(place) && fails(&job, place))
        });
        let released =
            if held { Released::load(service, &job).await? } else { Released::default() };
        Seen::with(service, job, kept, released).await
    }

    /// The job as its run ended: nothing has been let go.
    pub(crate) async fn ended(service: &Service, job: Job) -> Result<Self, Problem> {
        let kept = Kept::of(service, &job).await?;
        Seen::with(service, job, kept, Released::default()).await
    }

    /// How the job stands as far as its record tells: what is FAILED may be held.
    pub(crate) fn but_for_what_is_held(job: &Job) -> State {
        let held = Holding { kept: None, released: &Released::default() };
        let each = job.tasks.iter().enumerate();
        let tasks: Vec<State> = each
            .map(|(place, task)| words::task(job, task, &words::instances(&held, job, place)))
            .collect();
        words::job(job, &tasks)
    }

    async fn with(
        service: &Service,
        job: Job,
        kept: Option<Kept>,
        released: Released,
    ) -> Result<Self, Problem> {
        let held = Holding { kept: kept.as_ref(), released: &released };
        let mut instances = Vec::with_capacity(job.tasks.len());
        for (place, task) in job.tasks.iter().enumerate() {
            // Counts do not tell why what has failed did: only that is held
            // which could be looked into.
            let is_wide = matches!(task.members, Members::Chunked(_));
            instances.push(if is_wide && held.holds(place) && fails(&job, place) {
                let members = members::of_task(service, &job, place, 0..u32::MAX).await?;
                let each = members.iter().map(|one| (one.index, &one.instance));
                words::each(&held, &job, place, each)
            } else {
                words::instances(&held, &job, place)
            });
        }
        let each = job.tasks.iter().zip(&instances);
        let tasks: Vec<State> =
            each.map(|(task, instances)| words::task(&job, task, instances)).collect();
        let state = words::job(&job, &tasks);
        Ok(Seen { job, kept, released, instances, tasks, state })
    }

    /// How an instance of the task at this place stands.
    pub(crate) fn instance(&self, place: usize, index: u32, instance: &Instance) -> State {
        let held = Holding { kept: self.kept.as_ref(), released: &self.released };
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
