//! Reacts to the clock: finds every duty that was left undone, every container
//! that nobody waits for, every slot that nobody holds.

use serde::Deserialize;
use shared::{function::Reaction, ops::sweep, service::Service, wire::Problem};

/// The reaction.
pub struct SweepJobs;

/// It is time again. Whatever else the message says does not matter.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Tick {}

impl Reaction for SweepJobs {
    const NAME: &'static str = "sweep-jobs";
    type Event = Tick;

    async fn react(&self, service: &Service, _: Tick) -> Result<(), Problem> {
        sweep::sweep(service).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{conformance::memory::World, function::Reaction};

    use super::SweepJobs;

    #[tokio::test(start_paused = true)]
    async fn a_job_that_no_message_told_of_is_started_and_held_to_its_deadlines() {
        let world = World::new().await;
        let sweep = || async {
            let tick = serde_json::from_str(r#"{"source": "a timer"}"#).expect("a tick");
            SweepJobs.react(&world.service, tick).await.expect("it is done");
        };
        let job = world.submit(r#"{"image": "a", "deadline_seconds": 60}"#).await.id;
        sweep().await;
        let attempt = world.memory.runtime.launched()[0].attempt;
        tokio::time::advance(Duration::from_mins(1)).await;
        sweep().await;
        sweep().await;
        assert!(world.memory.runtime.is_stopped(attempt));
        assert!(world.job(job).await.halt().is_some());
    }
}
