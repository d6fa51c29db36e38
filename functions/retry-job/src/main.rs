//! The `retry-job` Lambda.

use retry_job::RetryJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(RetryJob).await
}
