//! The `get-object` Lambda.

use get_object::GetObject;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(GetObject).await
}
