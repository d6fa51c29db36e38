//! The `dialect-alibaba-ehpc` Lambda.

use dialect_alibaba_ehpc::AlibabaEhpc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_dialect(AlibabaEhpc).await
}
