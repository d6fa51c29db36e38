//! The `submit-job` Lambda.

use submit_job::SubmitJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(SubmitJob).await
}
