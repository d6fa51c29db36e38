//! The `get-trigger` Lambda.

use get_trigger::GetTrigger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(GetTrigger).await
}
