//! The `list-attempts` Lambda.

use list_attempts::ListAttempts;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListAttempts).await
}
