//! The `grant-upload` Lambda.

use grant_upload::GrantUpload;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(GrantUpload).await
}
