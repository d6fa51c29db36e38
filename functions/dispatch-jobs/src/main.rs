//! The `dispatch-jobs` Lambda.

use dispatch_jobs::DispatchJobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::react(DispatchJobs).await
}
