//! What a job on a picture reports of it: its image leaves that in the archive.

use serde::Deserialize;
use shared::{
    job::{Ending, Job, JobSpec},
    ops::output::{self, Selector},
    platform::collect,
    service::Service,
    wire::Problem,
};

use crate::{order::Order, tree::Fields, words::PIC_PROCESS};

/// Where in the archive it is.
const INFO: &str = "/out/info.json";

/// How many reads come to it in an archive that our own image has left: those
/// of the two streams, the picture, and itself.
const READS: u32 = 8;

/// The most bytes that are believed to be it.
const MOST_BYTES: u64 = 64 << 10;

/// What the image writes.
#[derive(Debug, Deserialize)]
struct Info {
    original: Original,
    result: Outcome,
}

#[derive(Debug, Deserialize)]
struct Original {
    format: String,
    width: u64,
    height: u64,
    md5: String,
    quality: Option<u64>,
    orientation: u64,
    average_color: String,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    format: String,
    width: u64,
    height: u64,
    size_bytes: u64,
    md5: String,
    quality: Option<u64>,
}

/// What became of the picture; `None` of a job that was not on one, or has not
/// succeeded, or whose archive is gone.
pub async fn result(
    service: &Service,
    job: &Job,
    spec: &JobSpec,
    order: Option<&Order>,
) -> Result<Option<Fields>, Problem> {
    let reports = |task: &shared::job::TaskSpec| task.outputs.iter().any(|o| o.path == INFO);
    let is_picture = job.name.as_deref() == Some(PIC_PROCESS)
        && job.only_instance().is_some()
        && matches!(&spec.tasks[..], [task] if reports(task));
    if !is_picture || !matches!(job.ending(), Some((Ending::Succeeded, _))) {
        return Ok(None);
    }
    let Some(info) = info(service, job).await? else { return Ok(None) };
    let object = order.and_then(|order| order.operation.fields("Output")?.text("Object"));
    Ok(Some(told(info, object.unwrap_or_default())))
}

async fn info(service: &Service, job: &Job) -> Result<Option<Info>, Problem> {
    let selected = output::select(service, job, &Selector::default()).await?;
    let Some(archive) = output::stored(service, job.key(), selected.attempt).await? else {
        return Ok(None);
    };
    let found = match output::member_within(service, &archive, INFO, READS).await {
        // Whoever wrote the archive has written none, or nonsense.
        Err(Problem::NotFound { .. } | Problem::Conflict { .. }) => return Ok(None),
        found => found?,
    };
    let size = found.size();
    if size > MOST_BYTES {
        return Ok(None);
    }
    let body = found.read(service, 0..size).await?;
    let bytes = collect(body.into_stream()).await;
    let bytes = bytes.map_err(|error| Problem::Unavailable(error.into()))?;
    Ok(serde_json::from_slice(&bytes).ok())
}

fn told(info: Info, object: &str) -> Fields {
    let Info { original, result } = info;
    let image = Fields::new()
        .with("Format", original.format)
        .with("Width", original.width)
        .with("Height", original.height)
        .with("Quality", original.quality.unwrap_or_default())
        .with("Ave", original.average_color)
        .with("Orientation", original.orientation);
    let outcome = Fields::new()
        .with("Format", result.format)
        .with("Width", result.width)
        .with("Height", result.height)
        .with("Size", result.size_bytes)
        .with("Quality", result.quality.unwrap_or_default())
        .with("Etag", result.md5);
    Fields::new()
        .with("ObjectName", object)
        .with("OriginalInfo", Fields::new().with("Etag", original.md5).with("ImageInfo", image))
        .with("ProcessResult", outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_image_reports_is_told_in_this_apis_words() {
        let info = r#"{
            "original": {"format": "JPEG", "width": 300, "height": 451, "size_bytes": 9,
                "md5": "aa", "quality": 90, "orientation": 6, "average_color": "0x102030"},
            "result": {"format": "PNG", "width": 451, "height": 300, "size_bytes": 7,
                "md5": "bb", "quality": null}}"#;
        assert_eq!(
            told(serde_json::from_str(info).unwrap(), "out.png").xml("R"),
            "<R><ObjectName>out.png</ObjectName><OriginalInfo><Etag>aa</Etag><ImageInfo>\
             <Format>JPEG</Format><Width>300</Width><Height>451</Height><Quality>90</Quality>\
             <Ave>0x102030</Ave><Orientation>6</Orientation></ImageInfo></OriginalInfo>\
             <ProcessResult><Format>PNG</Format><Width>451</Width><Height>300</Height>\
             <Size>7</Size><Quality>0</Quality><Etag>bb</Etag></ProcessResult></R>"
        );
    }
}
