//! The `post-event` Lambda.

use post_event::PostEvent;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), shared::lambda::Error> {
    shared::lambda::serve_with_objects(PostEvent).await
}
