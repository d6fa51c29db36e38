//! The `put-template` Lambda.

use put_template::PutTemplate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(PutTemplate).await
}
