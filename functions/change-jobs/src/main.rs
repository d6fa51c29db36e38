//! The `change-jobs` Lambda.

use change_jobs::ChangeJobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ChangeJobs).await
}
