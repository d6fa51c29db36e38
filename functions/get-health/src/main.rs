//! The `get-health` Lambda.

use get_health::GetHealth;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_open(GetHealth).await
}
