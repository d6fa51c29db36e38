//! The `get-output` Lambda.

use get_output::GetOutput;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(GetOutput).await
}
