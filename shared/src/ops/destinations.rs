//! Where outputs and streams go as objects of the user's, beside the archive.
//!
//! The agent asks for each, and is believed no further than the task's spec
//! goes: what is not to be kept there is not signed for, nor is anything for an
//! attempt that no longer counts.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{attempts::load_spec, chunks, rows, triggers};
use crate::{
    agent::{Kept, MOST_OBJECTS, OBJECT_BYTES, ObjectUpload, PlanObject, Stream, Upload},
    job::{AttemptId, AttemptKey, Destination, TaskSpec},
    platform::{Expect, Grant, GrantMethod, ObjectKey, Op, SignedUrl, TableError},
    service::Service,
    wire::{Problem, submit::check_object_key},
};

/// How long a URL is good. It is used at once; for no longer than this can an
/// attempt that is replaced meanwhile write over what its successor brings.
const GRANT_MINUTES: i64 = 15;

/// How often an attempt may ask where a file of a folder goes: for each object
/// that it may have, and for each once more, as an answer may be lost.
const MOST_GRANTS: usize = 2 * MOST_OBJECTS;

/// How often a counter that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// How often an attempt was told where a file of a folder goes.
#[derive(Serialize, Deserialize)]
struct Granted {
    v: u8,
    count: usize,
}

/// What of the task becomes objects.
pub(super) fn planned(task: &TaskSpec) -> Vec<PlanObject> {
    let outputs = (0..).zip(&task.outputs).map(|(place, output)| (Kept::Output(place), &output.to));
    let streams = [
        (Kept::Stream(Stream::Stdout), &task.stdout_to),
        (Kept::Stream(Stream::Stderr), &task.stderr_to),
    ];
    let all = outputs.chain(streams);
    all.filter_map(|(of, to)| Some(PlanObject { of, many: to.as_ref()?.takes_many() })).collect()
}

/// Where this output, or this stream, may be put. What is there is replaced:
/// an attempt that asks again brings the same, and a later one brings better.
pub(super) async fn grant(
    service: &Service,
    attempt: AttemptKey,
    asked: &ObjectUpload,
    bytes: u64,
) -> Result<Upload, Problem> {
    let id = attempt.attempt;
    let held = chunks::held(service, attempt).await?.filter(|held| held.is_live(id));
    let Some(held) = held else {
        return Err(Problem::conflict("superseded", "the attempt no longer counts"));
    };
    let spec = load_spec(service, &held.job).await?;
    let task = spec.tasks.get(id.task as usize);
    let to = task.and_then(|task| destination(task, asked.of)).ok_or_else(|| {
        Problem::invalid("object.of", "the task's spec does not make an object of it")
    })?;
    if bytes > OBJECT_BYTES {
        return Err(Problem::TooLarge { what: "the object", limit: OBJECT_BYTES });
    }
    let key = key(to, id, asked.path.as_deref())?;
    // Of others the spec says how many there are.
    if to.takes_many() {
        count(service, id).await?;
    }
    triggers::note_written(service, &held.job, (&to.bucket, &key), bytes).await?;
    let grant = Grant {
        method: GrantMethod::Put { if_absent: false, length: Some(bytes) },
        key: ObjectKey::user(attempt.project, &to.bucket, &key),
        expires_at: expiry(service),
    };
    let SignedUrl { url, headers } = service.platform.objects.sign(&grant).await?;
    Ok(Upload { url, headers })
}

/// Counts one more, unless there have been too many. The agent stops by itself,
/// but its token may be in other hands.
async fn count(service: &Service, id: AttemptId) -> Result<(), Problem> {
    let (table, key) = (&service.platform.table, rows::granted(id));
    for _ in 0..TRIES {
        let row = table.get(&key).await?;
        let before: Option<Granted> = row.as_ref().map(rows::read).transpose()?;
        let count = before.map_or(0, |granted| granted.count) + 1;
        if count > MOST_GRANTS {
            let detail = format!("an attempt makes at most {MOST_OBJECTS} objects");
            return Err(Problem::conflict("too_many_objects", detail));
        }
        let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
        let wanted = rows::plain(&Granted { v: 1, count });
        match table.commit(vec![Op::Put(key.clone(), expect, wanted)]).await {
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            counted => return Ok(counted?),
        }
    }
    Err(Problem::Unavailable(format!("{id} asks for too much at once").into()))
}

fn destination(task: &TaskSpec, of: Kept) -> Option<&Destination> {
    match of {
        Kept::Output(place) => task.outputs.get(place as usize)?.to.as_ref(),
        Kept::Stream(Stream::Stdout) => task.stdout_to.as_ref(),
        Kept::Stream(Stream::Stderr) => task.stderr_to.as_ref(),
    }
}

/// The object's key, of the file of this path where there are many.
fn key(to: &Destination, attempt: AttemptId, path: Option<&str>) -> Result<String, Problem> {
    let field = "object.path";
    let path = match path {
        Some(path) if to.takes_many() => path,
        None if !to.takes_many() => "",
        Some(_) => return Err(Problem::invalid(field, "there is but one object")),
        None => return Err(Problem::invalid(field, "there is an object for each file: name one")),
    };
    if to.takes_many() && path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Problem::invalid(field, "it is not the path of a file in a folder"));
    }
    let key = to.key_of(attempt, path);
    check_object_key(field, &key)?;
    Ok(key)
}

fn expiry(service: &Service) -> Timestamp {
    let now = service.platform.clock.now();
    now.checked_add(SignedDuration::from_mins(GRANT_MINUTES)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;

    fn to(key: &str) -> Destination {
        Destination { bucket: "b".parse().unwrap(), key: key.to_owned() }
    }

    fn of(instance: u32) -> AttemptId {
        AttemptId { job: JobId::from_bits(0xab), run: 1, task: 0, instance, number: 1 }
    }

    fn refused(to: &Destination, path: Option<&str>) -> bool {
        matches!(key(to, of(0), path), Err(Problem::Invalid { field, .. }) if field == "object.path")
    }

    #[test]
    fn a_key_has_the_job_the_instance_and_the_files_path_in_it() {
        assert_eq!(key(&to("run/{instance}.csv"), of(7), None).unwrap(), "run/7.csv");
        let job = format!("job-{:032x}/out", 0xab);
        assert_eq!(key(&to("{job}/out"), of(0), None).unwrap(), job);
        let each = to("{instance}/of/{instance}/");
        assert_eq!(key(&each, of(12), Some("a/{instance}")).unwrap(), "12/of/12/a/{instance}");
        assert_eq!(key(&to(""), of(0), Some("a")).unwrap(), "a");
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let many = to("in/");
        for path in ["", "/a", "a/", "a//b", ".", "../a", "a/../../b", "a\nb"] {
            assert!(refused(&many, Some(path)), "{path:?}");
        }
        assert!(refused(&many, Some(&"x".repeat(898))));
        assert!(refused(&many, None));
        assert!(refused(&to("one"), Some("a")));
    }
}
