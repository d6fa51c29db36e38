//! What a sweep takes.

use futures::future::join_all;
use tests::until;
use tests_lambda::{Installation, Setup};

const JOBS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_runs_is_looked_at_in_one_go() {
    const LOOK: &str = "DescribeTasks";
    let installation = Installation::start(Setup::default()).await;
    let submit = |_| installation.submit(installation.probe("say hi then sleep 8"));
    let jobs = join_all((0..JOBS).map(submit)).await;
    for job in &jobs {
        let logs = format!("/v1/jobs/{job}/logs");
        until("it runs", async || {
            let answer = installation.client.get(&logs).await;
            (answer.status == 200 && answer.text() == "hi\n").then_some(())
        })
        .await;
    }
    let before = installation.ecs.calls(LOOK);
    installation.sweep().await;
    // Once for whose they are, and once for how they are.
    assert_eq!(installation.ecs.calls(LOOK) - before, 2);
    for job in &jobs {
        let view = installation.finish(job).await;
        assert_eq!(view["state"], "succeeded", "{view:#}\n{}", installation.log());
    }
}
