//! Bytes in reply: whole, or the one range that was asked for (RFC 9110 §14).

use std::ops::Range;

use http::{StatusCode, header};

use super::{Body, Problem, Reply, Request};

/// Which part of some bytes is asked for, before their length is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeAsked {
    part: Option<Part>,
    /// Only if the bytes still have this tag: else the whole is wanted.
    unless_changed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// From this byte on, to this one if it is named, both included.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

/// Which part is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranged {
    /// Where it is in the whole.
    pub part: Range<u64>,
    /// How long the whole is.
    pub size: u64,
    /// Whether a range was asked for.
    pub partial: bool,
}

impl RangeAsked {
    /// The `Range` and `If-Range` of a request. A range of another unit, of
    /// several parts, or that makes no sense is as good as none, as the RFC
    /// allows and asks for.
    pub fn of(request: &Request) -> Self {
        RangeAsked {
            part: request.header("range").and_then(parse),
            unless_changed: request.header("if-range").map(str::to_owned),
        }
    }

    /// What that is of `size` bytes whose tag is `etag`.
    pub fn within(&self, size: u64, etag: &str) -> Result<Ranged, Problem> {
        let whole = Ranged { part: 0..size, size, partial: false };
        let Some(part) = self.part else { return Ok(whole) };
        if self.unless_changed.as_ref().is_some_and(|wanted| *wanted != quoted(etag)) {
            return Ok(whole);
        }
        let part = match part {
            Part::From(first, last) => {
                first..last.map_or(size, |last| last.saturating_add(1).min(size))
            }
            Part::Last(count) => size.saturating_sub(count)..size,
        };
        if part.start >= part.end {
            return Err(Problem::OutOfRange { size });
        }
        Ok(Ranged { part, size, partial: true })
    }
}

impl Ranged {
    /// The answer: 200 or 206, with what a reader needs to go on later.
    pub fn reply(&self, body: Body, etag: &str, content_type: &str) -> Reply {
        let status = if self.partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let reply = Reply::new(status, body)
            .with(header::CONTENT_TYPE, content_type)
            .with(header::ACCEPT_RANGES, "bytes")
            // A browser must not take a user's bytes for a page of ours.
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(header::CONTENT_SECURITY_POLICY, "sandbox")
            .with(header::ETAG, quoted(etag));
        if !self.partial {
            return reply;
        }
        let Range { start, end } = self.part;
        let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), self.size);
        reply.with(header::CONTENT_RANGE, range)
    }
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn parse(header: &str) -> Option<Part> {
    let (unit, part) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = part.trim().split_once('-')?;
    match (first, last) {
        ("", count) => number(count).map(Part::Last),
        (first, "") => number(first).map(|first| Part::From(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Part::From(first, Some(last)))
        }
    }
}

/// Digits alone; more of them than a length can have are as good as the most.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(header: &str, size: u64) -> Option<Range<u64>> {
        let asked = RangeAsked { part: parse(header), unless_changed: None };
        let ranged = asked.within(size, "e").ok()?;
        ranged.partial.then_some(ranged.part)
    }

    #[test]
    fn a_range_is_cut_at_the_end_of_what_there_is() {
        assert_eq!(part("bytes=0-3", 10), Some(0..4));
        assert_eq!(part("bytes=3-", 10), Some(3..10));
        assert_eq!(part("Bytes=9-99", 10), Some(9..10));
        assert_eq!(part("bytes=-4", 10), Some(6..10));
        assert_eq!(part("bytes=-40", 10), Some(0..10));
        assert_eq!(part("bytes=0-99999999999999999999999", 10), Some(0..10));
    }

    #[test]
    fn a_range_that_starts_beyond_the_end_is_refused() {
        for (header, size) in
            [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)]
        {
            let asked = RangeAsked { part: parse(header), unless_changed: None };
            let refused = asked.within(size, "e");
            assert!(matches!(refused, Err(Problem::OutOfRange { .. })), "{header} of {size}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=4-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_range_of_what_has_changed_since_is_the_whole() {
        let asked =
            |tag: &str| RangeAsked { part: parse("bytes=1-2"), unless_changed: Some(tag.into()) };
        assert_eq!(asked("\"e\"").within(9, "e").unwrap().part, 1..3);
        assert_eq!(asked("\"d\"").within(9, "e").unwrap().part, 0..9);
        assert_eq!(asked("Sat, 01 Jan 2028 00:00:00 GMT").within(9, "e").unwrap().part, 0..9);
    }
}
