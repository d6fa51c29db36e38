//! A body that is fetched to its end: where the connection breaks, the rest is
//! asked for by a range.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{Response, StatusCode, Url, header};
use tokio::time::{sleep, timeout};

use super::{
    client::{Client, PATIENCE, Repeat},
    problem::Failure,
    progress::Transfer,
    session::Session,
};

/// How long the next bytes may take.
const SILENCE: Duration = PATIENCE;

/// A body on its way.
pub struct Download<'a> {
    client: &'a Client,
    path: Vec<String>,
    query: Vec<(String, String)>,
    response: Response,
    etag: Option<String>,
    /// Where in the whole the next byte is.
    position: u64,
    /// How long the whole is, if the server says.
    total: Option<u64>,
    /// Bytes to be passed over, of an answer that starts before `position`.
    passing: u64,
    /// Tries since bytes last came.
    tries: u32,
}

impl<'a> Download<'a> {
    /// Starts at byte `from`. A `from` beyond the end is a refusal (416).
    pub async fn start(
        client: &'a Client,
        path: &[&str],
        query: &[(String, String)],
        from: u64,
    ) -> Result<Self, Failure> {
        let range = (from > 0).then_some((from, None));
        let response = open(client, path, query, range).await?;
        let etag = text(&response, header::ETAG);
        let (passing, total) = match starts_at(&response) {
            Some((start, total)) if start <= from => (from - start, total),
            Some(_) => return Err(Failure::Answer("the wrong range came".into())),
            None => (from, response.content_length()),
        };
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        let query = query.to_vec();
        Ok(Download {
            client,
            path,
            query,
            response,
            etag,
            position: from,
            total,
            passing,
            tries: 1,
        })
    }

    /// How many bytes there are in all, if the server says.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let broken = match timeout(SILENCE, self.response.chunk()).await {
                Ok(Ok(Some(mut piece))) => {
                    self.tries = 1;
                    let passed = self.passing.min(piece.len() as u64);
                    self.passing -= passed;
                    // Not longer than a piece, so it fits.
                    let _ = piece.split_to(usize::try_from(passed).unwrap_or(piece.len()));
                    if piece.is_empty() {
                        continue;
                    }
                    self.position += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(Ok(None)) if self.total.is_none_or(|total| self.position >= total) => {
                    return Ok(None);
                }
                Ok(Ok(None)) | Err(_) => None,
                Ok(Err(error)) => Some(error),
            };
            self.resume(broken).await?;
        }
    }

    async fn resume(&mut self, broken: Option<reqwest::Error>) -> Result<(), Failure> {
        if self.tries >= self.client.backoff.tries {
            let url: &Url = self.response.url();
            return Err(match broken {
                Some(error) => Failure::of_request(url, error),
                None => Failure::Lost { url: url.origin().ascii_serialization(), source: None },
            });
        }
        self.tries += 1;
        sleep(self.client.backoff.before(self.tries)).await;
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let range = Some((self.position, self.etag.as_deref()));
        let response = open(self.client, &path, &self.query, range).await?;
        if text(&response, header::ETAG) != self.etag {
            return Err(Failure::Answer("what is being fetched has changed meanwhile".into()));
        }
        self.passing = match starts_at(&response) {
            Some((start, total))
                if start <= self.position && (self.total.is_none() || total == self.total) =>
            {
                self.position - start
            }
            Some(_) => return Err(Failure::Answer("the wrong range came".into())),
            None => self.position,
        };
        self.response = response;
        Ok(())
    }
}

async fn open(
    client: &Client,
    path: &[&str],
    query: &[(String, String)],
    range: Option<(u64, Option<&str>)>,
) -> Result<Response, Failure> {
    let mut request = client.get(path)?.query(query);
    if let Some((from, etag)) = range {
        request = request.header(header::RANGE, format!("bytes={from}-"));
        if let Some(etag) = etag {
            request = request.header(header::IF_RANGE, etag);
        }
    }
    client.send(request, Repeat::Safe, Some(PATIENCE)).await
}

/// Where a partial answer starts, and how long the whole is.
fn starts_at(response: &Response) -> Option<(u64, Option<u64>)> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = text(response, header::CONTENT_RANGE)?;
    let (bounds, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((bounds.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn text(response: &Response, name: header::HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Where a body is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Our standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Destination {
    /// What `-o` says: `-`, a file, or a folder to put `name` into; without
    /// it, `name` right here.
    pub fn of(asked: Option<&Path>, name: &str) -> Self {
        match asked {
            None => Destination::File(name.into()),
            Some(path) if path.as_os_str() == "-" => Destination::Stdout,
            Some(path) if path.is_dir() => Destination::File(path.join(name)),
            Some(path) => Destination::File(path.to_owned()),
        }
    }
}

/// Saves a body to its end; says how many bytes there were. A file is whole
/// or as it was.
pub async fn save(
    session: &Session,
    mut download: Download<'_>,
    name: &str,
    to: &Destination,
) -> Result<u64, Failure> {
    let total = download.total();
    let transfer = Transfer::new(&session.screen, format!("fetching {name}"), total);
    let path = match to {
        Destination::Stdout => {
            let mut count = 0;
            while let Some(piece) = download.next().await? {
                count += piece.len() as u64;
                transfer.add(piece.len());
                session.screen.print(&piece)?;
            }
            return Ok(count);
        }
        Destination::File(path) => path,
    };
    let cannot = |error| Failure::file(format!("{} cannot be written", path.display()), error);
    let mut file = Saving::start(path).map_err(cannot)?;
    let mut count = 0;
    while let Some(piece) = download.next().await? {
        count += piece.len() as u64;
        transfer.add(piece.len());
        file.write(&piece).map_err(cannot)?;
    }
    file.finish().map_err(cannot)?;
    transfer.finish();
    Ok(count)
}

/// A file being written.
enum Saving {
    /// Beside its place, to be renamed when it is whole.
    Beside(tempfile::NamedTempFile, PathBuf),
    /// A device or a pipe: it cannot be replaced, only written to.
    Into(File),
}

impl Saving {
    fn start(path: &Path) -> io::Result<Self> {
        let target = match fs::metadata(path) {
            Ok(about) if !about.is_file() => {
                return fs::OpenOptions::new().write(true).open(path).map(Saving::Into);
            }
            // A link to a file stays a link: the file is what is replaced.
            Ok(_) => fs::canonicalize(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = tempfile::Builder::new()
            .prefix(".tarpon-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent.unwrap_or(Path::new(".")))?;
        Ok(Saving::Beside(beside, target))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Saving::Beside(file, _) => file.write_all(bytes),
            Saving::Into(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Saving::Beside(file, target) => {
                file.persist(target).map(drop).map_err(|error| error.error)
            }
            Saving::Into(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_save_to_is_a_file_a_folder_or_standard_output() {
        let folder = tempfile::TempDir::new().unwrap();
        let of = |asked: Option<&Path>| Destination::of(asked, "a.tar");
        assert_eq!(of(None), Destination::File("a.tar".into()));
        assert_eq!(of(Some(Path::new("-"))), Destination::Stdout);
        assert_eq!(of(Some(Path::new("x"))), Destination::File("x".into()));
        assert_eq!(of(Some(folder.path())), Destination::File(folder.path().join("a.tar")));
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        assert!(matches!(Saving::start(Path::new("/dev/null")).unwrap(), Saving::Into(_)));
    }

    #[test]
    fn a_file_is_as_it_was_until_the_new_one_is_whole() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut saving = Saving::start(&path).unwrap();
        saving.write(b"ne").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(saving);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
        let mut saving = Saving::start(&path).unwrap();
        saving.write(b"new").unwrap();
        saving.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
