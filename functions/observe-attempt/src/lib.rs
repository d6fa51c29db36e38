//! Reacts to news of a container, by looking for itself: the news may be late,
//! doubled or out of order, and what the runtime says is the truth.

use shared::{function::Reaction, ops::duties, platform::Known, service::Service, wire::Problem};

/// The reaction.
pub struct ObserveAttempt;

impl Reaction for ObserveAttempt {
    const NAME: &'static str = "observe-attempt";
    type Event = Known;

    async fn react(&self, service: &Service, event: Known) -> Result<(), Problem> {
        duties::observe(service, &event).await
    }
}

#[cfg(test)]
mod tests {
    use shared::{conformance::memory::World, function::Reaction, job::Cause};

    use super::ObserveAttempt;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_ended_without_a_report_is_lost() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        let observe = || ObserveAttempt.react(&world.service, attempt.into());
        observe().await.expect("it is done");
        assert!(world.job(job).await.is_live(attempt.attempt), "it runs");

        world.memory.runtime.exit(attempt, 70, true);
        observe().await.expect("it is done");
        observe().await.expect("it is done again");
        let job = world.job(job).await;
        let outcome = job.only_instance().and_then(|instance| instance.outcome().cloned());
        assert_eq!(outcome.and_then(|outcome| outcome.cause), Some(Cause::OutOfMemory));
        assert_eq!(world.memory.runtime.launched(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_never_started_ends_with_the_platforms_reason() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        world.memory.runtime.never_starts(attempt, Cause::ImageDenied);
        ObserveAttempt.react(&world.service, attempt.into()).await.expect("it is done");
        let job = world.job(job).await;
        let outcome = job.only_instance().and_then(|instance| instance.outcome().cloned());
        assert_eq!(outcome.and_then(|outcome| outcome.cause), Some(Cause::ImageDenied));
        assert_eq!(world.memory.runtime.launched(), []);
    }
}
