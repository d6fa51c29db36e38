//! What an attempt's process wrote, from the first byte on: from the live log
//! while it runs, from its archive once it has ended.

use std::{collections::VecDeque, time::Duration};

use data_encoding::BASE64;
use futures::{StreamExt, stream::BoxStream};

use super::{
    attempts, jobs,
    logs::{Follower, Found, Piece},
    output::{self, Selector},
    record,
};
use crate::{
    agent::Stream,
    archive,
    job::{AttemptId, AttemptKey, JobKey},
    platform::ByteStream,
    service::Service,
    wire::Problem,
};

/// How long one wait for more may take, before it is looked at again.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is wanted of a job's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which attempt.
    pub selector: Selector,
    /// Which streams, in the order in which an archive is read, and how many
    /// bytes of each the reader has already.
    pub streams: Vec<(Stream, u64)>,
    /// Whether to wait for more until the attempt has ended.
    pub follow: bool,
}

/// The pieces of what the attempt wrote, each stream in order, each byte once.
///
/// A job or task that is not there is said at once; what goes wrong later ends
/// the stream with an error. Dropping the stream ends all work on it.
pub async fn read(
    service: &Service,
    key: JobKey,
    wanted: Wanted,
) -> Result<BoxStream<'static, Result<Piece, Problem>>, Problem> {
    let job = jobs::load(service, key).await?;
    output::select(service, &job, &wanted.selector).await?;
    let reader = Reader {
        service: service.clone(),
        key,
        positions: wanted.streams.clone(),
        wanted,
        stage: Stage::Waiting,
        found: VecDeque::new(),
    };
    let pieces = futures::stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|piece| (piece, reader)))
    });
    Ok(pieces.boxed())
}

struct Reader {
    service: Service,
    key: JobKey,
    wanted: Wanted,
    /// How far each wanted stream has been read.
    positions: Vec<(Stream, u64)>,
    stage: Stage,
    found: VecDeque<Piece>,
}

/// Whether the job's archives have no member of a stream that is empty.
async fn leaves_out_empty_ones(service: &Service, key: JobKey) -> Result<bool, Problem> {
    let job = jobs::load(service, key).await?;
    Ok(!attempts::load_spec(service, &job).await?.layout.is_native())
}

/// Where the next bytes come from.
enum Stage {
    /// Nowhere: the attempt has not been claimed.
    Waiting,
    /// The live log.
    Live(Follower),
    /// The archive, the wanted streams from this place on.
    Archived(AttemptId, usize),
    /// A member of the archive, being read; then the streams from this place on.
    Member(AttemptId, usize, ByteStream),
    /// What the report had of the end, for want of an archive.
    Tails(AttemptId),
    /// There are no more.
    Done,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            if let Some(piece) = self.found.pop_front() {
                self.advance(&piece);
                return Ok(Some(piece));
            }
            self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Waiting => self.wait_for_attempt().await?,
                Stage::Live(follower) => self.read_live(follower).await?,
                Stage::Archived(id, place) => self.open_member(id, place).await?,
                Stage::Member(id, place, body) => self.read_member(id, place, body).await?,
                Stage::Tails(id) => self.read_tails(id).await?,
                Stage::Done => return Ok(None),
            };
        }
    }

    fn advance(&mut self, piece: &Piece) {
        let end = piece.offset + piece.bytes.len() as u64;
        let known = self.positions.iter_mut().find(|(stream, _)| *stream == piece.stream);
        if let Some((_, position)) = known {
            *position = end;
        }
    }

    async fn wait_for_attempt(&mut self) -> Result<Stage, Problem> {
        let Some((row, job)) = record::load(&self.service, self.key).await? else {
            return Ok(Stage::Done);
        };
        let selected = output::select(&self.service, &job, &self.wanted.selector).await?;
        let id = selected.attempt;
        if id.number == 0 {
            if job.ending().is_some() || !self.wanted.follow {
                return Ok(Stage::Done);
            }
            let (key, seen) = selected.chunk.unwrap_or((row.key, row.version));
            self.service.platform.table.changed(&key, Some(seen), PATIENCE).await?;
            return Ok(Stage::Waiting);
        }
        if selected.is_live {
            return Ok(Stage::Live(self.follower(id)));
        }
        Ok(match output::stored(&self.service, self.key, id).await? {
            Some(_) => Stage::Archived(id, 0),
            None => Stage::Live(self.follower(id)),
        })
    }

    fn follower(&self, attempt: AttemptId) -> Follower {
        Follower::new(AttemptKey { project: self.key.project, attempt })
    }

    async fn read_live(&mut self, mut follower: Follower) -> Result<Stage, Problem> {
        let Found { pieces, more, ended } = follower.read(&self.service).await?;
        let rest = |piece: Piece| {
            let mut streams = self.wanted.streams.iter();
            let (_, known) = streams.find(|(stream, _)| *stream == piece.stream)?;
            beyond(piece, *known)
        };
        self.found.extend(pieces.into_iter().filter_map(rest));
        if more {
            return Ok(Stage::Live(follower));
        }
        if ended {
            let id = follower.attempt().attempt;
            return Ok(match output::stored(&self.service, self.key, id).await? {
                Some(_) => Stage::Archived(id, 0),
                None => Stage::Tails(id),
            });
        }
        if !self.wanted.follow {
            return Ok(Stage::Done);
        }
        if self.found.is_empty() {
            follower.changed(&self.service, PATIENCE).await?;
        }
        Ok(Stage::Live(follower))
    }

    /// The member of the next wanted stream, from where the live log ended.
    async fn open_member(&mut self, id: AttemptId, place: usize) -> Result<Stage, Problem> {
        let Some((stream, position)) = self.positions.get(place).copied() else {
            return Ok(Stage::Done);
        };
        let name = match stream {
            Stream::Stdout => archive::STDOUT,
            Stream::Stderr => archive::STDERR,
        };
        let Some(whole) = output::stored(&self.service, self.key, id).await? else {
            // Deleted under the reader.
            return Ok(Stage::Done);
        };
        let found = output::member(&self.service, &whole, name).await;
        if matches!(found, Err(Problem::NotFound { .. }))
            && leaves_out_empty_ones(&self.service, self.key).await?
        {
            return Ok(Stage::Archived(id, place + 1));
        }
        let member = found?;
        let start = position.min(member.size());
        let body = member.read(&self.service, start..member.size()).await?;
        Ok(Stage::Member(id, place, body.into_stream()))
    }

    async fn read_member(
        &mut self,
        id: AttemptId,
        place: usize,
        mut body: ByteStream,
    ) -> Result<Stage, Problem> {
        let Some(bytes) = body.next().await else { return Ok(Stage::Archived(id, place + 1)) };
        let bytes = bytes.map_err(|error| Problem::Unavailable(error.into()))?;
        let (stream, offset) = self.positions[place];
        if !bytes.is_empty() {
            self.found.push_back(Piece { stream, offset, bytes });
        }
        Ok(Stage::Member(id, place, body))
    }

    /// The end of a stream of which nothing else is left. Where in the stream
    /// it is cannot be told, so it is not joined to what came before.
    async fn read_tails(&mut self, id: AttemptId) -> Result<Stage, Problem> {
        let Some(left) = attempts::load(&self.service, id).await? else { return Ok(Stage::Done) };
        for (stream, position) in &self.positions {
            let tail = match stream {
                Stream::Stdout => &left.stdout_tail,
                Stream::Stderr => &left.stderr_tail,
            };
            let bytes = BASE64.decode(tail.as_bytes()).unwrap_or_default();
            if *position == 0 && !bytes.is_empty() {
                self.found.push_back(Piece { stream: *stream, offset: 0, bytes: bytes.into() });
            }
        }
        Ok(Stage::Done)
    }
}

/// What of a piece is beyond this offset.
fn beyond(piece: Piece, known: u64) -> Option<Piece> {
    let Piece { stream, offset, mut bytes } = piece;
    let skipped = known.saturating_sub(offset).min(bytes.len() as u64);
    let rest = bytes.split_off(usize::try_from(skipped).ok()?);
    (!rest.is_empty()).then_some(Piece { stream, offset: offset + skipped, bytes: rest })
}
