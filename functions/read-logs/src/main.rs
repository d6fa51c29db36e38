//! The `read-logs` Lambda.

use read_logs::ReadLogs;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(ReadLogs).await
}
