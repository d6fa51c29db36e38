//! The `list-callbacks` Lambda.

use list_callbacks::ListCallbacks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListCallbacks).await
}
