//! The `append-logs` Lambda.

use append_logs::AppendLogs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(AppendLogs).await
}
