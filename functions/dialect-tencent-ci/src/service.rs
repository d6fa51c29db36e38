//! A service of a bucket, as a whole: it is on as long as it has its queue.

use shared::ops::queues::{self, Queue};

use crate::{
    asker::Asker,
    faults::Fault,
    query::{Page, parameter},
    tree::Fields,
    words::{self, Kind},
};

/// Has the service on from now on.
pub async fn open(asker: &Asker<'_>, kind: Kind) -> Result<Fields, Fault> {
    let queue = asker.made(&asker.queue_key(kind)?).await?;
    Ok(asker.answer().with(kind.bucket(), view(asker, asker.place.bucket.as_str(), &queue)))
}

/// Has it off, unless it has something to do. Whoever asks for its queue, or
/// for a job, has it on again.
pub async fn close(asker: &Asker<'_>, kind: Kind) -> Result<Fields, Fault> {
    let key = asker.queue_key(kind)?;
    queues::delete(asker.service, &key).await?;
    Ok(asker.answer().with("BucketName", asker.place.bucket.as_str()))
}

/// The buckets that have it on.
pub async fn show(
    asker: &Asker<'_>,
    kind: Kind,
    query: &[(String, String)],
) -> Result<Fields, Fault> {
    let page = Page::of(query)?;
    let list = |name| parameter(query, name).map(|names| names.split(',').collect::<Vec<_>>());
    let names = list("bucketNames");
    // All are in the one that is asked.
    let region = asker.place.region.as_deref();
    let asks_here = list("regions").is_none_or(|regions| {
        regions.contains(&"All") || region.is_none_or(|region| regions.contains(&region))
    });
    let start = parameter(query, "bucketName").unwrap_or_default();
    let all = queues::list(asker.service, asker.project).await?;
    let suffix = format!(".{}", kind.word());
    let on =
        all.iter().filter_map(|queue| Some((queue.name.as_str().strip_suffix(&suffix)?, queue)));
    let on = on.filter(|(bucket, _)| {
        asks_here
            && bucket.starts_with(start)
            && names.as_ref().is_none_or(|names| names.contains(bucket))
    });
    let on: Vec<_> = on.collect();
    let total = on.len();
    let shown: Vec<Fields> =
        page.on(on).map(|(bucket, queue)| view(asker, bucket, queue)).collect();
    Ok(page.said(asker.answer(), total).with(&format!("{}List", kind.bucket()), shown))
}

fn view(asker: &Asker<'_>, bucket: &str, queue: &Queue) -> Fields {
    Fields::new()
        .with("BucketId", bucket)
        .with("Name", bucket)
        .with("Region", asker.place.region.as_deref().unwrap_or_default())
        .with("CreateTime", words::time(queue.created_at))
}
