//! What becomes objects of the user's: outputs and streams, one by one, once
//! the archive, which has all of it, is stored.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    vec::IntoIter,
};

use bytes::Bytes;
use shared::agent::{HOME, OBJECT_BYTES, Plan, UNASKED_BYTES, UploadRequest};
use tokio::sync::mpsc;

use crate::{
    aside::{aside, finished},
    body::Outgoing,
    pieces::{Find, Piece},
    process::Ran,
    program::plain,
    service::Service,
    settings::Settings,
    tries::{Failed, Last, Tries},
};

/// How much of a file is read at a time.
const CHUNK: usize = 256 * 1024;

/// How many pieces of a file may wait to be sent.
const WAITING: usize = 4;

/// Puts all that the plan wants as objects; how many bytes that was. Fails with
/// one line for people, at the first that cannot be put.
pub async fn put_all(
    service: &Service,
    plan: &Plan,
    settings: &Settings,
    ran: &Ran,
    last: &Last,
) -> Result<u64, String> {
    if plan.objects.is_empty() {
        return Ok(0);
    }
    let find = Find {
        objects: plan.objects.clone(),
        outputs: plan.outputs.clone(),
        foreign: vec![PathBuf::from(HOME), settings.scratch.clone()],
        spools: ran.spools.clone(),
        // Of a process that failed, it is no news that something is not there.
        all_must_be: ran.cause.is_none(),
    };
    // The files may be many, and on a disk that hangs.
    let found = finished(aside(move || Ok(find.all()))).await;
    let pieces = found.map_err(|error| plain(&error))??;
    let queue = Mutex::new(pieces.into_iter());
    let work = || work(service, &queue, last);
    // A few at once: what takes the time is waiting for answers.
    let (a, b, c, d) = tokio::try_join!(work(), work(), work(), work())?;
    Ok(a + b + c + d)
}

async fn work(
    service: &Service,
    queue: &Mutex<IntoIter<Piece>>,
    last: &Last,
) -> Result<u64, String> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut sent = 0;
    while let Some(piece) = next() {
        let put = put(service, &piece, last).await;
        sent += put.map_err(|why| format!("{}: {why}", piece.shown))?;
    }
    Ok(sent)
}

/// Asks where it may go and puts it there; from the start again whenever that
/// breaks off.
async fn put(service: &Service, piece: &Piece, last: &Last) -> Result<u64, String> {
    let mut tries = Tries::new(format!("{}: ", piece.shown), 0, last);
    loop {
        let (file, length) = piece.open().map_err(|error| plain(&error))?;
        if length > OBJECT_BYTES {
            return Err(format!("{length} bytes are too many for one object"));
        }
        tries.measured(length);
        let object = Some(piece.object.clone());
        let request = UploadRequest { bytes: length, exit: None, object };
        let failed = match service.upload(&request).await {
            Ok(grant) => match service.put(&grant, body(file, length)).await {
                Ok(_) => return Ok(length),
                Err(error) => Failed::Put(error),
            },
            Err(error) => Failed::Grant(error),
        };
        tries.again(failed).await?;
    }
}

/// The file's first bytes, as many as were granted. A file that turns out to be
/// shorter breaks the request off.
fn body(file: Arc<File>, length: u64) -> Outgoing {
    if length <= UNASKED_BYTES {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if file.read_exact_at(&mut bytes, 0).is_ok() {
            return Outgoing::Whole(bytes.into());
        }
    }
    let (sender, chunks) = mpsc::channel(WAITING);
    let reader = aside(move || {
        let mut at = 0;
        while at < length {
            let room = usize::try_from(length - at).map_or(CHUNK, |left| left.min(CHUNK));
            let mut bytes = vec![0; room];
            file.read_exact_at(&mut bytes, at)?;
            at += room as u64;
            if sender.blocking_send(Ok(Bytes::from(bytes))).is_err() {
                break;
            }
        }
        Ok(())
    });
    // Without a thread nothing comes, which breaks the request off as well.
    drop(reader);
    Outgoing::Stream { chunks, left: length }
}
