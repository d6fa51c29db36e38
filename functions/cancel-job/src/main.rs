//! The `cancel-job` Lambda.

use cancel_job::CancelJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(CancelJob).await
}
