//! The `describe-api` Lambda.

use describe_api::DescribeApi;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_open(DescribeApi).await
}
