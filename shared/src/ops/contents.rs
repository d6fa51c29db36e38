//! Where in a stored archive its files are, found without reading all of it.
//!
//! The agent wrote the archive next to the user's process: what it says is
//! believed no further than it can be checked.
//!
//! What is told of one archive takes at most a read for each of [`TAILS`], for
//! however many files; where nothing is told, at most [`WINDOWS`] more for each,
//! and no more than those for a stream.

use std::ops::Range;

use bytes::Bytes;

use super::{objects::Stretch, output::malformed};
use crate::{
    archive::{
        Kind, MANIFEST, Manifest, STDERR, STDOUT, Step, Walker, ends_in_manifest, find_manifest,
    },
    platform::collect,
    service::Service,
    wire::Problem,
};

/// How much of an archive's end is read for its manifest, until that is in it.
/// The last has room for that of some eighty thousand files.
const TAILS: [u64; 3] = [64 << 10, 1 << 20, 16 << 20];

/// How much of an archive is read at once while a file is looked for from
/// header to header.
const WINDOW: u64 = 64 << 10;

/// How often at most: a made-up archive must not keep the service busy.
const WINDOWS: u32 = 2_000;

/// An archive, and what has been seen of what is in it.
#[derive(Debug)]
pub struct Contents {
    archive: Stretch,
    told: Told,
    reads: u32,
}

/// What the archive's manifest tells.
#[derive(Debug)]
enum Told {
    /// Nobody has looked.
    Unknown,
    /// There is none, or it is too long.
    Nothing,
    /// This, and where in the archive it says so.
    All(Manifest, Range<u64>),
}

impl Contents {
    /// Those of this archive, of which nothing is read as yet.
    pub fn of(archive: Stretch) -> Self {
        Contents { archive, told: Told::Unknown, reads: 0 }
    }

    /// The archive.
    pub fn archive(&self) -> &Stretch {
        &self.archive
    }

    /// How often the archive was read from.
    pub fn reads(&self) -> u32 {
        self.reads
    }

    /// One file, by its name with or without a leading slash.
    pub async fn member(&mut self, service: &Service, name: &str) -> Result<Stretch, Problem> {
        let wanted = name.trim_start_matches('/');
        // The streams come first, which makes the way from the start the
        // shortest.
        if [STDOUT, STDERR].contains(&wanted) {
            return self.walk(service, name).await;
        }
        if matches!(self.told, Told::Unknown) {
            self.told = self.look(service).await?;
        }
        match &self.told {
            Told::All(_, own) if wanted == MANIFEST => self.within(own.clone()),
            Told::All(manifest, _) => match manifest.member(wanted) {
                None => Err(Problem::not_found("member", name)),
                Some(entry) if entry.kind != Kind::File => Err(not_a_file(name)),
                Some(entry) => self.within(entry.range()),
            },
            Told::Unknown | Told::Nothing => self.walk(service, name).await,
        }
    }

    /// Looks for the manifest, which is the last that an archive has.
    async fn look(&mut self, service: &Service) -> Result<Told, Problem> {
        let size = self.archive.size();
        for most in TAILS {
            let start = size.saturating_sub(most);
            let tail = self.read(service, start..size).await?;
            if !ends_in_manifest(&tail) {
                break;
            }
            if let Some(found) = find_manifest(&tail, size) {
                let text = slice(&tail, start, &found);
                let manifest = text.and_then(|text| serde_json::from_slice(text).ok());
                return Ok(manifest.map_or(Told::Nothing, |told| Told::All(told, found)));
            }
            if start == 0 {
                break;
            }
        }
        Ok(Told::Nothing)
    }

    /// Goes from header to header until the file is there.
    async fn walk(&mut self, service: &Service, name: &str) -> Result<Stretch, Problem> {
        let wanted = name.trim_start_matches('/').as_bytes();
        let mut walker = Walker::new();
        let (mut at, mut window) = (0, Bytes::new());
        let mut windows = 0;
        loop {
            match walker.step(at, &window).map_err(|error| malformed(&error.to_string()))? {
                Step::Need { offset, at_least } => {
                    windows += 1;
                    if windows > WINDOWS {
                        return Err(malformed("it has more members than are looked through"));
                    }
                    let end = offset.saturating_add(at_least.max(WINDOW));
                    (at, window) = (offset, self.read(service, offset..end).await?);
                    if (window.len() as u64) < at_least {
                        return Err(malformed("it is cut short"));
                    }
                }
                // Some layouts have outputs under their absolute paths.
                Step::Member(found)
                    if found.name.strip_prefix(b"/").unwrap_or(&found.name) == wanted =>
                {
                    let is_file = found.kind.is_file();
                    return if is_file { self.within(found.data) } else { Err(not_a_file(name)) };
                }
                Step::Member(_) => {}
                Step::End => return Err(Problem::not_found("member", name)),
            }
        }
    }

    async fn read(&mut self, service: &Service, part: Range<u64>) -> Result<Bytes, Problem> {
        self.reads += 1;
        let body = self.archive.read(service, part).await?;
        collect(body.into_stream()).await.map_err(|error| Problem::Unavailable(error.into()))
    }

    /// A file's bytes, if the archive has them.
    fn within(&self, data: Range<u64>) -> Result<Stretch, Problem> {
        if data.end > self.archive.size() {
            return Err(malformed("it is cut short"));
        }
        let start = self.archive.within.start;
        let within = start + data.start..start + data.end;
        Ok(Stretch { within, content_type: None, is_whole: false, ..self.archive.clone() })
    }
}

fn not_a_file(name: &str) -> Problem {
    Problem::conflict("not_a_file", format!("`{name}` is in the archive, but is not a file"))
}

/// These bytes of the archive, of which `tail` is what it has from `start` on.
fn slice<'t>(tail: &'t [u8], start: u64, range: &Range<u64>) -> Option<&'t [u8]> {
    let within = |at: u64| usize::try_from(at.checked_sub(start)?).ok();
    tail.get(within(range.start)?..within(range.end)?)
}
