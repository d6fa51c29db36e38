//! The `redeliver-callback` Lambda.

use redeliver_callback::RedeliverCallback;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(RedeliverCallback).await
}
