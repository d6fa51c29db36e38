//! The `disable-key` Lambda.

use disable_key::DisableKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DisableKey).await
}
