//! A service that answers what it is told to, for tests of calls.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{
    config::{Aws, Credentials},
    signed::SignedCalls,
};
use crate::platform::Clock;

/// The service, and what it was asked.
pub(super) struct Pretend {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    answers: VecDeque<(u16, String)>,
    requests: Vec<String>,
}

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

impl Pretend {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared::default()));
        let kept = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &kept).await;
            }
        });
        Pretend { url, shared }
    }

    /// Who calls it.
    pub(super) fn calls(&self) -> SignedCalls {
        SignedCalls::new(&self.aws(), Self::clock())
    }

    /// What a client of it is made from.
    pub(super) fn aws(&self) -> Aws {
        let credentials = Credentials::new("id", "secret", None, None, "tests");
        Aws::new("eu-west-1".into(), credentials, Some(self.url.clone()))
    }

    /// A clock that stands still.
    pub(super) fn clock() -> Arc<dyn Clock> {
        Arc::new(Epoch)
    }

    /// The next answer.
    pub(super) fn answers(&self, status: u16, body: &Value) {
        self.shared.lock().unwrap().answers.push_back((status, body.to_string()));
    }

    /// Every request, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// Every operation that was asked for of a service whose targets start so.
    pub(super) fn operations(&self, target: &str) -> Vec<String> {
        let header = format!("x-amz-target: {}.", target.to_lowercase());
        let operation = |request: &String| {
            let at = request.to_lowercase().find(&header)? + header.len();
            request[at..].lines().next().map(str::to_owned)
        };
        self.requests().iter().filter_map(operation).collect()
    }
}

/// One request a connection, which it then closes.
async fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(&mut stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).await.unwrap() == 0 {
            return;
        }
    }
    let length = request
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map(|rest| rest.lines().next().unwrap().parse::<usize>().unwrap());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).await.unwrap();
    request.push_str(&String::from_utf8(body).unwrap());
    let (status, body) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(request);
        shared.answers.pop_front().unwrap_or((500, "{}".into()))
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}
