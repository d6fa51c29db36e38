//! The `create-upload` Lambda.

use create_upload::CreateUpload;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(CreateUpload).await
}
