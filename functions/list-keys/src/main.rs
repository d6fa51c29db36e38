//! The `list-keys` Lambda.

use list_keys::ListKeys;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListKeys).await
}
