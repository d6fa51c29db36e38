//! The `list-images` Lambda.

use list_images::ListImages;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListImages).await
}
