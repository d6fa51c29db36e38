//! The `get-job` Lambda.

use get_job::GetJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(GetJob).await
}
