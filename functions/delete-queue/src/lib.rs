//! `DELETE /v1/queues/{queue}`: remove a queue in which nothing waits or runs.

use shared::{
    auth,
    function::{Action, Route},
    job::Name,
    ops::{queues, rows::QueueKey},
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteQueue;

impl Action for DeleteQueue {
    const NAME: &'static str = "delete-queue";
    const ROUTE: Route = Route::delete("/v1/queues/{queue}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name: Name = request.parameter("queue")?;
        queues::delete(service, &QueueKey { project: who.project, name }).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Delete a queue")
            .text(
                "One that has jobs which are not over is refused: cancel them, or wait. The \
                 queue `default` stays.",
            )
            .bytes(204, "", "The queue is no more.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        ops::{
            queues::{self, QueueChange},
            rows::QueueKey,
        },
    };

    use super::DeleteQueue;

    async fn made(world: &World) -> QueueKey {
        let key = QueueKey { project: world.project, name: "q".parse().expect("a name") };
        let change = QueueChange::default();
        queues::put(&world.service, &key, change).await.expect("it is made");
        key
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_queue_is_removed_and_can_be_made_again() {
        let world = World::new().await;
        let before = world.memory.table.rows();
        made(&world).await;
        let delete = || world.ask("/v1/queues/q").of(DeleteQueue);
        let _ = delete().await.expect(204);
        assert_eq!(world.memory.table.rows(), before);
        delete().await.refused(404, "not_found", "");
        made(&world).await;
        let _ = delete().await.expect(204);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_kept_while_any_of_its_jobs_is_not_over() {
        let world = World::new().await;
        made(&world).await;
        let delete = || world.ask("/v1/queues/q").of(DeleteQueue);
        // Its image is not known yet, so that it is not in line.
        let job = world.submit(r#"{"image": "a", "queue": "q"}"#).await.id;
        delete().await.refused(409, "queue_in_use", "");
        let (attempt, _) = world.start(job).await;
        delete().await.refused(409, "queue_in_use", "");
        world.finish(attempt, 0, &[]).await;
        let _ = delete().await.expect(204);
        assert_eq!(world.job(job).await.queue.as_str(), "q", "what is over is still there");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_removed_is_refused() {
        let world = World::new().await;
        let delete = |name: &str| world.ask(&format!("/v1/queues/{name}"));
        delete("default").of(DeleteQueue).await.refused(409, "default_queue", "");
        delete("a b").of(DeleteQueue).await.refused(404, "not_found", "");
        made(&world.neighbour().await).await;
        delete("q").of(DeleteQueue).await.refused(404, "not_found", "");
        delete("q").nameless().of(DeleteQueue).await.refused(401, "unauthenticated", "");
    }
}
