//! The `list-queues` Lambda.

use list_queues::ListQueues;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListQueues).await
}
