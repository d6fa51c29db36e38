//! The `delete-queue` Lambda.

use delete_queue::DeleteQueue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DeleteQueue).await
}
