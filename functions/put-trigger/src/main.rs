//! The `put-trigger` Lambda.

use put_trigger::PutTrigger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(PutTrigger).await
}
