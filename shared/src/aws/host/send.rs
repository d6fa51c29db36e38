//! How a reply is sent: inline while it fits what Lambda carries, else by a
//! redirect to where its bytes are stored. What can be asked for piece by piece
//! is sent inline as far as it fits, and said to go on. Everything else is sent
//! whole or not at all: nobody could tell a part of it from all of it.
//!
//! What is not stored as an object of its own, a member of an archive or a
//! long log, becomes one that expires. A redirect makes the client repeat its
//! range, so a whole is stored, of which that is the range.

use std::{io, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::{
    ops::objects::Stretch,
    platform::{ByteStream, Grant, GrantMethod, ObjectKey, ObjectsError, Put},
    service::Service,
    wire::{Body, OutOfTime, Problem, Reply, Stored},
};

/// The most bytes of a body that is sent inline: in base 64, with all that is
/// around it, it stays within the 6 MB that Lambda carries.
const INLINE_BYTES: usize = 4 << 20;

/// Where bytes are kept that are only there to be fetched once. The bucket's
/// lifecycle removes them after a day.
const PASSING: &str = "passing";

/// How long the address of a redirect is good, in seconds.
const GOOD_SECONDS: i64 = 900;

/// What says that a stream was cut, not ended: the caller may ask again.
const MORE: HeaderName = HeaderName::from_static("tarpon-more");

/// What is told whose answer there is not the time for.
const NO_TIME: OutOfTime = OutOfTime(
    "there is not the time to put this answer together: ask for less at once (of an output, one \
     `task` and `instance`; of a log, `follow=true`, which goes on where it was cut), or ask at \
     the action's own URL, where there is more time",
);

/// A reply, and its body.
pub(super) struct Sent {
    /// The status and the headers.
    pub reply: Reply,
    /// All of the body.
    pub bytes: Bytes,
}

/// Makes a reply to a request of `method` ready to be sent before `until`.
pub(super) async fn send(
    service: &Service,
    method: &Method,
    mut reply: Reply,
    until: Timestamp,
) -> Result<Sent, Problem> {
    let body = std::mem::take(&mut reply.body);
    if *method == Method::HEAD {
        if let Some(length) = body.length() {
            reply.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        return Ok(Sent { reply, bytes: Bytes::new() });
    }
    let left = left(service, until);
    let key = match body {
        Body::Empty => return Ok(Sent { reply, bytes: Bytes::new() }),
        Body::Stream { length: Some(length), stored: Some(stored), .. }
            if length > INLINE_BYTES as u64 =>
        {
            elsewhere(service, &reply, stored, left).await?
        }
        Body::Pieces(pieces) => {
            let Start { bytes, is_cut } = start(pieces, left).await?;
            if is_cut {
                reply.headers.insert(MORE, HeaderValue::from_static("true"));
            }
            return Ok(Sent { reply, bytes });
        }
        body => match gather(timely(body.into_stream(), left)).await? {
            Gathered::All(bytes) => return Ok(Sent { reply, bytes }),
            Gathered::TooMuch(stream) => {
                let random = service.platform.clock.random::<16>();
                let key = passing(&HEXLOWER.encode(&random));
                store(service, &key, stream, put(&reply)).await?;
                key
            }
        },
    };
    redirect(service, method, reply, key).await
}

fn left(service: &Service, until: Timestamp) -> Duration {
    let left = until.duration_since(service.platform.clock.now());
    Duration::try_from(left).unwrap_or_default()
}

/// The stream, which breaks off when that time is over.
fn timely(stream: ByteStream, left: Duration) -> ByteStream {
    let over = Box::pin(tokio::time::sleep(left));
    let pieces = stream::unfold(Some((stream, over)), |open| async move {
        let (mut stream, mut over) = open?;
        tokio::select! {
            biased;
            () = &mut over => Some((Err(io::Error::other(NO_TIME)), None)),
            piece = stream.next() => piece.map(|piece| (piece, Some((stream, over)))),
        }
    });
    pieces.boxed()
}

/// Why a body has no end.
fn broken(error: io::Error) -> Problem {
    match error.downcast::<OutOfTime>() {
        Ok(late) => Problem::Unavailable(Box::new(late)),
        Err(error) => Problem::Unavailable(error.into()),
    }
}

/// Stores all of a body, or nothing.
async fn store(
    service: &Service,
    key: &ObjectKey,
    body: ByteStream,
    put: Put,
) -> Result<(), Problem> {
    match service.platform.objects.put(key, body, put).await {
        Ok(_) => Ok(()),
        Err(ObjectsError::Body(error)) => Err(broken(error)),
        Err(error) => Err(error.into()),
    }
}

/// What came of a stream, as far as it was read.
enum Gathered {
    /// All of it.
    All(Bytes),
    /// More than is sent inline: all of it, some of it yet to come.
    TooMuch(ByteStream),
}

async fn gather(mut stream: ByteStream) -> Result<Gathered, Problem> {
    let mut gathered = BytesMut::new();
    while let Some(piece) = stream.next().await {
        gathered.extend_from_slice(&piece.map_err(broken)?);
        if gathered.len() > INLINE_BYTES {
            let first = gathered.freeze();
            let all = stream::once(async move { Ok(first) }).chain(stream);
            return Ok(Gathered::TooMuch(all.boxed()));
        }
    }
    Ok(Gathered::All(gathered.freeze()))
}

/// The first of pieces.
struct Start {
    bytes: Bytes,
    /// Whether the time was over, or there was no room for the next.
    is_cut: bool,
}

/// As many whole pieces as are there in time and are sent inline; where there
/// is time, one at least, for there to be progress.
async fn start(mut pieces: ByteStream, left: Duration) -> Result<Start, Problem> {
    let mut gathered = BytesMut::new();
    let mut over = pin!(tokio::time::sleep(left));
    let is_cut = loop {
        let piece = tokio::select! {
            biased;
            () = &mut over => break true,
            piece = pieces.next() => piece,
        };
        let Some(piece) = piece.transpose().map_err(broken)? else { break false };
        if !gathered.is_empty() && gathered.len() + piece.len() > INLINE_BYTES {
            break true;
        }
        gathered.extend_from_slice(&piece);
    };
    Ok(Start { bytes: gathered.freeze(), is_cut })
}

fn passing(name: &str) -> ObjectKey {
    ObjectKey::stored(format!("{PASSING}/{name}"))
}

/// An object with just the bytes that the answer is about.
async fn elsewhere(
    service: &Service,
    reply: &Reply,
    stored: Stored,
    left: Duration,
) -> Result<ObjectKey, Problem> {
    let Stored { whole, part: _ } = stored;
    if whole.is_whole {
        return Ok(whole.key);
    }
    // Asked again, for another range of it perhaps, it is there.
    let key = of_stretch(&whole);
    if service.platform.objects.info(&key).await?.is_some() {
        return Ok(key);
    }
    let size = whole.size();
    let body = whole.read(service, 0..size).await?.into_stream();
    let put = Put { length: Some(size), ..put(reply) };
    store(service, &key, timely(body, left), put).await?;
    Ok(key)
}

/// The one name for these bytes.
fn of_stretch(whole: &Stretch) -> ObjectKey {
    let Stretch { key, etag, within, .. } = whole;
    let text = format!("{key}\0{etag}\0{}-{}", within.start, within.end);
    passing(&HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

fn put(reply: &Reply) -> Put {
    let said = reply.headers.get(header::CONTENT_TYPE);
    let content_type = said.and_then(|value| value.to_str().ok()).map(str::to_owned);
    Put { content_type, ..Put::default() }
}

/// The same answer, without its body, and where that is.
async fn redirect(
    service: &Service,
    method: &Method,
    mut reply: Reply,
    key: ObjectKey,
) -> Result<Sent, Problem> {
    let expires_at = service.platform.clock.now() + SignedDuration::from_secs(GOOD_SECONDS);
    let grant = Grant { method: GrantMethod::Get, key, expires_at };
    let address = service.platform.objects.sign(&grant).await?;
    // What was posted is not to be posted there.
    reply.status = match *method {
        Method::GET => StatusCode::TEMPORARY_REDIRECT,
        _ => StatusCode::SEE_OTHER,
    };
    for about_the_body in [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::ACCEPT_RANGES,
        header::ETAG,
    ] {
        reply.headers.remove(about_the_body);
    }
    let reply = reply.secret().with(header::LOCATION, address.url);
    Ok(Sent { reply, bytes: Bytes::new() })
}

#[cfg(test)]
mod tests {
    use crate::{
        conformance::memory::World,
        ops::objects,
        platform::{Objects, collect, one_chunk},
        wire::RangeAsked,
    };

    use super::*;

    const BIG: usize = INLINE_BYTES + 5;

    /// An object of `size` bytes, and the answer that has it, or a stretch of it.
    async fn stored(world: &World, size: usize, within: Option<std::ops::Range<u64>>) -> Reply {
        let key = ObjectKey::user(world.project, &"data".parse().unwrap(), "big");
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        world.memory.objects.put(&key, one_chunk(bytes), Put::default()).await.unwrap();
        let bucket = "data".parse().unwrap();
        let mut found = objects::find(&world.service, world.project, &bucket, "big").await.unwrap();
        if let Some(within) = within {
            found = Stretch { within, is_whole: false, ..found };
        }
        let ranged = RangeAsked::default().within(found.size(), &found.etag).unwrap();
        let body = found.read(&world.service, ranged.part.clone()).await.unwrap();
        ranged.reply(body, &found.etag, "application/x-tar")
    }

    async fn sent(world: &World, method: &Method, reply: Reply, seconds: i64) -> Sent {
        tried(world, method, reply, seconds).await.unwrap()
    }

    async fn tried(
        world: &World,
        method: &Method,
        reply: Reply,
        seconds: i64,
    ) -> Result<Sent, Problem> {
        let until = world.service.platform.clock.now() + SignedDuration::from_secs(seconds);
        send(&world.service, method, reply, until).await
    }

    /// Holds that there was not the time, and that whoever asked is told so.
    async fn is_late(sent: Result<Sent, Problem>) {
        let Err(problem) = sent else { panic!("it was answered") };
        let reply = problem.reply();
        assert_eq!(reply.status, 503);
        assert!(!reply.headers.contains_key("retry-after"), "it would take as long again");
        let told = collect(reply.body.into_stream()).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["code"], "out_of_time");
        assert!(told["detail"].as_str().unwrap().contains("`task` and `instance`"), "{told}");
    }

    fn header<'s>(sent: &'s Sent, name: &str) -> Option<&'s str> {
        sent.reply.headers.get(name)?.to_str().ok()
    }

    /// The name of the object that a redirect leads to, and its bytes.
    async fn behind(world: &World, sent: &Sent) -> (String, Bytes) {
        let grant = world.memory.objects.granted(header(sent, "location").unwrap()).unwrap();
        assert_eq!(grant.method, GrantMethod::Get);
        let found = world.memory.objects.get(&grant.key, None).await.unwrap().unwrap();
        (grant.key.to_string(), collect(found.body).await.unwrap())
    }

    /// So many pieces, one a second.
    fn drops(pieces: usize, size: usize) -> ByteStream {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Bytes::from(vec![b'x'; size]))
        });
        pieces.boxed()
    }

    fn dripping(pieces: usize, size: usize) -> Reply {
        let body = Body::Stream { stream: drops(pieces, size), length: None, stored: None };
        Reply::new(StatusCode::OK, body).with(header::CONTENT_TYPE, "application/x-tar")
    }

    fn followed(pieces: usize, size: usize) -> Reply {
        Reply::new(StatusCode::OK, Body::Pieces(drops(pieces, size)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_fits_is_sent_inline() {
        let world = World::new().await;
        let reply = stored(&world, INLINE_BYTES, None).await;
        let sent = sent(&world, &Method::GET, reply, 9).await;
        assert_eq!(sent.reply.status, 200);
        assert_eq!(sent.bytes.len(), INLINE_BYTES);
        assert_eq!(header(&sent, "content-type"), Some("application/x-tar"));
        assert_eq!(world.memory.objects.names().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_object_is_fetched_where_it_is() {
        let world = World::new().await;
        for (method, status) in [(Method::GET, 307), (Method::POST, 303)] {
            let reply = stored(&world, BIG, None).await;
            let sent = sent(&world, &method, reply, 9).await;
            assert_eq!(sent.reply.status, status);
            assert!(sent.bytes.is_empty());
            assert_eq!(header(&sent, "cache-control"), Some("no-store"));
            assert_eq!(header(&sent, "accept-ranges"), None, "that is about what is there");
            let (name, bytes) = behind(&world, &sent).await;
            assert!(name.ends_with("/user/data/big"));
            assert_eq!(bytes.len(), BIG);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_member_becomes_an_object_of_its_own_once() {
        let world = World::new().await;
        let within = 7..7 + BIG as u64;
        for _ in 0..2 {
            let reply = stored(&world, BIG + 20, Some(within.clone())).await;
            let sent = sent(&world, &Method::GET, reply, 9).await;
            assert_eq!(sent.reply.status, 307);
            let (name, bytes) = behind(&world, &sent).await;
            assert!(name.starts_with("passing/"), "{name}");
            assert_eq!((bytes.len(), bytes[0]), (BIG, 7));
            assert_eq!(world.memory.objects.names().len(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_without_end_is_cut_in_time_and_says_so() {
        let world = World::new().await;
        for size in [3, 100 << 10] {
            let cut = sent(&world, &Method::GET, followed(1_000, size), 10).await;
            let said = (cut.reply.status.as_u16(), header(&cut, "tarpon-more"));
            assert_eq!(said, (200, Some("true")));
            assert!((9 * size..=10 * size).contains(&cut.bytes.len()), "{}", cut.bytes.len());
            let whole = sent(&world, &Method::GET, followed(5, size), 10).await;
            assert_eq!((header(&whole, "tarpon-more"), whole.bytes.len()), (None, 5 * size));
        }
        assert!(world.memory.objects.names().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_be_asked_for_again_is_sent_as_far_as_it_fits() {
        let world = World::new().await;
        let pieces = |count: usize| {
            let pieces = (0..count).map(|_| Ok(Bytes::from(vec![b'x'; (1 << 20) - 1])));
            Reply::new(StatusCode::OK, Body::Pieces(stream::iter(pieces).boxed()))
        };
        let all = sent(&world, &Method::GET, pieces(4), 10).await;
        assert_eq!((header(&all, "tarpon-more"), all.bytes.len()), (None, (4 << 20) - 4));
        let cut = sent(&world, &Method::GET, pieces(6), 10).await;
        assert_eq!((cut.reply.status.as_u16(), header(&cut, "tarpon-more")), (200, Some("true")));
        assert_eq!(cut.bytes.len(), (4 << 20) - 4, "pieces are whole");
        assert!(world.memory.objects.names().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_stream_becomes_an_object_whole_or_not_at_all() {
        let world = World::new().await;
        let whole = sent(&world, &Method::GET, dripping(6, 1 << 20), 10).await;
        assert_eq!((whole.reply.status.as_u16(), header(&whole, "tarpon-more")), (307, None));
        assert_eq!(behind(&world, &whole).await.1.len(), 6 << 20);
        is_late(tried(&world, &Method::GET, dripping(60, 1 << 20), 7).await).await;
        assert_eq!(world.memory.objects.names().len(), 1, "nothing is left of the other");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_stream_that_takes_too_long_is_no_answer() {
        let world = World::new().await;
        let whole = sent(&world, &Method::GET, dripping(5, 3), 10).await;
        assert_eq!((whole.reply.status.as_u16(), whole.bytes.len()), (200, 15));
        is_late(tried(&world, &Method::GET, dripping(1_000, 3), 10).await).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_that_takes_too_long_to_copy_is_no_answer() {
        let world = World::new().await;
        let reply = stored(&world, BIG + 20, Some(7..7 + BIG as u64)).await;
        is_late(tried(&world, &Method::GET, reply, 0).await).await;
        assert_eq!(world.memory.objects.names().len(), 1, "the archive alone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_the_length_and_no_body() {
        let world = World::new().await;
        let reply = stored(&world, BIG, None).await;
        let sent = sent(&world, &Method::HEAD, reply, 9).await;
        assert_eq!((sent.reply.status.as_u16(), sent.bytes.len()), (200, 0));
        assert_eq!(header(&sent, "content-length"), Some(BIG.to_string().as_str()));
    }
}
