//! Bytes on their way to the server: short ones inline, long ones by an
//! upload of known length that can be repeated.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use data_encoding::BASE64;
use futures::TryStreamExt;
use indicatif::ProgressBar;
use reqwest::{Body, Method, header};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::sleep};
use tokio_util::io::ReaderStream;

use super::{
    client::{Client, Repeat},
    problem::Failure,
    progress::Transfer,
    screen::Screen,
    session::Session,
    views::Upload,
};

/// What is longer is uploaded.
pub const INLINE_BYTES: u64 = 64 << 10;

/// Bytes to be sent: all of them, or the file they are in.
#[derive(Debug)]
pub enum Payload {
    /// These.
    Short(Vec<u8>),
    /// A file from its start, so many bytes of it.
    Long(File, u64),
}

impl Payload {
    /// A file's bytes, as it is now.
    pub async fn open(path: &Path) -> Result<Self, Failure> {
        let path = path.to_owned();
        aside(move || Payload::open_now(&path)).await
    }

    fn open_now(path: &Path) -> Result<Self, Failure> {
        let cannot =
            |error: io::Error| Failure::file(format!("{} cannot be read", path.display()), error);
        let file = File::open(path).map_err(cannot)?;
        let about = file.metadata().map_err(cannot)?;
        if about.is_dir() {
            let what = format!("{} is a folder; pack it first, as with tar", path.display());
            return Err(Failure::Usage(what));
        }
        // Pipes and devices tell no length; they are read like a stream.
        if !about.is_file() {
            return Payload::read(file, cannot);
        }
        if about.len() > INLINE_BYTES {
            return Ok(Payload::Long(file, about.len()));
        }
        let mut bytes = Vec::new();
        file.take(INLINE_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
        Ok(Payload::Short(bytes))
    }

    /// The process's standard input.
    pub async fn stdin(screen: &Screen) -> Result<Self, Failure> {
        if io::IsTerminal::is_terminal(&io::stdin()) {
            screen.note("reading standard input, up to Ctrl-D");
        }
        aside(|| {
            let cannot = |error| Failure::file("standard input cannot be read", error);
            Payload::read(io::stdin().lock(), cannot)
        })
        .await
    }

    /// A stream's bytes. A long one is spooled to a file without a name, so
    /// that its length is known and it can be sent once more.
    fn read(mut from: impl Read, cannot: impl Fn(io::Error) -> Failure) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        from.by_ref().take(INLINE_BYTES + 1).read_to_end(&mut bytes).map_err(&cannot)?;
        if bytes.len() as u64 <= INLINE_BYTES {
            return Ok(Payload::Short(bytes));
        }
        let spool = |error| Failure::file("standard input cannot be spooled", error);
        let mut file = spool_file().map_err(spool)?;
        file.write_all(&bytes).map_err(spool)?;
        io::copy(&mut from, &mut file).map_err(cannot)?;
        let length = file.stream_position().map_err(spool)?;
        Ok(Payload::Long(file, length))
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        match self {
            Payload::Short(bytes) => bytes.len() as u64,
            Payload::Long(_, length) => *length,
        }
    }

    /// The bytes as a job's source: inline while `room` is left for that, or
    /// by an upload.
    pub async fn source(
        self,
        session: &Session,
        name: &str,
        room: &mut u64,
    ) -> Result<Value, Failure> {
        if let Payload::Short(bytes) = &self
            && let Some(left) = room.checked_sub(bytes.len() as u64)
        {
            *room = left;
            return Ok(json!({ "base64": BASE64.encode(bytes) }));
        }
        let asked = json!({ "bytes": self.length() });
        let made = send(session, name, self, asked).await?;
        let id = made.id.ok_or_else(|| Failure::Answer("no upload_id".into()))?;
        Ok(json!({ "upload": id }))
    }
}

/// Reads what may take for ever, such as a terminal or a pipe, on a thread of
/// its own: nobody waits for it when the user has had enough.
pub async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, outcome) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody to tell means that nobody waits any more.
        let _ = done.send(read());
    });
    outcome.await.unwrap_or_else(|_| Err(Failure::Usage("the reading was given up".into())))
}

/// Large spools go where disks are, not where memory is.
fn spool_file() -> io::Result<File> {
    tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile())
}

/// Makes a place to upload to, as `asked`, and puts the payload there.
pub async fn send(
    session: &Session,
    name: &str,
    payload: Payload,
    asked: Value,
) -> Result<Upload, Failure> {
    let client = &session.client;
    let request = client.request(Method::POST, &["v1", "uploads"])?.json(&asked);
    let made = client.json::<Upload>(request, Repeat::Safe).await?.value;
    let total = payload.length();
    let mut file = match payload {
        Payload::Long(file, _) => file,
        Payload::Short(bytes) => {
            let cannot = |error| Failure::file("a temporary file cannot be written", error);
            let mut file = spool_file().map_err(cannot)?;
            file.write_all(&bytes).map_err(cannot)?;
            file
        }
    };
    let transfer = Transfer::new(&session.screen, format!("uploading {name}"), Some(total));
    let mut tries = 1;
    loop {
        let cannot = |error| Failure::file(format!("{name} cannot be read"), error);
        file.seek(SeekFrom::Start(0)).map_err(cannot)?;
        let again = file.try_clone().map_err(cannot)?;
        match put(client, &made, again, total, transfer.counter()).await {
            Ok(()) => break,
            Err(failure) if failure.is_passing() && tries < client.backoff.tries => {
                tries += 1;
                sleep(client.backoff.before(tries)).await;
                transfer.restart();
            }
            Err(failure) => return Err(failure),
        }
    }
    transfer.finish();
    Ok(made)
}

async fn put(
    client: &Client,
    made: &Upload,
    file: File,
    total: u64,
    bar: ProgressBar,
) -> Result<(), Failure> {
    // A file that grows meanwhile is cut; one that shrinks breaks the request.
    let bytes = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), total);
    let counted = ReaderStream::with_capacity(bytes, 256 << 10)
        .inspect_ok(move |piece| bar.inc(piece.len() as u64));
    let mut request = client.put_signed(&made.url)?.header(header::CONTENT_LENGTH, total);
    for (name, value) in &made.headers {
        if !name.eq_ignore_ascii_case("content-length") {
            request = request.header(name, value);
        }
    }
    client.send(request.body(Body::wrap_stream(counted)), Repeat::Never, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Payload {
        Payload::read(bytes, |error| Failure::file("x", error)).unwrap()
    }

    #[test]
    fn short_streams_are_held_and_long_ones_are_spooled() {
        let most = usize::try_from(INLINE_BYTES).unwrap();
        assert!(matches!(read(&vec![7; most]), Payload::Short(bytes) if bytes.len() == most));
        let Payload::Long(mut file, length) = read(&vec![7; most + 1]) else { panic!() };
        assert_eq!(length, INLINE_BYTES + 1);
        let mut back = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut back).unwrap();
        assert_eq!(back, vec![7; most + 1]);
    }

    #[tokio::test]
    async fn a_folder_is_no_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let refused = Payload::open(folder.path()).await.unwrap_err();
        assert!(refused.to_string().contains("is a folder"));
        let absent = Payload::open(&folder.path().join("absent")).await.unwrap_err();
        assert!(absent.told().contains("cannot be read"));
    }
}
