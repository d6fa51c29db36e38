//! What [`Objects`] are: one check for each thing that their documentation says.

#![expect(missing_docs, reason = "a check's name is the sentence that it holds the store to")]
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check tells")]
#![expect(clippy::unwrap_used, reason = "an outcome that should not be is a failed check")]

use std::{collections::BTreeSet, io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use jiff::{SignedDuration, Timestamp};

use super::fresh;
use crate::platform::{
    ByteStream, Grant, GrantMethod, ObjectInfo, ObjectKey, ObjectPage, Objects, ObjectsError, Put,
    Range, SignedUrl, StoredObject, collect, one_chunk,
};

super::suite! {
    ($)
    /// Makes a test of every check that a store of objects has to pass. It
    /// takes the path of an `async fn` that returns a
    /// [`Subject`](shared::conformance::objects::Subject), as something that
    /// derefs to it, and whatever has to be kept until the check is over.
    objects_suite, &Subject, objects:
    what_was_put_is_got,
    an_object_that_was_never_put_is_none,
    an_empty_object_is_an_object,
    what_put_answers_is_known_ever_after,
    a_media_type_is_kept,
    putting_again_replaces,
    an_etag_changes_with_the_bytes,
    a_body_that_breaks_off_leaves_nothing,
    a_body_that_breaks_off_leaves_what_was_there,
    a_body_of_another_length_is_refused,
    a_body_of_the_right_length_is_stored,
    a_body_may_come_in_any_pieces,
    a_taken_name_is_not_written_if_absent,
    of_writers_if_absent_one_wins,
    a_name_can_be_taken_again_after_a_removal,
    a_removed_object_is_gone,
    removing_what_is_not_there_is_fine,
    a_part_is_read_by_its_range,
    a_range_ends_with_the_object,
    a_range_beyond_the_end_is_refused,
    a_reader_sees_one_object_whole,
    sixty_four_mebibytes_are_streamed,
    names_may_hold_any_text,
    a_name_may_have_1024_bytes,
    names_are_listed_in_bytewise_order,
    a_prefix_need_not_end_with_a_slash,
    a_listing_is_paged_whole,
    a_listing_stays_whole_while_objects_come_and_go,
    a_listing_tells_sizes_and_etags,
    a_removed_object_is_not_listed,
    a_signed_url_can_be_read,
    a_signed_url_of_nothing_is_not_found,
    a_signed_url_can_be_written,
    a_signed_url_permits_its_method_only,
    a_signed_url_keeps_to_its_length,
    a_signed_url_does_not_overwrite_if_absent,
    a_changed_url_permits_nothing,
    names_of_any_text_can_be_signed,
}

/// What is checked: objects, and a way to use their signed URLs.
pub struct Subject {
    pub objects: Arc<dyn Objects>,
    pub caller: Arc<dyn Caller>,
}

/// A client that has nothing but a signed URL.
#[async_trait]
pub trait Caller: Send + Sync {
    /// The status and body of the answer to `call`.
    async fn call(&self, call: Call) -> (u16, Bytes);
}

/// A request for a signed URL; it carries the URL's headers.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: &'static str,
    pub url: SignedUrl,
    /// The `Range` header: the first byte, and the one after the last.
    pub range: Option<Range>,
    pub body: Bytes,
}

/// Bytes that are surely kept in the most frugal way an adapter has, and bytes that surely are not.
const SIZES: [usize; 2] = [1000, 700 << 10];

const MEBIBYTE: usize = 1 << 20;

pub async fn what_was_put_is_got(Subject { objects, .. }: &Subject) {
    for size in [1, 4095, 4096, 61_439, 61_440, 61_441, 65_536, 262_145, MEBIBYTE, MEBIBYTE + 1] {
        let key = key("a");
        let body = body(size);
        objects.put(&key, one_chunk(body.clone()), Put::default()).await.unwrap();
        let stored = objects.get(&key, None).await.unwrap().unwrap();
        assert_eq!((stored.info.size, stored.part.clone()), (size as u64, 0..size as u64));
        assert!(read(stored).await == body, "{size} bytes came back changed");
    }
}

pub async fn an_object_that_was_never_put_is_none(Subject { objects, .. }: &Subject) {
    let key = key("a");
    assert!(objects.get(&key, None).await.unwrap().is_none());
    assert!(objects.get(&key, Some(Range { start: 5, end: None })).await.unwrap().is_none());
    assert_eq!(objects.info(&key).await.unwrap(), None);
}

pub async fn an_empty_object_is_an_object(Subject { objects, .. }: &Subject) {
    let key = key("a");
    put(&**objects, &key, b"").await;
    let stored = objects.get(&key, None).await.unwrap().unwrap();
    assert_eq!((stored.info.size, stored.part.clone()), (0, 0..0));
    assert_eq!(read(stored).await, Bytes::new());
    // No pieces at all are an empty body too.
    let none = stream::empty().boxed();
    assert_eq!(objects.put(&key, none, Put::default()).await.unwrap().size, 0);
    assert_eq!(objects.info(&key).await.unwrap().unwrap().size, 0);
}

pub async fn what_put_answers_is_known_ever_after(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        let before = Timestamp::now() - SignedDuration::from_secs(60);
        let info = objects.put(&key, one_chunk(body(size)), Put::default()).await.unwrap();
        assert_eq!((&info.key, info.size), (&key, size as u64));
        assert!(!info.etag.is_empty() && !info.etag.contains('"'), "etag {}", info.etag);
        let known = objects.info(&key).await.unwrap().unwrap();
        let after = Timestamp::now() + SignedDuration::from_secs(60);
        assert!((before..after).contains(&known.modified_at), "written at {}", known.modified_at);
        for known in [known, objects.get(&key, None).await.unwrap().unwrap().info] {
            assert_eq!((&known.key, known.size, &known.etag), (&key, size as u64, &info.etag));
        }
    }
}

pub async fn a_media_type_is_kept(Subject { objects, .. }: &Subject) {
    let key = key("a");
    let content_type = Some("application/x-tar; charset=\"utf-8\"".to_owned());
    let with = Put { content_type: content_type.clone(), ..Put::default() };
    objects.put(&key, one_chunk("x"), with).await.unwrap();
    assert_eq!(objects.info(&key).await.unwrap().unwrap().content_type, content_type);
    let stored = objects.get(&key, None).await.unwrap().unwrap();
    assert_eq!(stored.info.content_type, content_type);
}

pub async fn putting_again_replaces(Subject { objects, .. }: &Subject) {
    let key = key("a");
    // From small to large and back, so that nothing of the one before stays.
    for size in [10, 700 << 10, 20, 800 << 10, 900 << 10, 0, 5] {
        let body = body(size);
        put(&**objects, &key, &body).await;
        assert!(got(&**objects, &key).await == Some(body), "after {size} bytes");
    }
}

pub async fn an_etag_changes_with_the_bytes(Subject { objects, .. }: &Subject) {
    let key = key("a");
    let mut etags = BTreeSet::new();
    for body in ["a", "b", "aa", ""] {
        put(&**objects, &key, body.as_bytes()).await;
        etags.insert(objects.info(&key).await.unwrap().unwrap().etag);
    }
    assert_eq!(etags.len(), 4);
}

pub async fn a_body_that_breaks_off_leaves_nothing(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        for length in [None, Some(size as u64 * 2)] {
            let key = key("a");
            let put = Put { length, ..Put::default() };
            let refused = objects.put(&key, broken(size), put).await;
            assert!(matches!(refused, Err(ObjectsError::Body(_))), "{refused:?}");
            assert!(objects.info(&key).await.unwrap().is_none());
            assert!(objects.get(&key, None).await.unwrap().is_none());
            assert_eq!(objects.list(key.as_str(), None, 10).await.unwrap().objects, []);
        }
    }
}

pub async fn a_body_that_breaks_off_leaves_what_was_there(Subject { objects, .. }: &Subject) {
    for before in SIZES {
        for size in SIZES {
            let key = key("a");
            put(&**objects, &key, &body(before)).await;
            let etag = objects.info(&key).await.unwrap().unwrap().etag;
            let refused = objects.put(&key, broken(size), Put::default()).await;
            assert!(matches!(refused, Err(ObjectsError::Body(_))), "{refused:?}");
            assert_eq!(objects.info(&key).await.unwrap().unwrap().etag, etag);
            assert!(got(&**objects, &key).await == Some(body(before)));
        }
    }
}

pub async fn a_body_of_another_length_is_refused(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        for wanted in [size as u64 + 1, size as u64 - 1, 0] {
            let put = Put { length: Some(wanted), ..Put::default() };
            match objects.put(&key, one_chunk(body(size)), put).await {
                Err(ObjectsError::WrongLength { wanted: told, found }) => {
                    assert_eq!(told, wanted);
                    assert_eq!(found < wanted, (size as u64) < wanted, "found {found}");
                }
                other => panic!("{size} bytes as {wanted}: {other:?}"),
            }
            assert!(objects.info(&key).await.unwrap().is_none());
        }
    }
}

pub async fn a_body_of_the_right_length_is_stored(Subject { objects, .. }: &Subject) {
    for size in [0, SIZES[0], SIZES[1]] {
        let key = key("a");
        let put = Put { length: Some(size as u64), ..Put::default() };
        objects.put(&key, one_chunk(body(size)), put).await.unwrap();
        assert!(got(&**objects, &key).await == Some(body(size)));
    }
}

pub async fn a_body_may_come_in_any_pieces(Subject { objects, .. }: &Subject) {
    let whole = body(300_000);
    for piece in [7_777, 65_536, 299_999] {
        let key = key("a");
        let mut pieces = vec![Ok(Bytes::new())];
        pieces.extend(whole.chunks(piece).flat_map(|p| [Ok(whole.slice_ref(p)), Ok(Bytes::new())]));
        objects.put(&key, stream::iter(pieces).boxed(), Put::default()).await.unwrap();
        assert!(got(&**objects, &key).await == Some(whole.clone()), "in pieces of {piece}");
    }
}

pub async fn a_taken_name_is_not_written_if_absent(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        objects.put(&key, one_chunk(body(size)), if_absent()).await.unwrap();
        for other in SIZES {
            let refused = objects.put(&key, one_chunk(body(other + 1)), if_absent()).await;
            assert!(matches!(&refused, Err(ObjectsError::Exists(k)) if *k == key), "{refused:?}");
        }
        assert!(got(&**objects, &key).await == Some(body(size)));
    }
}

pub async fn of_writers_if_absent_one_wins(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        let bodies: Vec<Bytes> = (0..16).map(|n| body(size + n)).collect();
        let puts =
            bodies.iter().map(|body| objects.put(&key, one_chunk(body.clone()), if_absent()));
        let mut won = Vec::new();
        for (body, put) in bodies.iter().zip(join_all(puts).await) {
            match put {
                Ok(info) => won.push((body.clone(), info.etag)),
                Err(refused) => assert!(matches!(refused, ObjectsError::Exists(_)), "{refused:?}"),
            }
        }
        let [(body, etag)] = &won[..] else { panic!("{} writers won", won.len()) };
        assert_eq!(&objects.info(&key).await.unwrap().unwrap().etag, etag);
        assert!(got(&**objects, &key).await.as_ref() == Some(body));
    }
}

pub async fn a_name_can_be_taken_again_after_a_removal(Subject { objects, .. }: &Subject) {
    let key = key("a");
    for size in [SIZES[0], SIZES[1], SIZES[1], SIZES[0]] {
        objects.put(&key, one_chunk(body(size)), if_absent()).await.unwrap();
        objects.delete(&key).await.unwrap();
    }
}

pub async fn a_removed_object_is_gone(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let [key, other] = keys(["a", "a/b"]);
        put(&**objects, &key, &body(size)).await;
        put(&**objects, &other, b"stays").await;
        objects.delete(&key).await.unwrap();
        assert!(objects.info(&key).await.unwrap().is_none());
        assert!(objects.get(&key, None).await.unwrap().is_none());
        assert_eq!(got(&**objects, &other).await.unwrap(), "stays");
    }
}

pub async fn removing_what_is_not_there_is_fine(Subject { objects, .. }: &Subject) {
    let key = key("a");
    objects.delete(&key).await.unwrap();
    put(&**objects, &key, b"x").await;
    objects.delete(&key).await.unwrap();
    objects.delete(&key).await.unwrap();
}

pub async fn a_part_is_read_by_its_range(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        let whole = body(size);
        put(&**objects, &key, &whole).await;
        for (start, end) in [(0, 1), (0, size), (1, 2), (size / 3, size / 2), (size - 1, size)] {
            let range = Range { start: start as u64, end: Some(end as u64) };
            let stored = objects.get(&key, Some(range)).await.unwrap().unwrap();
            assert_eq!(stored.info.size, size as u64, "what is known is of the whole");
            assert_eq!(stored.part, start as u64..end as u64);
            assert!(read(stored).await == whole[start..end], "bytes {start}..{end} of {size}");
        }
    }
}

pub async fn a_range_ends_with_the_object(Subject { objects, .. }: &Subject) {
    for size in SIZES {
        let key = key("a");
        let whole = body(size);
        put(&**objects, &key, &whole).await;
        for end in [None, Some(size as u64 + 1), Some(size as u64 * 9)] {
            let start = size as u64 / 2;
            let stored = objects.get(&key, Some(Range { start, end })).await.unwrap().unwrap();
            assert_eq!(stored.part, start..size as u64);
            assert!(read(stored).await == whole[size / 2..]);
        }
    }
}

pub async fn a_range_beyond_the_end_is_refused(Subject { objects, .. }: &Subject) {
    let key = key("a");
    put(&**objects, &key, b"hello").await;
    for start in [5, 6, u64::MAX >> 1] {
        match objects.get(&key, Some(Range { start, end: None })).await {
            Err(ObjectsError::OutOfRange { size }) => assert_eq!(size, 5),
            Err(other) => panic!("from byte {start}: {other:?}"),
            Ok(_) => panic!("there is nothing from byte {start} on"),
        }
    }
}

pub async fn a_reader_sees_one_object_whole(Subject { objects, .. }: &Subject) {
    let key = key("a");
    let whole = |n: u8| Bytes::from(vec![n; SIZES[usize::from(n) % 2] + usize::from(n)]);
    put(&**objects, &key, &whole(0)).await;
    let writing = async {
        for n in 1..20 {
            put(&**objects, &key, &whole(n)).await;
        }
    };
    let reading = async {
        loop {
            let bytes = got(&**objects, &key).await.unwrap();
            let n = bytes[0];
            assert!(bytes == whole(n), "{} bytes of object {n}", bytes.len());
            if n == 19 {
                break;
            }
            // A store that is never slow must not starve the writer.
            tokio::task::yield_now().await;
        }
    };
    futures::join!(writing, reading);
}

pub async fn sixty_four_mebibytes_are_streamed(Subject { objects, .. }: &Subject) {
    const PIECES: u8 = 64;
    let key = key("a");
    let pieces = (0..PIECES).map(|n| Ok(Bytes::from(vec![n; MEBIBYTE])));
    let info = objects.put(&key, stream::iter(pieces).boxed(), Put::default()).await.unwrap();
    assert_eq!(info.size, u64::from(PIECES) * MEBIBYTE as u64);

    let mut stored = objects.get(&key, None).await.unwrap().unwrap();
    let mut at = 0;
    while let Some(mut bytes) = stored.body.try_next().await.unwrap() {
        assert!(bytes.len() <= 8 * MEBIBYTE, "{} bytes in one piece", bytes.len());
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(MEBIBYTE - at % MEBIBYTE));
            let expected = u8::try_from(at / MEBIBYTE).unwrap();
            assert!(part == vec![expected; part.len()], "wrong bytes at {at}");
            at += part.len();
        }
    }
    assert_eq!(at as u64, info.size);
}

/// Names that a file system, a URL or a careless prefix would trip over.
const ODD: [&str; 30] = [
    "a",
    "a/b",
    "a/",
    "a//b",
    "/a",
    "//",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "./a",
    "A",
    "a.",
    "a b",
    " ",
    "a+b",
    "a%2Fb",
    "a%",
    "a?b=c&d",
    "a#b",
    "a\\b",
    "\"'<>",
    "a\nb",
    "~",
    "*",
    "é",
    "e\u{301}",
    "日本語",
    "\u{1f41f}",
];

pub async fn names_may_hold_any_text(Subject { objects, .. }: &Subject) {
    let run = fresh();
    let name = |odd: &str| ObjectKey::stored(format!("{run}/{odd}"));
    for odd in ODD {
        put(&**objects, &name(odd), odd.as_bytes()).await;
    }
    for odd in ODD {
        let found = got(&**objects, &name(odd)).await;
        assert_eq!(found.as_deref(), Some(odd.as_bytes()), "under the name {odd:?}");
    }
    let listed = walk(&**objects, &format!("{run}/"), 1000).await;
    let expected: BTreeSet<String> = ODD.iter().map(|odd| format!("{run}/{odd}")).collect();
    assert_eq!(names(&listed), Vec::from_iter(expected));
    for odd in ODD {
        objects.delete(&name(odd)).await.unwrap();
        assert!(objects.info(&name(odd)).await.unwrap().is_none(), "{odd:?} is still there");
    }
}

pub async fn a_name_may_have_1024_bytes(Subject { objects, .. }: &Subject) {
    let start = fresh();
    for filler in ["x", "x/", "日"] {
        let room = 1023 - start.len();
        let filling = filler.repeat(room / filler.len());
        let long =
            format!("{start}{filling:x<pad$}", pad = filling.chars().count() + room % filler.len());
        assert_eq!(long.len(), 1023);
        let [one, other] = ["1", "2"].map(|end| ObjectKey::stored(format!("{long}{end}")));
        put(&**objects, &one, b"one").await;
        put(&**objects, &other, b"other").await;
        assert_eq!(got(&**objects, &one).await.unwrap(), "one");
        assert_eq!(got(&**objects, &other).await.unwrap(), "other");
        assert_eq!(names(&walk(&**objects, &long, 10).await), [one.as_str(), other.as_str()]);
    }
}

pub async fn names_are_listed_in_bytewise_order(Subject { objects, .. }: &Subject) {
    let run = fresh();
    let ordered = ["/", "10", "9", "A", "Z", "a", "a-", "a/b", "a0", "é", "\u{fffd}", "\u{10000}"];
    fill(&**objects, &run, &ordered).await;
    let expected = ordered.map(|name| format!("{run}{name}"));
    assert_eq!(names(&walk(&**objects, &run, 1000).await), expected);
}

pub async fn a_prefix_need_not_end_with_a_slash(Subject { objects, .. }: &Subject) {
    let run = fresh();
    fill(&**objects, &run, &["a", "ab", "ab/c", "b", "é", "ê"]).await;
    for (prefix, expected) in [
        ("", vec!["a", "ab", "ab/c", "b", "é", "ê"]),
        ("a", vec!["a", "ab", "ab/c"]),
        ("ab", vec!["ab", "ab/c"]),
        ("ab/", vec!["ab/c"]),
        ("é", vec!["é"]),
        ("c", vec![]),
    ] {
        let listed = walk(&**objects, &format!("{run}{prefix}"), 1000).await;
        let expected: Vec<_> = expected.iter().map(|name| format!("{run}{name}")).collect();
        assert_eq!(names(&listed), expected, "with the prefix {prefix:?}");
    }
}

pub async fn a_listing_is_paged_whole(Subject { objects, .. }: &Subject) {
    let run = fresh();
    let all: Vec<String> = (0..25).map(|n| format!("/{n:02}")).collect();
    fill(&**objects, &run, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    put(&**objects, &ObjectKey::stored(format!("{run}0")), b"behind the prefix").await;
    let expected: Vec<_> = all.iter().map(|name| format!("{run}{name}")).collect();
    for limit in [1, 7, 24, 25, 26, 1000] {
        let listed = walk(&**objects, &format!("{run}/"), limit).await;
        assert_eq!(names(&listed), expected, "in pages of {limit}");
    }
}

pub async fn a_listing_stays_whole_while_objects_come_and_go(Subject { objects, .. }: &Subject) {
    let run = fresh();
    fill(&**objects, &run, &["b", "d", "f", "h"]).await;
    let first = page(&**objects, &run, None, 2).await;
    assert_eq!(names(&first.objects), [format!("{run}b"), format!("{run}d")]);

    fill(&**objects, &run, &["a", "c", "e"]).await;
    for gone in ["d", "h"] {
        objects.delete(&ObjectKey::stored(format!("{run}{gone}"))).await.unwrap();
    }

    let rest = page(&**objects, &run, first.cursor.as_deref(), 1000).await;
    assert_eq!(names(&rest.objects), [format!("{run}e"), format!("{run}f")]);
}

pub async fn a_listing_tells_sizes_and_etags(Subject { objects, .. }: &Subject) {
    let [small, large] = keys(["a", "b"]);
    for (key, size) in [(&small, SIZES[0]), (&large, SIZES[1])] {
        put(&**objects, key, &body(size)).await;
        let listed = walk(&**objects, key.as_str(), 10).await;
        let known = objects.info(key).await.unwrap().unwrap();
        assert_eq!((listed[0].size, &listed[0].etag), (size as u64, &known.etag));
    }
}

pub async fn a_removed_object_is_not_listed(Subject { objects, .. }: &Subject) {
    let run = fresh();
    fill(&**objects, &run, &["a", "b", "c"]).await;
    objects.delete(&ObjectKey::stored(format!("{run}b"))).await.unwrap();
    let expected = [format!("{run}a"), format!("{run}c")];
    assert_eq!(names(&walk(&**objects, &run, 10).await), expected);
}

pub async fn a_signed_url_can_be_read(subject: &Subject) {
    for size in SIZES {
        let key = key("a");
        let whole = body(size);
        put(&*subject.objects, &key, &whole).await;
        let url = sign(subject, &key, GrantMethod::Get).await;
        let (status, read) = call(subject, "GET", &url, b"").await;
        assert_eq!(status, 200);
        assert!(read == whole);
        let range = Some(Range { start: 5, end: Some(900) });
        let ranged = Call { method: "GET", url, range, body: Bytes::new() };
        let (status, read) = subject.caller.call(ranged).await;
        assert_eq!(status, 206);
        assert!(read == whole[5..900]);
    }
}

pub async fn a_signed_url_of_nothing_is_not_found(subject: &Subject) {
    let url = sign(subject, &key("a"), GrantMethod::Get).await;
    assert_eq!(call(subject, "GET", &url, b"").await.0, 404);
}

pub async fn a_signed_url_can_be_written(subject: &Subject) {
    for size in SIZES {
        for (if_absent, length) in [(false, None), (true, None), (true, Some(size as u64))] {
            let key = key("a");
            let url = sign(subject, &key, GrantMethod::Put { if_absent, length }).await;
            assert_success(call(subject, "PUT", &url, &body(size)).await);
            assert!(got(&*subject.objects, &key).await == Some(body(size)));
        }
    }
}

pub async fn a_signed_url_permits_its_method_only(subject: &Subject) {
    let key = key("a");
    put(&*subject.objects, &key, b"before").await;
    let read = sign(subject, &key, GrantMethod::Get).await;
    let write = sign(subject, &key, GrantMethod::Put { if_absent: false, length: None }).await;
    for (method, url) in [("PUT", &read), ("DELETE", &read), ("GET", &write), ("DELETE", &write)] {
        assert_refused(call(subject, method, url, b"after").await);
    }
    assert_eq!(got(&*subject.objects, &key).await.unwrap(), "before");
}

pub async fn a_signed_url_keeps_to_its_length(subject: &Subject) {
    let key = key("a");
    let method = GrantMethod::Put { if_absent: false, length: Some(5) };
    let mut url = sign(subject, &key, method).await;
    // A client that lies: its request says how long its body really is.
    url.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    assert_refused(call(subject, "PUT", &url, b"much longer").await);
    assert_refused(call(subject, "PUT", &url, b"less").await);
    assert!(subject.objects.info(&key).await.unwrap().is_none());
}

pub async fn a_signed_url_does_not_overwrite_if_absent(subject: &Subject) {
    let key = key("a");
    let url = sign(subject, &key, GrantMethod::Put { if_absent: true, length: None }).await;
    assert_success(call(subject, "PUT", &url, b"first").await);
    assert_eq!(call(subject, "PUT", &url, b"second").await.0, 412);
    assert_eq!(got(&*subject.objects, &key).await.unwrap(), "first");
}

pub async fn a_changed_url_permits_nothing(subject: &Subject) {
    let [mine, theirs] = keys(["mine", "they"]);
    put(&*subject.objects, &mine, b"mine").await;
    put(&*subject.objects, &theirs, b"theirs").await;
    let url = sign(subject, &mine, GrantMethod::Get).await;
    let (path, query) = url.url.split_once('?').unwrap();
    let other = sign(subject, &theirs, GrantMethod::Get).await;
    let (other_path, _) = other.url.split_once('?').unwrap();
    for forged in [path.to_owned(), format!("{other_path}?{query}")] {
        let forged = SignedUrl { url: forged, headers: url.headers.clone() };
        assert_refused(call(subject, "GET", &forged, b"").await);
    }
}

pub async fn names_of_any_text_can_be_signed(subject: &Subject) {
    let run = fresh();
    for odd in ODD {
        let key = ObjectKey::stored(format!("{run}/{odd}"));
        let method = GrantMethod::Put { if_absent: true, length: None };
        let url = sign(subject, &key, method).await;
        assert_success(call(subject, "PUT", &url, odd.as_bytes()).await);
        assert_eq!(got(&*subject.objects, &key).await.unwrap(), odd, "under the name {odd:?}");
        let url = sign(subject, &key, GrantMethod::Get).await;
        assert_eq!(call(subject, "GET", &url, b"").await, (200, Bytes::from(odd)));
    }
}

// What the checks are made of.

fn key(name: &str) -> ObjectKey {
    ObjectKey::stored(format!("{}/{name}", fresh()))
}

fn keys<const N: usize>(names: [&str; N]) -> [ObjectKey; N] {
    let run = fresh();
    names.map(|name| ObjectKey::stored(format!("{run}/{name}")))
}

fn if_absent() -> Put {
    Put { if_absent: true, ..Put::default() }
}

/// Bytes of which no two stretches are alike.
fn body(size: usize) -> Bytes {
    let numbers = (0_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    numbers.take(size).collect()
}

/// A body of this many bytes, and then an error.
fn broken(size: usize) -> ByteStream {
    let error = io::Error::new(io::ErrorKind::ConnectionReset, "the sender went away");
    stream::iter([Ok(body(size)), Err(error)]).boxed()
}

async fn put(objects: &dyn Objects, key: &ObjectKey, body: &[u8]) {
    let body = one_chunk(Bytes::copy_from_slice(body));
    objects.put(key, body, Put::default()).await.unwrap();
}

async fn fill(objects: &dyn Objects, run: &str, names: &[&str]) {
    for name in names.iter().rev() {
        put(objects, &ObjectKey::stored(format!("{run}{name}")), b"x").await;
    }
}

async fn got(objects: &dyn Objects, key: &ObjectKey) -> Option<Bytes> {
    match objects.get(key, None).await.unwrap() {
        Some(stored) => Some(read(stored).await),
        None => None,
    }
}

async fn read(stored: StoredObject) -> Bytes {
    collect(stored.body).await.unwrap()
}

async fn page(
    objects: &dyn Objects,
    prefix: &str,
    cursor: Option<&str>,
    limit: usize,
) -> ObjectPage {
    let page = objects.list(prefix, cursor, limit).await.unwrap();
    assert!(page.objects.len() <= limit, "a page of {} objects", page.objects.len());
    page
}

/// Everything that is listed, page by page.
async fn walk(objects: &dyn Objects, prefix: &str, limit: usize) -> Vec<ObjectInfo> {
    let mut all = Vec::new();
    let mut cursor = None;
    for _ in 0..1000 {
        let page = page(objects, prefix, cursor.as_deref(), limit).await;
        all.extend(page.objects);
        cursor = page.cursor;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("a listing without an end: {prefix}");
}

fn names(objects: &[ObjectInfo]) -> Vec<&str> {
    objects.iter().map(|object| object.key.as_str()).collect()
}

async fn sign(subject: &Subject, key: &ObjectKey, method: GrantMethod) -> SignedUrl {
    let expires_at = Timestamp::now() + SignedDuration::from_mins(5);
    subject.objects.sign(&Grant { method, key: key.clone(), expires_at }).await.unwrap()
}

async fn call(
    subject: &Subject,
    method: &'static str,
    url: &SignedUrl,
    body: &[u8],
) -> (u16, Bytes) {
    let body = Bytes::copy_from_slice(body);
    subject.caller.call(Call { method, url: url.clone(), range: None, body }).await
}

fn assert_success((status, body): (u16, Bytes)) {
    assert!((200..300).contains(&status), "{status} {body:?}");
}

fn assert_refused((status, body): (u16, Bytes)) {
    assert!((400..500).contains(&status), "{status} {body:?}");
}
