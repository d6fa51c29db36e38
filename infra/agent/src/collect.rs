//! Bringing home what the process left: one archive, put where it may go.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use shared::{
    agent::{ArchiveInfo, HOME, Layout, Plan, UNASKED_BYTES, UploadRequest},
    archive::{Facts, Gathering, Oddity, Packed, Packing, STDERR, STDOUT, Threads},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    aside::{Aside, aside, finished},
    body::Outgoing,
    objects, outputs,
    process::Ran,
    program::plain,
    service::{Put, Service},
    settings::Settings,
    streams::Spool,
    tries::{Failed, Last, Tries},
};

/// An archive up to this size is made in memory, at once, and put where the
/// plan says.
const SMALL: u64 = UNASKED_BYTES;

/// How many pieces of a larger one may wait to be sent.
const WAITING: usize = 4;

/// What was brought home.
#[derive(Debug, Default)]
pub struct Collected {
    /// The stored archive, if it could be stored.
    pub archive: Option<ArchiveInfo>,
    /// How many bytes became objects as well.
    pub object_bytes: u64,
    /// What was not brought home, in one line for people.
    pub trouble: Option<String>,
}

/// Collects and stores the archive, then what becomes objects.
pub async fn collect(service: &Service, plan: &Plan, settings: &Settings, ran: &Ran) -> Collected {
    let until = Instant::now() + Duration::from_secs(plan.collect_seconds.into());
    let last = Last::default();
    let too_late = || {
        let seconds = plan.collect_seconds;
        let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = last.map_or_else(String::new, |why: String| format!("; the last try: {why}"));
        format!("the outputs could not be stored within {seconds} s{why}")
    };
    let archive = timeout_at(until, async {
        let archive = pack(plan, settings, ran).await?;
        store(service, plan, archive, ran, &last).await
    });
    let archive = archive.await.unwrap_or_else(|_| Err(too_late()));
    let put = timeout_at(until, objects::put_all(service, plan, settings, ran, &last));
    let put = put.await.unwrap_or_else(|_| Err(too_late()));
    let (stored, put) = (archive.as_ref().err(), put.as_ref());
    Collected {
        trouble: stored.or(put.err()).cloned(),
        object_bytes: put.copied().unwrap_or(0),
        archive: archive.ok(),
    }
}

/// An archive that can be sent, as often as it takes.
enum Archive {
    Small { bytes: Bytes, info: ArchiveInfo },
    Large(Arc<Packing>),
}

impl Archive {
    fn length(&self) -> u64 {
        match self {
            Archive::Small { bytes, .. } => bytes.len() as u64,
            Archive::Large(packing) => packing.length(),
        }
    }
}

/// Looks at all there is to keep, and reads it if it is little.
async fn pack(plan: &Plan, settings: &Settings, ran: &Ran) -> Result<Archive, String> {
    let facts = Facts {
        attempt: settings.attempt.clone(),
        image: plan.image.clone(),
        exit: Some(ran.exit),
        started_at: Some(ran.started_at),
        ended_at: Some(ran.ended_at),
    };
    let (spools, wanted) = (ran.spools.clone(), plan.outputs.clone());
    let scratch = settings.scratch.clone();
    let layout = plan.layout;
    let work = move || pack_here(&spools, &wanted, scratch, facts, layout);
    let packed = if plan.outputs.is_empty() {
        work()
    } else {
        // The user's files may be many, and on a disk that hangs.
        finished(aside(work)).await
    };
    packed.map_err(|error| format!("the outputs cannot be read: {}", plain(&error)))
}

fn pack_here(
    spools: &[Arc<Spool>; 2],
    wanted: &[String],
    scratch: PathBuf,
    facts: Facts,
    layout: Layout,
) -> io::Result<Archive> {
    let foreign = vec![PathBuf::from(HOME), scratch];
    let outputs = outputs::find(wanted, &foreign);
    let mut gathering = Gathering::new(foreign);
    for (name, spool) in [STDOUT, STDERR].into_iter().zip(spools) {
        gathering.stream(name, spool.file())?;
        if spool.lost() > 0 {
            gathering.note(name.as_ref(), Oddity::Lost);
        }
    }
    for output in &outputs.missing {
        gathering.note(output, Oddity::Missing);
    }
    gathering.outputs(outputs.paths);
    let packing = gathering.finish(facts, layout);
    if packing.length() > SMALL {
        return Ok(Archive::Large(Arc::new(packing)));
    }
    let mut bytes = Vec::new();
    let packed = packing.write(Threads::One, &mut |chunk| {
        bytes.extend_from_slice(chunk.as_ref());
        Ok(())
    })?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let mut info = info(&packing, Some(packed), String::new());
    info.sha256 = Some(HEXLOWER.encode(digest.as_ref()));
    Ok(Archive::Small { bytes: bytes.into(), info })
}

fn info(packing: &Packing, packed: Option<Packed>, etag: String) -> ArchiveInfo {
    ArchiveInfo {
        bytes: packing.length(),
        sha256: None,
        manifest_sha256: packed.map(|packed| packed.manifest_sha256).unwrap_or_default(),
        etag,
        members: packing.members(),
    }
}

/// How long a body may take to be let go of after its answer.
const SETTLING: Duration = Duration::from_secs(5);

/// Puts the archive where the plan says, or asks where it may go; from the
/// start again whenever that breaks off.
async fn store(
    service: &Service,
    plan: &Plan,
    archive: Archive,
    ran: &Ran,
    last: &Last,
) -> Result<ArchiveInfo, String> {
    let request = UploadRequest { bytes: archive.length(), exit: Some(ran.exit), object: None };
    let mut tries = Tries::new(String::new(), request.bytes, last);
    let mut packed = None;
    let is_small = matches!(archive, Archive::Small { .. });
    let mut planned = plan.upload.clone().filter(|_| is_small);
    loop {
        let grant = match planned.take() {
            Some(planned) => Ok(planned),
            None => service.upload(&request).await,
        };
        let put = match grant {
            Ok(grant) => match &archive {
                Archive::Small { bytes, info } => {
                    let put = service.put(&grant, Outgoing::Whole(bytes.clone())).await;
                    put.map(|put| (put, info.clone()))
                }
                Archive::Large(packing) => {
                    let (body, writer) = stream(Arc::clone(packing));
                    let put = service.put(&grant, body).await;
                    // What was sent, though its answer was lost, is what is there.
                    let written = timeout(SETTLING, finished(writer)).await;
                    packed = written.ok().and_then(Result::ok).or(packed);
                    put.map(|put| (put, info(packing, packed.clone(), String::new())))
                }
            }
            .map_err(Failed::Put),
            Err(error) => Err(Failed::Grant(error)),
        };
        match put {
            Ok((Put::Present, info)) => return Ok(info),
            Ok((Put::Stored(etag), info)) => return Ok(ArchiveInfo { etag, ..info }),
            Err(failed) => tries.again(failed).await?,
        }
    }
}

/// Starts to pack on a thread of its own.
fn stream(packing: Arc<Packing>) -> (Outgoing, Aside<Packed>) {
    let (sender, chunks) = mpsc::channel(WAITING);
    let left = packing.length();
    let writer = aside(move || {
        let packed = packing.write(Threads::Two, &mut |chunk| {
            let sent = sender.blocking_send(Ok(Bytes::from_owner(chunk)));
            sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
        });
        if packed.is_err() {
            // Nobody may be listening, which is then why.
            sender.blocking_send(Err(io::Error::other("packing broke off"))).ok();
        }
        packed
    });
    (Outgoing::Stream { chunks, left }, writer)
}
