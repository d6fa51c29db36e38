//! The `issue-token` Lambda.

use issue_token::IssueToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(IssueToken).await
}
