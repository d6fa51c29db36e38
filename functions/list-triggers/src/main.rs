//! The `list-triggers` Lambda.

use list_triggers::ListTriggers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListTriggers).await
}
