//! The `observe-attempt` Lambda.

use observe_attempt::ObserveAttempt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::react(ObserveAttempt).await
}
