//! The `delete-job` Lambda.

use delete_job::DeleteJob;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DeleteJob).await
}
