//! The `read-plan` Lambda.

use read_plan::ReadPlan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(ReadPlan).await
}
