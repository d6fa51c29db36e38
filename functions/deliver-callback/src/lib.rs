//! Reacts to a change of the table, and to the clock: tells callers that their
//! jobs have started or ended.

use shared::{
    function::Reaction,
    ops::{
        callbacks::{self, Shapes},
        sweep::Wake,
    },
    service::Service,
    wire::Problem,
};

/// How other APIs than the native one tell the callers of their jobs.
const SHAPES: Shapes<'static> = &[&dialect_tencent_batch::Told, &dialect_tencent_ci::Told];

/// The reaction.
pub struct DeliverCallback;

impl Reaction for DeliverCallback {
    const NAME: &'static str = "deliver-callback";
    type Event = Wake;

    async fn react(&self, service: &Service, event: Wake) -> Result<(), Problem> {
        match event {
            Wake::Job(key) => callbacks::deliver(service, SHAPES, key).await,
            Wake::Due => callbacks::sweep(service, SHAPES).await,
            // Neither tells anybody.
            Wake::Queue(_) | Wake::Chunk(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{
        conformance::memory::{Reception, World},
        function::Reaction,
        job::Origin,
        ops::{rows::QueueKey, submit, sweep::Wake},
        wire::submit::JobRequest,
    };

    use super::DeliverCallback;

    #[tokio::test(start_paused = true)]
    async fn a_job_is_told_of_in_the_shape_of_its_own_api() {
        let world = World::new().await;
        let json = br#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
        for (api, shape) in [
            ("tencent-batch", r#""EventName":"JOB_SUCCEED""#),
            ("another", r#""type":"job.finished""#),
        ] {
            let (job, tasks) = JobRequest::parse(json).unwrap();
            let mut submission = job.check(tasks, &world.service.limits).unwrap();
            let request = r#"{"Placement": {}, "Job": {}}"#.to_owned();
            submission.spec.origin = Some(Origin { api: api.to_owned(), request });
            let (service, project) = (&world.service, world.project);
            let job = submit::submit(service, project, submission, b"", None).await.unwrap().job;
            world.run(job.id, 0, &[("Stdout", "")]).await;
            DeliverCallback.react(service, Wake::Job(job.key())).await.unwrap();
            let told = world.memory.outbox.told().pop().unwrap().body();
            assert!(told.contains(shape), "{api}: {told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_told_by_the_change_and_told_again_by_the_clock() {
        let world = World::new().await;
        world.memory.outbox.receive(&[Reception::Answer(503)]);
        let json = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
        let job = world.submit(json).await;
        world.run(job.id, 0, &[("Stdout", "")]).await;
        let world = &world;
        let react = |wake: Wake| async move {
            // As a message would bring it.
            let event = serde_json::to_string(&wake).expect("a message");
            let event = serde_json::from_str(&event).expect("the same");
            DeliverCallback.react(&world.service, event).await.expect("it is done");
            world.memory.outbox.told().len()
        };
        let react = &react;
        assert_eq!(react(Wake::Queue(QueueKey::of(&job))).await, 0);
        assert_eq!(react(Wake::Job(job.key())).await, 1);
        assert_eq!(react(Wake::Job(job.key())).await, 1);
        assert_eq!(react(Wake::Due).await, 1);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(react(Wake::Due).await, 2);
        assert_eq!(react(Wake::Due).await, 2);
    }
}
