//! Fetching what the process reads: its standard input and its input files.

use std::{
    collections::HashMap,
    fs::{self, File, Permissions},
    io::{self, Write},
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use data_encoding::BASE64;
use http_body_util::BodyExt;
use shared::{
    agent::{Plan, PlanInput, PlanSource},
    job::Cause,
};
use tokio::time::{Instant, timeout};

use crate::{
    Unstarted,
    backoff::Backoff,
    program::plain,
    service::{CallError, Refused, Service},
};

/// How long nothing may come of what is being fetched.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a store may be away. The service itself may be away for longer,
/// but it gave us the plan just now.
const ENDURANCE: Duration = Duration::from_hours(1);

/// What was fetched.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Standard input, to be read from its start.
    pub stdin: Option<File>,
    /// How many bytes all of it was.
    pub bytes: u64,
}

/// Why one source could not be put in place.
enum Trouble {
    /// It may be there the next time.
    Passing(String),
    /// It will not.
    Lasting(String),
    /// There is no room or no right to write here.
    Here(io::Error),
}

/// Fetches everything the plan names.
pub async fn fetch(service: &Service, plan: &Plan, scratch: &Path) -> Result<Fetched, Unstarted> {
    let mut fetched = Fetched::default();
    if let Some(source) = &plan.stdin {
        let path = scratch.join("stdin");
        let failed = |error: io::Error| Unstarted::fault(format!("{}: {error}", path.display()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = file.map_err(failed)?;
        // The process gets it as an open file; nothing is to be left behind.
        fs::remove_file(&path).map_err(failed)?;
        match bring(service, source, &mut file).await {
            Ok(bytes) => fetched.bytes += bytes,
            Err(Trouble::Here(error)) => return Err(failed(error)),
            Err(Trouble::Passing(why) | Trouble::Lasting(why)) => {
                return Err(Unstarted::because(Cause::InputFailed, format!("stdin: {why}")));
            }
        }
        io::Seek::rewind(&mut file).map_err(failed)?;
        fetched.stdin = Some(file);
    }
    fetched.bytes += inputs(service, &plan.inputs).await?;
    let mut more = plan.more.clone();
    while let Some(after) = more {
        let next = match service.inputs(after).await {
            Some(Ok(next)) => next,
            Some(Err(Refused)) => return Err(Unstarted::stopped()),
            None => return Err(Unstarted::fault("the rest of the plan did not come".to_owned())),
        };
        fetched.bytes += inputs(service, &next.inputs).await?;
        more = next.more;
    }
    Ok(fetched)
}

/// Puts these inputs in place; how many bytes they are.
async fn inputs(service: &Service, all: &[PlanInput]) -> Result<u64, Unstarted> {
    // Of two at one path, however it is written, the later one counts: both at
    // once would write into one file.
    let last: HashMap<_, usize> =
        all.iter().enumerate().map(|(place, input)| (whereto(input), place)).collect();
    let counts = |(place, input): &(usize, &PlanInput)| last.get(&whereto(input)) == Some(place);
    let queue = Mutex::new(all.iter().enumerate().filter(counts));
    let work = async || {
        let mut bytes = 0;
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((_, input)) = next() {
            bytes += put_in_place(service, input).await?;
        }
        Ok::<u64, Unstarted>(bytes)
    };
    // A few at once: what takes the time is waiting for answers.
    let (a, b, c, d) = tokio::try_join!(work(), work(), work(), work())?;
    Ok(a + b + c + d)
}

/// Its path, of which neither a doubled slash nor a `.` makes another; and
/// whether it can only be a folder.
fn whereto(input: &PlanInput) -> (&Path, bool) {
    (Path::new(&input.path), input.path.ends_with('/'))
}

async fn put_in_place(service: &Service, input: &PlanInput) -> Result<u64, Unstarted> {
    let failed = |why: String| {
        Unstarted::because(Cause::InputFailed, format!("input {}: {why}", input.path))
    };
    match &input.source {
        PlanSource::Missing(why) => return Err(failed(why.clone())),
        PlanSource::Folder => {
            let made = fs::create_dir_all(&input.path);
            return made.map(|()| 0).map_err(|error| failed(plain(&error)));
        }
        PlanSource::Inline(_) | PlanSource::Url(_) | PlanSource::Part { .. } => {}
    }
    let mut file = create(Path::new(&input.path)).map_err(|error| failed(plain(&error)))?;
    let bytes = match bring(service, &input.source, &mut file).await {
        Ok(bytes) => bytes,
        Err(Trouble::Here(error)) => return Err(failed(plain(&error))),
        Err(Trouble::Passing(why) | Trouble::Lasting(why)) => return Err(failed(why)),
    };
    let mode = Permissions::from_mode(input.mode & 0o7777);
    file.set_permissions(mode).map_err(|error| failed(plain(&error)))?;
    Ok(bytes)
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path)
}

/// Puts a source's bytes into an empty file, trying again while it may help.
async fn bring(service: &Service, source: &PlanSource, file: &mut File) -> Result<u64, Trouble> {
    let (url, part) = match source {
        PlanSource::Url(url) => (url, None),
        PlanSource::Part { url, start, end } => (url, Some(*start..*end)),
        PlanSource::Folder => return Err(Trouble::Lasting("it is a folder".to_owned())),
        PlanSource::Missing(why) => return Err(Trouble::Lasting(why.clone())),
        PlanSource::Inline(text) => {
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|_| Trouble::Lasting("it is not base 64".to_owned()))?;
            file.write_all(&bytes).map_err(Trouble::Here)?;
            return Ok(bytes.len() as u64);
        }
    };
    let until = Instant::now() + ENDURANCE;
    let mut backoff = Backoff::default();
    loop {
        match download(service, url, part.clone(), file).await {
            Err(Trouble::Passing(_)) if Instant::now() < until => backoff.wait().await,
            settled => return settled,
        }
    }
}

/// One try, from the first byte on.
async fn download(
    service: &Service,
    url: &str,
    part: Option<Range<u64>>,
    file: &mut File,
) -> Result<u64, Trouble> {
    file.set_len(0).map_err(Trouble::Here)?;
    io::Seek::rewind(file).map_err(Trouble::Here)?;
    let mut body = service.get(url, part).await.map_err(|error| trouble(&error))?.into_body();
    let mut count = 0;
    loop {
        let Ok(frame) = timeout(PATIENCE, body.frame()).await else {
            return Err(Trouble::Passing("nothing more came".to_owned()));
        };
        let Some(frame) = frame else { return Ok(count) };
        let frame = frame.map_err(|error| Trouble::Passing(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            file.write_all(&data).map_err(Trouble::Here)?;
            count += data.len() as u64;
        }
    }
}

fn trouble(error: &CallError) -> Trouble {
    let text = error.to_string();
    if error.is_lasting() { Trouble::Lasting(text) } else { Trouble::Passing(text) }
}
