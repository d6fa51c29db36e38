//! The `delete-template` Lambda.

use delete_template::DeleteTemplate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(DeleteTemplate).await
}
