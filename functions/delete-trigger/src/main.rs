//! The `delete-trigger` Lambda.

use delete_trigger::DeleteTrigger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DeleteTrigger).await
}
