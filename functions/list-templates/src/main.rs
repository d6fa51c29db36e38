//! The `list-templates` Lambda.

use list_templates::ListTemplates;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve(ListTemplates).await
}
