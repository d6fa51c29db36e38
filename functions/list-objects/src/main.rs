//! The `list-objects` Lambda.

use list_objects::ListObjects;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(ListObjects).await
}
