//! The `try-job` Lambda.

use try_job::TryJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_runtime(TryJob).await
}
