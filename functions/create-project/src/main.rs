//! The `create-project` Lambda.

use create_project::CreateProject;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(CreateProject).await
}
