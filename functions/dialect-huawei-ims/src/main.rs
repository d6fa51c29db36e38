//! The `dialect-huawei-ims` Lambda.

use dialect_huawei_ims::HuaweiIms;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_dialect(HuaweiIms).await
}
