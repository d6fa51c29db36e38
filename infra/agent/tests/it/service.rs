//! A service just large enough for an agent, on a socket in a folder.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    ops::Range,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use shared::agent::{
    Kept, LogBatch, ObjectUpload, Plan, PlanRequest, Report, Upload, UploadRequest,
};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the service has been told, and how it is to misbehave.
#[derive(Default)]
pub struct State {
    pub plan: Option<Plan>,
    /// The rest of the plan, by where what came before it ended.
    pub more: Vec<(String, Plan)>,
    pub batches: Vec<LogBatch>,
    pub uploads: Vec<UploadRequest>,
    pub puts: usize,
    /// An archive is there.
    pub stored: bool,
    pub report: Option<Report>,
    /// What became an object, by what it is of.
    pub kept: Vec<(String, Vec<u8>)>,
    /// What is at `/objects/…`; what is not there does not answer at all.
    pub objects: Vec<(String, Vec<u8>)>,
    /// How the next calls of each kind go wrong.
    pub mishaps: VecDeque<(&'static str, Mishap)>,
    /// PUTs are stored, but not answered while this is set.
    pub hold_puts: bool,
    pub token: Option<String>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// This status.
    Status(u16),
    /// The connection is closed without an answer, after the work was done.
    LoseAnswer,
    /// The connection is closed before the body was read.
    HangUp,
}

pub struct Service {
    shared: Arc<(Mutex<State>, Condvar)>,
    folder: PathBuf,
}

impl Service {
    /// Not listening yet.
    pub fn new(folder: &Path) -> Service {
        Service { shared: Arc::default(), folder: folder.to_path_buf() }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Where the archive is stored.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("archive.tar")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    pub fn listen(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (shared, archive) = (Arc::clone(&self.shared), self.archive());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, archive) = (Arc::clone(&shared), archive.clone());
                // A connection that ends in any way is the agent's business.
                thread::spawn(move || serve(&stream.unwrap(), &shared, &archive).ok());
            }
        });
    }

    /// Waits until the service has seen something.
    pub fn wait<T>(&self, mut seen: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut found = None;
        let (lock, changed) = &*self.shared;
        let waited = changed.wait_timeout_while(lock.lock().unwrap(), PATIENCE, |state| {
            found = seen(state);
            found.is_none()
        });
        drop(waited);
        found.expect("it should have been seen by now")
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.shared.1.notify_all();
    }
}

struct Call {
    method: String,
    path: String,
    token: Option<String>,
    length: u64,
    part: Option<Range<usize>>,
}

fn serve(stream: &UnixStream, shared: &(Mutex<State>, Condvar), archive: &Path) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(call) = head(&mut reader)? {
        let verb = match call.method.as_str() {
            "PUT" if call.path.starts_with("/kept/") => "keep",
            "PUT" => "put",
            "GET" => "get",
            _ => call.path.rsplit('/').next().unwrap_or_default(),
        };
        let mishap = {
            let mut state = shared.0.lock().unwrap();
            state.token.clone_from(&call.token);
            let next = state.mishaps.iter().position(|(which, _)| *which == verb);
            next.and_then(|next| state.mishaps.remove(next)).map(|(_, mishap)| mishap)
        };
        if mishap == Some(Mishap::HangUp) {
            return Ok(());
        }
        let mut body = (&mut reader).take(call.length);
        let (status, answer) = match (verb, mishap) {
            (_, Some(Mishap::Status(status))) => {
                io::copy(&mut body, &mut io::sink())?;
                (status, Vec::new())
            }
            ("keep", _) => {
                let mut bytes = Vec::new();
                if body.read_to_end(&mut bytes)? < usize::try_from(call.length).unwrap() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let mut state = shared.0.lock().unwrap();
                state.kept.push((call.path.replace("/kept/", ""), bytes));
                (200, Vec::new())
            }
            ("put", _) => put(&mut body, call.length, shared, archive)?,
            _ => {
                let mut text = Vec::new();
                body.read_to_end(&mut text)?;
                let mut state = shared.0.lock().unwrap();
                let whole = answer(&mut state, verb, &call.path, &text);
                call.part.clone().map_or(whole.clone(), |part| (206, whole.1[part].to_vec()))
            }
        };
        shared.1.notify_all();
        if mishap == Some(Mishap::LoseAnswer) {
            return Ok(());
        }
        if status == 0 {
            // Until the other end goes away.
            return reader.read_to_end(&mut Vec::new()).map(|_| ());
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", answer.len());
        let etag = if status == 200 && verb == "put" { "etag: \"tag\"\r\n" } else { "" };
        let mut out = stream;
        out.write_all(format!("{head}{etag}\r\n").as_bytes())?;
        out.write_all(&answer)?;
    }
    Ok(())
}

fn head(reader: &mut impl BufRead) -> io::Result<Option<Call>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut call = Call { method, path, token: None, length: 0, part: None };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return Ok(Some(call));
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => call.length = value.parse().unwrap(),
            "range" => {
                let (first, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                call.part = Some(first.parse().unwrap()..last.parse::<usize>().unwrap() + 1);
            }
            "authorization" => call.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
}

fn put(
    body: &mut impl Read,
    length: u64,
    shared: &(Mutex<State>, Condvar),
    archive: &Path,
) -> io::Result<(u16, Vec<u8>)> {
    if shared.0.lock().unwrap().stored {
        io::copy(body, &mut io::sink())?;
        return Ok((412, Vec::new()));
    }
    let copied = io::copy(body, &mut File::create(archive)?)?;
    if copied < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut state = shared.0.lock().unwrap();
    state.puts += 1;
    state.stored = true;
    shared.1.notify_all();
    drop(shared.1.wait_while(state, |state| state.hold_puts).unwrap());
    Ok((200, Vec::new()))
}

/// Where the archive may go.
pub fn upload() -> Upload {
    let headers = vec![("if-none-match".to_owned(), "*".to_owned())];
    Upload { url: "/archive?signature=x".to_owned(), headers }
}

fn place_of(object: &ObjectUpload) -> Upload {
    let of = match object.of {
        Kept::Output(place) => place.to_string(),
        Kept::Stream(stream) => format!("{stream:?}"),
    };
    let path = object.path.as_deref().unwrap_or_default();
    Upload { url: format!("/kept/{of}:{path}"), headers: Vec::new() }
}

fn answer(state: &mut State, verb: &str, path: &str, text: &[u8]) -> (u16, Vec<u8>) {
    match verb {
        "plan" => {
            let asked: PlanRequest = serde_json::from_slice(text).unwrap();
            let plan = match asked.after {
                None => state.plan.as_ref(),
                Some(after) => state.more.iter().find(|more| more.0 == after).map(|more| &more.1),
            };
            plan.map_or((409, Vec::new()), |plan| (200, serde_json::to_vec(plan).unwrap()))
        }
        "logs" => {
            state.batches.push(serde_json::from_slice(text).unwrap());
            (204, Vec::new())
        }
        "upload" => {
            let asked: UploadRequest = serde_json::from_slice(text).unwrap();
            let granted = asked.object.as_ref().map_or_else(upload, place_of);
            state.uploads.push(asked);
            (200, serde_json::to_vec(&granted).unwrap())
        }
        "report" => {
            state.report = Some(serde_json::from_slice(text).unwrap());
            (204, Vec::new())
        }
        _ => {
            let object = state.objects.iter().find(|(name, _)| name == path);
            object.map_or((0, Vec::new()), |(_, bytes)| (200, bytes.clone()))
        }
    }
}
