//! The `put-image` Lambda.

use put_image::PutImage;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(PutImage).await
}
