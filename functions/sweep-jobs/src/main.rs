//! The `sweep-jobs` Lambda.

use sweep_jobs::SweepJobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::react(SweepJobs).await
}
