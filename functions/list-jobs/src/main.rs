//! The `list-jobs` Lambda.

use list_jobs::ListJobs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListJobs).await
}
