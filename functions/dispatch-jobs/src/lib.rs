//! Reacts to a change of the table: does what a job calls for, lets a queue
//! start what it can.

use shared::{
    function::Reaction,
    ops::{
        chunks, dispatch, duties,
        sweep::{self, Wake},
    },
    service::Service,
    wire::Problem,
};

/// The reaction.
pub struct DispatchJobs;

impl Reaction for DispatchJobs {
    const NAME: &'static str = "dispatch-jobs";
    type Event = Wake;

    async fn react(&self, service: &Service, event: Wake) -> Result<(), Problem> {
        match event {
            Wake::Job(key) => duties::perform(service, key).await,
            Wake::Chunk(key) => chunks::perform(service, key).await,
            Wake::Queue(key) => dispatch::dispatch(service, &key).await,
            Wake::Due => sweep::duties(service, true).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        function::Reaction,
        ops::{rows::QueueKey, sweep::Wake},
    };

    use super::DispatchJobs;

    #[tokio::test(start_paused = true)]
    async fn a_job_is_started_by_the_changes_that_tell_of_it() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await;
        let (job_changed, queue_changed) = (Wake::Job(job.key()), Wake::Queue(QueueKey::of(&job)));
        // In any order, more often than needed, and as a message would bring them.
        for wake in [&queue_changed, &job_changed, &job_changed, &queue_changed, &queue_changed] {
            let event = serde_json::to_string(wake).expect("a message");
            let event = serde_json::from_str(&event).expect("the same");
            DispatchJobs.react(&world.service, event).await.expect("it is done");
        }
        assert_eq!(world.memory.runtime.launched().len(), 1);
        assert_eq!(world.job(job.id).await.live_attempts().len(), 1);
    }
}
