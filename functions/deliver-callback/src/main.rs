//! The `deliver-callback` Lambda.

use deliver_callback::DeliverCallback;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::tell(DeliverCallback).await
}
