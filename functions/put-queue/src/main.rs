//! The `put-queue` Lambda.

use put_queue::PutQueue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(PutQueue).await
}
