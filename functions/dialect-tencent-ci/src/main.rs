//! The `dialect-tencent-ci` Lambda.

use dialect_tencent_ci::TencentCi;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_dialect(TencentCi).await
}
