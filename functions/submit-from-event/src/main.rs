//! The `submit-from-event` Lambda.

use submit_from_event::SubmitFromEvent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::react(SubmitFromEvent).await
}
