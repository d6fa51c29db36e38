//! The `dialect-tencent-batch` Lambda.

use dialect_tencent_batch::TencentBatch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::aws::host::serve_dialect(TencentBatch).await
}
