//! The `delete-image` Lambda.

use delete_image::DeleteImage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DeleteImage).await
}
