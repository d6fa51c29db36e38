//! The `get-template` Lambda.

use get_template::GetTemplate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(GetTemplate).await
}
