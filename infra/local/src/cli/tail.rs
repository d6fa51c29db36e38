//! Reading what an attempt writes, each byte once, however often the
//! connection breaks.

use std::{ops::Range, sync::OnceLock, time::Duration};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use data_encoding::BASE64;
use reqwest::{RequestBuilder, Response, header};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use super::{
    client::{PATIENCE, Repeat},
    download::Download,
    problem::Failure,
    screen::Screen,
    session::Session,
    watch::Away,
};

/// The longest line of NDJSON that is believed: a piece is 64 KiB of bytes.
const LONGEST_LINE: usize = 1 << 20;

/// What says of a followed log that its end is the end of the server's
/// patience, and that there is more to come.
const MORE: &str = "tarpon-more";

/// How long a log may go on in silence after its job has ended.
const AFTERTHOUGHT: Duration = Duration::from_secs(5);

/// Which of a job's attempts.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which one")]
pub struct Selector {
    /// The task, of a job with several
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,

    /// The instance, of a task with several; the first is 0
    #[arg(long, value_name = "N")]
    pub instance: Option<u32>,

    /// The attempt, the first being 1; the last without
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
}

impl Selector {
    /// As query parameters.
    pub fn query(&self) -> Vec<(String, String)> {
        let number = |n: Option<u32>| n.map(|n| n.to_string());
        [
            ("task", self.task.clone()),
            ("instance", number(self.instance)),
            ("attempt", number(self.attempt)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

/// One of a process's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    fn member(self) -> &'static str {
        match self {
            Stream::Stdout => "Stdout",
            Stream::Stderr => "Stderr",
        }
    }
}

/// How a job's streams are printed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each as what it is.
    Apart,
    /// Both to standard error, where standard output is taken.
    Aside,
    /// As the API's NDJSON.
    Json,
}

/// Where a job's streams go.
pub struct Sink<'a> {
    screen: &'a Screen,
    manner: Manner,
    /// Told once, when there is something to print.
    first: OnceLock<()>,
    on_first: &'a (dyn Fn() + Sync),
}

impl<'a> Sink<'a> {
    /// A sink that calls `on_first` before it prints its first byte.
    pub fn new(screen: &'a Screen, manner: Manner, on_first: &'a (dyn Fn() + Sync)) -> Self {
        Sink { screen, manner, first: OnceLock::new(), on_first }
    }

    fn put(&self, stream: Stream, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.first.get_or_init(|| (self.on_first)());
        match (self.manner, stream) {
            (Manner::Apart, Stream::Stdout) => self.screen.print(bytes),
            (Manner::Apart, Stream::Stderr) | (Manner::Aside, _) => {
                self.screen.print_aside(bytes);
                Ok(())
            }
            (Manner::Json, stream) => self.screen.json(&json!({
                "stream": stream.word(),
                "offset": offset,
                "data": BASE64.encode(bytes),
            })),
        }
    }
}

/// A line of the API's NDJSON.
#[derive(Deserialize)]
struct Piece {
    stream: Stream,
    offset: u64,
    data: String,
}

/// Whether a log goes on after an answer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    No,
    ToCome,
}

/// Reads one attempt's streams, and knows how far it has come.
pub struct Tail<'a> {
    session: &'a Session,
    job: &'a str,
    selector: Selector,
    only: Option<Stream>,
    printed: [u64; 2],
    /// Streams of which a part is missing: the rest comes from the archive.
    gap: [bool; 2],
}

impl<'a> Tail<'a> {
    /// At the beginning of the attempt's streams, or of `only` one.
    pub fn new(
        session: &'a Session,
        job: &'a str,
        selector: Selector,
        only: Option<Stream>,
    ) -> Self {
        Tail { session, job, selector, only, printed: [0; 2], gap: [false; 2] }
    }

    /// Prints what there is; when following, until the attempt ends. `over`
    /// tells that the job has, for a log that goes on in silence after that.
    pub async fn read(
        &mut self,
        sink: &Sink<'_>,
        follow: bool,
        over: Option<watch::Receiver<bool>>,
        announce: bool,
    ) -> Result<(), Failure> {
        let mut away = Away::new(self.session, announce);
        loop {
            let before = self.printed;
            let read = self.read_once(sink, follow, over.clone()).await;
            if self.printed != before {
                away.is_back();
            }
            match read {
                Ok(More::No) => return Ok(()),
                Ok(More::ToCome) => {}
                Err(failure) => away.wait(failure).await?,
            }
        }
    }

    async fn read_once(
        &mut self,
        sink: &Sink<'_>,
        follow: bool,
        over: Option<watch::Receiver<bool>>,
    ) -> Result<More, Failure> {
        let request = self.request(follow)?;
        // Following, even the first byte may take as long as the queue does.
        let patience = (!follow).then_some(PATIENCE);
        let mut response = tokio::select! {
            response = self.session.client.send(request, Repeat::Safe, patience) => response?,
            () = silence(over.clone()) => return Ok(More::No),
        };
        let is_cut = response.headers().contains_key(MORE);
        let end = if is_cut { More::ToCome } else { More::No };
        let mut lines = Lines::default();
        loop {
            let chunk = tokio::select! {
                chunk = chunk(&mut response) => chunk?,
                () = silence(over.clone()) => return Ok(More::No),
            };
            let Some(chunk) = chunk else { return Ok(end) };
            for line in lines.split(&chunk)? {
                self.take(sink, &line)?;
            }
        }
    }

    fn request(&self, follow: bool) -> Result<RequestBuilder, Failure> {
        let mut query = self.selector.query();
        if let Some(stream) = self.only {
            query.push(("stream".into(), stream.word().into()));
        }
        if follow {
            query.push(("follow".into(), "true".into()));
        }
        for stream in Stream::BOTH {
            let printed = self.printed[stream as usize];
            if printed > 0 {
                query.push((format!("{}_offset", stream.word()), printed.to_string()));
            }
        }
        let request = self.session.client.get(&["v1", "jobs", self.job, "logs"])?;
        Ok(request.query(&query).header(header::ACCEPT, "application/x-ndjson"))
    }

    fn take(&mut self, sink: &Sink<'_>, line: &[u8]) -> Result<(), Failure> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let piece: Piece = serde_json::from_slice(line)
            .map_err(|error| Failure::Answer(format!("a line of the log: {error}")))?;
        let bytes = BASE64
            .decode(piece.data.as_bytes())
            .map_err(|error| Failure::Answer(format!("a line of the log: {error}")))?;
        let at = piece.stream as usize;
        let Some(new) = news(self.printed[at], piece.offset, bytes.len()) else {
            // What follows cannot be printed before what is missing.
            if !std::mem::replace(&mut self.gap[at], true) {
                let word = piece.stream.word();
                let note = format!("the live {word} has a gap; the rest comes when the job ends");
                self.session.screen.note(&note);
            }
            return Ok(());
        };
        if !self.gap[at] {
            let start = self.printed[at];
            self.printed[at] += new.len() as u64;
            sink.put(piece.stream, start, &bytes[new])?;
        }
        Ok(())
    }

    /// Prints what the archive has beyond what was printed. To be called when
    /// the attempt has ended; without an archive there is nothing more.
    pub async fn catch_up(&mut self, sink: &Sink<'_>) -> Result<(), Failure> {
        for stream in Stream::BOTH {
            if self.only.is_some_and(|only| only != stream) {
                continue;
            }
            let at = stream as usize;
            let mut query = self.selector.query();
            query.push(("member".into(), stream.member().into()));
            let path = ["v1", "jobs", self.job, "output"];
            let client = &self.session.client;
            let mut rest = match Download::start(client, &path, &query, self.printed[at]).await {
                Ok(rest) => rest,
                // Nothing beyond it, or no archive at all.
                Err(failure) if matches!(failure.status(), Some(400..=499)) => continue,
                Err(failure) => return Err(failure),
            };
            while let Some(bytes) = rest.next().await? {
                sink.put(stream, self.printed[at], &bytes)?;
                self.printed[at] += bytes.len() as u64;
            }
        }
        Ok(())
    }
}

/// What of a piece is new after `printed` bytes; `None` if some are missing
/// before it.
fn news(printed: u64, offset: u64, length: usize) -> Option<Range<usize>> {
    let known = printed.checked_sub(offset)?;
    let known = usize::try_from(known).unwrap_or(usize::MAX).min(length);
    Some(known..length)
}

async fn chunk(response: &mut Response) -> Result<Option<Bytes>, Failure> {
    let chunk = response.chunk().await;
    chunk.map_err(|error| Failure::of_request(response.url(), error))
}

/// Returns a while after the job is over; never, if nobody tells.
async fn silence(over: Option<watch::Receiver<bool>>) {
    if let Some(mut over) = over
        && over.wait_for(|over| *over).await.is_ok()
    {
        return sleep(AFTERTHOUGHT).await;
    }
    std::future::pending::<()>().await;
}

/// Bytes into lines, whatever the pieces they come in.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn split(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut lines = Vec::new();
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                lines.push(std::mem::take(&mut self.begun));
            } else if self.begun.len() > LONGEST_LINE {
                return Err(Failure::Answer("a line of the log has no end".into()));
            }
        }
        Ok(lines)
    }
}

/// Prints what all attempts of a job of one container write, one after the
/// other, until `over` says that the job has ended.
pub async fn follow_attempts(
    session: &Session,
    job: &str,
    sink: &Sink<'_>,
    mut over: watch::Receiver<bool>,
) -> Result<(), Failure> {
    for attempt in 1.. {
        let selector = Selector { attempt: Some(attempt), ..Selector::default() };
        let mut tail = Tail::new(session, job, selector, None);
        loop {
            // Looked at before the attempt is: one that is absent after the
            // end will never be there.
            let ended = *over.borrow_and_update();
            match tail.read(sink, true, Some(over.clone()), false).await {
                Ok(()) => break,
                Err(failure) if !matches!(failure.status(), Some(404 | 409)) => {
                    return Err(failure);
                }
                Err(_) if ended => return Ok(()),
                Err(_) => {
                    let pause = session.client.backoff.first;
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = over.changed() => {}
                    }
                }
            }
        }
        tail.catch_up(sink).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_bytes_are_printed() {
        assert_eq!(news(0, 0, 5), Some(0..5));
        assert_eq!(news(3, 0, 5), Some(3..5));
        assert_eq!(news(5, 0, 5), Some(5..5));
        assert_eq!(news(9, 0, 5), Some(5..5));
        assert_eq!(news(4, 5, 5), None);
        assert_eq!(news(0, u64::MAX, 5), None);
    }

    #[test]
    fn lines_are_whole_whatever_the_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.split(b"a\nb").unwrap(), [b"a\n"]);
        assert_eq!(lines.split(b"c").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(lines.split(b"\n\nd\n").unwrap(), [&b"bc\n"[..], b"\n", b"d\n"]);
        assert!(lines.split(&vec![b'x'; LONGEST_LINE + 1]).is_err());
    }
}
