//! Sees to the news of users' objects: each is an event for triggers.
//!
//! The store keeps a piece of news until it is dropped here, after its jobs are
//! made. Who dies between the two makes them again, and finds them made.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use shared::{function::Reaction, platform::ObjectsError, service::Service};
use submit_from_event::SubmitFromEvent;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::objects::{FileObjects, NewsId};

/// News seen to side by side.
const AT_ONCE: usize = 16;

/// News read at once.
const PAGE: usize = 256;

/// How long what failed is left alone.
const PAUSE: Duration = Duration::from_secs(15);

/// Sees to news until told to stop.
pub(super) async fn run(service: Service, objects: Arc<FileObjects>, stop: CancellationToken) {
    loop {
        // Those of an earlier server first.
        let all_done = match round(&service, &objects).await {
            Ok(all_done) => all_done,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "news of objects were not read");
                false
            }
        };
        let pause = async {
            if all_done {
                objects.news_come().await;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        };
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Sees to all the news that there are. Tells whether none failed; what did is
/// there still, and keeps no other waiting.
async fn round(service: &Service, objects: &FileObjects) -> Result<bool, ObjectsError> {
    let (mut after, mut all_done): (Option<NewsId>, bool) = (None, true);
    loop {
        let page = objects.news(after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all_done) };
        after = Some(*last);
        let looks = page.into_iter().map(|(id, created)| async move {
            let key = created.key.clone();
            match SubmitFromEvent.react(service, created).await {
                Ok(()) => Some(id),
                Err(problem) => {
                    warn!(object.key = key, error = %problem, "an object's triggers did not all fire");
                    None
                }
            }
        });
        let seen: Vec<Option<NewsId>> =
            stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        all_done &= seen.iter().all(Option::is_some);
        objects.forget_news(seen.into_iter().flatten().collect()).await?;
    }
}
