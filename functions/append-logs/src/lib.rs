//! `POST /v1/attempts/{attempt}/logs`: take what a running process has
//! written. Sent again, it changes nothing.

use shared::{
    agent::LogBatch,
    auth,
    function::{Action, Route},
    ops::logs,
    service::Service,
    wire::{Problem, Reply, Request},
};

/// The action.
pub struct AppendLogs;

/// The most bytes of a batch: its pieces in base 64, and what is around them.
const BATCH_BYTES: u64 = 6 << 20;

impl Action for AppendLogs {
    const NAME: &'static str = "append-logs";
    const ROUTE: Route = Route::post("/v1/attempts/{attempt}/logs");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let attempt = auth::attempt_of(service, &request)?;
        let batch: LogBatch = request.json("the batch", BATCH_BYTES).await?;
        logs::append(service, attempt, batch).await?;
        Ok(Reply::no_content())
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        agent::Stream,
        conformance::memory::{Answer, World},
        job::AttemptKey,
        ops::logs::Follower,
        service::Service,
    };

    use super::AppendLogs;

    async fn started(world: &World) -> AttemptKey {
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.start(job).await.0
    }

    async fn send(world: &World, attempt: AttemptKey, pieces: &str) -> Answer {
        let path = format!("/v1/attempts/{}/logs", attempt.attempt);
        let token = world.bearer(attempt);
        let json = format!(r#"{{"pieces": [{pieces}]}}"#);
        world.ask(&path).header("authorization", &token).json(json).of(AppendLogs).await
    }

    async fn kept(service: &Service, attempt: AttemptKey) -> Vec<(Stream, u64, String)> {
        let found = Follower::new(attempt).read(service).await.expect("it can be read");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found.pieces.iter().map(|p| (p.stream, p.offset, text(&p.bytes))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_again_is_kept_once() {
        let world = World::new().await;
        let attempt = started(&world).await;
        let one = r#"{"stream": "stdout", "offset": 0, "data": "b25l"}"#;
        let two = r#"{"stream": "stderr", "offset": 0, "data": "dHdv"}"#;
        let three = r#"{"stream": "stdout", "offset": 2, "data": "ZXR3bw=="}"#;
        for pieces in [one, &format!("{one},{two}"), &format!("{two},{three}"), three, ""] {
            let _ = send(&world, attempt, pieces).await.expect(204);
        }
        assert_eq!(
            kept(&world.service, attempt).await,
            [
                (Stream::Stdout, 0, "one".into()),
                (Stream::Stderr, 0, "two".into()),
                (Stream::Stdout, 3, "two".into()),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_kept_than_allowed() {
        let mut world = World::new().await;
        world.service.limits.log_bytes = 5;
        let attempt = started(&world).await;
        let one = r#"{"stream": "stdout", "offset": 0, "data": "b25l"}"#;
        let two = r#"{"stream": "stdout", "offset": 3, "data": "dHdv"}"#;
        let three = r#"{"stream": "stdout", "offset": 6, "data": "eA=="}"#;
        for pieces in [one, two, two, three] {
            let _ = send(&world, attempt, pieces).await.expect(204);
        }
        assert_eq!(kept(&world.service, attempt).await, [(Stream::Stdout, 0, "one".into())]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_makes_no_sense_is_refused() {
        let world = World::new().await;
        let attempt = started(&world).await;
        let piece = |offset: &str, data: &str| {
            format!(r#"{{"stream": "stdout", "offset": {offset}, "data": "{data}"}}"#)
        };
        let large = "AAAA".repeat(22_000);
        for (pieces, field) in [
            (piece("0", "%%%"), "pieces[0].data"),
            (piece("0", &large), "pieces[0].data"),
            (piece("18446744073709551615", "AAAA"), "pieces[0].offset"),
            (piece("-1", "AAAA"), "pieces[0].offset"),
            (vec![piece("0", "AAAA"); 65].join(","), "pieces"),
        ] {
            send(&world, attempt, &pieces).await.refused(400, "invalid_field", field);
        }
        assert_eq!(kept(&world.service, attempt).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_added_to_an_attempt_that_has_ended() {
        let world = World::new().await;
        let attempt = started(&world).await;
        world.finish(attempt, 0, &[("Stdout", "")]).await;
        let piece = r#"{"stream": "stdout", "offset": 0, "data": "b25l"}"#;
        send(&world, attempt, piece).await.refused(409, "superseded", "");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_attempts_own_agent_may() {
        let world = World::new().await;
        let attempt = started(&world).await;
        let path = format!("/v1/attempts/{}/logs", attempt.attempt);
        let answer = world.ask(&path).json(r#"{"pieces": []}"#).of(AppendLogs).await;
        answer.refused(401, "unauthenticated", "");
    }
}
