//! The `create-key` Lambda.

use create_key::CreateKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(CreateKey).await
}
