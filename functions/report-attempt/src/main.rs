//! The `report-attempt` Lambda.

use report_attempt::ReportAttempt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(ReportAttempt).await
}
