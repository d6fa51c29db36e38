//! The outbox that speaks HTTP, against its suite and against name servers that
//! mean no good.

#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use shared::{
    conformance::outbox::{Received, Reply, Stage},
    guard::Guard,
    outbox::{HttpOutbox, LookUp},
    outbox_suite,
    platform::{Message, Outbox, OutboxError, Recipient},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

outbox_suite!(stage);

/// A receiver, at a port of its own.
struct Receiver {
    outbox: HttpOutbox,
    port: u16,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    replies: HashMap<String, Reply>,
    received: Vec<Received>,
}

async fn stage() -> (Arc<dyn Stage>, ()) {
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let outbox = HttpOutbox::with(guard, Duration::from_secs(1), names(&[]));
    (Arc::new(Receiver::at(Ipv4Addr::LOCALHOST, 0, outbox).await), ())
}

/// A look-up that answers with these addresses, one list after the other.
fn names(answers: &[&[Ipv4Addr]]) -> LookUp {
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().rev().map(|one| one.iter().copied().map(IpAddr::V4).collect()).collect();
    let answers = Arc::new(Mutex::new(answers));
    Arc::new(move |_| {
        let next = answers.lock().unwrap().pop();
        Box::pin(async move { next.ok_or_else(|| std::io::Error::other("asked once too often")) })
    })
}

impl Receiver {
    async fn at(ip: Ipv4Addr, port: u16, outbox: HttpOutbox) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let books = Arc::new(Mutex::new(Books::default()));
        let kept = Arc::clone(&books);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A sender that has heard enough hangs up.
                tokio::spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Receiver { outbox, port, books }
    }
}

#[async_trait]
impl Stage for Receiver {
    fn outbox(&self) -> &dyn Outbox {
        &self.outbox
    }

    async fn receiver(&self, path: &str, reply: Reply) -> String {
        self.books.lock().unwrap().replies.insert(format!("POST {path}"), reply);
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn received(&self) -> Vec<Received> {
        self.books.lock().unwrap().received.clone()
    }
}

async fn serve(stream: TcpStream, books: Arc<Mutex<Books>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.rsplit_once(' ').unwrap().0.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    let reply = {
        let mut books = books.lock().unwrap();
        let reply = books.replies.get(&target).cloned();
        books.received.push(Received { target, headers, body });
        reply.unwrap_or(Reply::Status(200, None))
    };
    match reply {
        Reply::Nothing => std::future::pending().await,
        Reply::Status(status, header) => {
            let header = header.map(|(name, value)| format!("{name}: {value}\r\n"));
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n{}\r\n",
                header.unwrap_or_default()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.shutdown().await
        }
        Reply::Endless(status) => {
            let head = format!("HTTP/1.1 {status} x\r\ntransfer-encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b"4\r\nmore\r\n").await?;
            }
        }
    }
}

fn message() -> Message {
    Message { content_type: "text/plain", headers: Vec::new(), body: Bytes::from_static(b"x") }
}

const ONE: Ipv4Addr = Ipv4Addr::LOCALHOST;
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An outbox that may talk to `127.0.0.2` alone, and hears these addresses.
fn wary(answers: &[&[Ipv4Addr]]) -> HttpOutbox {
    let guard = Guard::new(vec!["127.0.0.2/32".parse().unwrap()]);
    HttpOutbox::with(guard, Duration::from_secs(5), names(answers))
}

#[tokio::test]
async fn a_name_server_that_changes_its_answer_reaches_nothing_inside() {
    let inner = Receiver::at(ONE, 0, wary(&[])).await;
    // One look-up for each try: the second one is of the second try.
    let outer = Receiver::at(TWO, inner.port, wary(&[&[TWO], &[ONE]])).await;
    let url = Recipient::Url(format!("http://receiver.example:{}/", outer.port));
    let receipt = outer.outbox.deliver(&url, &message()).await.unwrap();
    assert_eq!(receipt.status, Some(200));
    let barred = outer.outbox.deliver(&url, &message()).await;
    assert!(matches!(barred, Err(OutboxError::Barred)), "{barred:?}");
    assert_eq!((outer.received().len(), inner.received().len()), (1, 0));
    let host = format!("receiver.example:{}", outer.port);
    assert!(outer.received()[0].headers.contains(&("host".into(), host)));
}

#[tokio::test]
async fn a_name_with_one_inner_address_among_others_is_not_asked() {
    let outer = Receiver::at(TWO, 0, wary(&[&[TWO, ONE]])).await;
    let url = Recipient::Url(format!("http://receiver.example:{}/", outer.port));
    let barred = outer.outbox.deliver(&url, &message()).await;
    assert!(matches!(barred, Err(OutboxError::Barred)), "{barred:?}");
    assert_eq!(outer.received(), []);
}

#[tokio::test]
async fn an_inner_address_is_not_asked_however_it_is_written() {
    let outbox = HttpOutbox::new(Guard::new(Vec::new()));
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "[fd00:ec2::254]",
        "localhost",
    ] {
        let url = Recipient::Url(format!("http://{host}:9/"));
        let barred = outbox.deliver(&url, &message()).await;
        assert!(matches!(barred, Err(OutboxError::Barred)), "{host}: {barred:?}");
    }
}

#[tokio::test]
async fn an_error_does_not_say_the_address() {
    let outbox = wary(&[]);
    let url = Recipient::Url("http://receiver.example:9/secret-path".into());
    let error = outbox.deliver(&url, &message()).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains("secret-path"), "{said}");
}
