//! The `dialect-ucloud-ugc` Lambda.

use dialect_ucloud_ugc::UcloudUgc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_dialect(UcloudUgc).await
}
