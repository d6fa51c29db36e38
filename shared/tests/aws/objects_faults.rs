//! What the objects do when S3, or the way to it, or the caller fails.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use shared::{
    aws::{
        config::Aws,
        objects::{Refused, S3Objects},
    },
    platform::{
        ByteStream, Grant, GrantMethod, ObjectKey, Objects, ObjectsError, Put, collect, one_chunk,
    },
};

use super::{
    wire::{Fault, Wire},
    world,
};

const MEBIBYTE: usize = 1 << 20;

/// A bucket, and the same at the end of a wire.
struct Setup {
    aws: Aws,
    bucket: String,
    near: S3Objects,
    far: S3Objects,
    wire: Wire,
}

impl Setup {
    async fn new() -> Self {
        let aws = world::aws();
        let bucket = world::new_bucket(&aws).await;
        let near = world::open_objects(&aws, &bucket);
        let wire = Wire::new().await;
        let far = world::open_objects(&world::aws().at(wire.address()), &bucket);
        Setup { aws, bucket, near, far, wire }
    }

    /// How many uploads are neither objects nor given up.
    async fn uploads(&self) -> usize {
        let call = self.aws.s3().list_multipart_uploads().bucket(&self.bucket);
        call.send().await.unwrap().uploads().len()
    }
}

fn key() -> ObjectKey {
    ObjectKey::stored("a")
}

fn long() -> Bytes {
    world::noise(20 * MEBIBYTE)
}

fn if_absent() -> Put {
    Put { if_absent: true, ..Put::default() }
}

fn pieces(bytes: &Bytes) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(MEBIBYTE).map(|piece| Ok(bytes.slice_ref(piece))).collect();
    stream::iter(pieces).boxed()
}

fn answer(status: u16, code: &str) -> Fault {
    Fault::Answer(status, format!("<Error><Code>{code}</Code><Message>as asked</Message></Error>"))
}

async fn read(objects: &S3Objects) -> Option<Bytes> {
    let stored = objects.get(&key(), None).await.unwrap()?;
    Some(collect(stored.body).await.unwrap())
}

#[tokio::test]
async fn an_object_whose_answer_is_lost_is_ones_own() {
    for (call, bytes) in [("PUT /", Bytes::from("short")), ("?uploadId", long())] {
        let setup = Setup::new().await;
        // For the long one: of a part, and of what makes an object of the parts.
        if bytes.len() > MEBIBYTE {
            setup.wire.next("partNumber=2", Fault::Lose);
        }
        setup.wire.next(call, Fault::Lose);
        let info = setup.far.put(&key(), pieces(&bytes), if_absent()).await.unwrap();
        let known = setup.near.info(&key()).await.unwrap().unwrap();
        assert_eq!((known.etag, known.size), (info.etag, bytes.len() as u64));
        assert!(read(&setup.near).await == Some(bytes));
        assert_eq!((setup.wire.left(), setup.uploads().await), (0, 0));
    }
}

#[tokio::test]
async fn a_name_that_was_taken_before_an_answer_was_lost_is_taken() {
    for bytes in [Bytes::from("short"), long()] {
        let setup = Setup::new().await;
        setup.near.put(&key(), one_chunk("first"), Put::default()).await.unwrap();
        let call = if bytes.len() > MEBIBYTE { "?uploadId" } else { "PUT /" };
        setup.wire.next(call, Fault::Lose);
        let refused = setup.far.put(&key(), pieces(&bytes), if_absent()).await;
        assert!(matches!(refused, Err(ObjectsError::Exists(_))), "{refused:?}");
        assert_eq!(read(&setup.near).await.unwrap(), "first");
        assert_eq!((setup.wire.left(), setup.uploads().await), (0, 0));
    }
}

#[tokio::test]
async fn a_store_that_is_busy_is_asked_again() {
    let setup = Setup::new().await;
    for fault in [
        answer(503, "SlowDown"),
        answer(500, "InternalError"),
        answer(409, "ConditionalRequestConflict"),
    ] {
        setup.wire.next("PUT /", fault);
    }
    setup.far.put(&key(), one_chunk("x"), if_absent()).await.unwrap();
    for fault in [answer(503, "SlowDown"), answer(409, "ConditionalRequestConflict")] {
        setup.wire.next("?uploadId", fault);
    }
    setup.wire.next("partNumber=1", answer(503, "SlowDown"));
    let long = long();
    setup.far.put(&key(), pieces(&long), Put::default()).await.unwrap();
    setup.wire.next("GET /", answer(503, "SlowDown"));
    assert!(read(&setup.far).await == Some(long));
    assert_eq!(setup.wire.left(), 0);
}

#[tokio::test]
async fn a_store_that_stays_busy_is_not_asked_for_ever() {
    let setup = Setup::new().await;
    for _ in 0..100 {
        setup.wire.next("PUT /", answer(503, "SlowDown"));
        setup.wire.next("GET /", answer(503, "SlowDown"));
    }
    let put = setup.far.put(&key(), one_chunk("x"), Put::default()).await;
    assert!(matches!(put, Err(ObjectsError::Unavailable(_))), "{put:?}");
    assert!(matches!(setup.far.get(&key(), None).await, Err(ObjectsError::Unavailable(_))));
    assert!(setup.wire.left() > 180, "{} faults are left", setup.wire.left());
}

#[tokio::test]
async fn an_upload_that_fails_leaves_nothing() {
    let setup = Setup::new().await;
    setup.wire.next("partNumber=3", answer(403, "AccessDenied"));
    let put = setup.far.put(&key(), pieces(&long()), Put::default()).await;
    assert!(matches!(put, Err(ObjectsError::Unavailable(_))), "{put:?}");
    assert_eq!(setup.uploads().await, 0);

    let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let broken = pieces(&long()).chain(stream::iter([Err(gone)])).boxed();
    let put = setup.near.put(&key(), broken, Put::default()).await;
    assert!(matches!(put, Err(ObjectsError::Body(_))), "{put:?}");

    let length = Some(long().len() as u64 + 1);
    let put = setup.near.put(&key(), pieces(&long()), Put { length, ..Put::default() }).await;
    assert!(matches!(put, Err(ObjectsError::WrongLength { .. })), "{put:?}");
    assert_eq!((setup.uploads().await, read(&setup.near).await), (0, None));
}

#[tokio::test]
async fn a_cancelled_upload_is_given_up() {
    let setup = Setup::new().await;
    let (under_way, mut seen) = tokio::sync::mpsc::channel(1);
    let endless = stream::repeat_with(|| Ok(Bytes::from(vec![1; MEBIBYTE]))).then(move |piece| {
        let under_way = under_way.clone();
        async move {
            under_way.send(()).await.ok();
            piece
        }
    });
    let enough = async {
        for _ in 0..20 {
            seen.recv().await;
        }
        assert_eq!(setup.uploads().await, 1);
    };
    let key = key();
    tokio::select! {
        put = setup.near.put(&key, endless.boxed(), Put::default()) => panic!("an endless upload ended: {put:?}"),
        () = enough => {}
    }
    let settled = async {
        while setup.uploads().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(std::time::Duration::from_secs(20), settled).await;
    assert!(settled.is_ok(), "parts are left behind");
    assert!(read(&setup.near).await.is_none());
}

#[tokio::test]
async fn an_object_that_breaks_off_is_an_error_to_its_reader() {
    let setup = Setup::new().await;
    let head = "content-length: 10\r\n\r\nhalf".to_owned();
    // A head that promises more than comes.
    setup.wire.next("GET /", Fault::Raw(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}")));
    let stored = setup.far.get(&key(), None).await.unwrap().unwrap();
    assert_eq!(stored.info.size, 10);
    assert!(collect(stored.body).await.is_err());
}

#[tokio::test]
async fn names_that_no_store_has_are_refused() {
    let objects = world::objects(&world::aws()).await;
    for name in [String::new(), "x".repeat(1025)] {
        let key = ObjectKey::stored(name);
        let put = objects.put(&key, one_chunk("x"), Put::default()).await;
        let Err(ObjectsError::Unavailable(source)) = put else { panic!("{put:?}") };
        assert_eq!(source.downcast_ref(), Some(&Refused::Name));
    }
}

#[tokio::test]
async fn a_url_is_good_until_it_expires() {
    let aws = world::aws();
    let now = world::clock().now();
    let earlier = now - jiff::SignedDuration::from_mins(10);
    let early =
        S3Objects::new(aws.s3(), world::new_bucket(&aws).await, Arc::new(world::At(earlier)));
    early.put(&key(), one_chunk("x"), Put::default()).await.unwrap();
    for (minutes, expected) in [(-5, 403), (5, 200)] {
        let expires_at = now + jiff::SignedDuration::from_mins(minutes);
        let grant = Grant { method: GrantMethod::Get, key: key(), expires_at };
        let url = early.sign(&grant).await.unwrap();
        assert_eq!(super::objects::get(&url).await.0, expected, "{}", url.url);
    }
    let grant = Grant { method: GrantMethod::Get, key: key(), expires_at: earlier };
    assert!(early.sign(&grant).await.is_err());
}
