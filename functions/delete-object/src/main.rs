//! The `delete-object` Lambda.

use delete_object::DeleteObject;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(DeleteObject).await
}
