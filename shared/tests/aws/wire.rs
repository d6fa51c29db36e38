//! A wire between a client and the stand-in that fails on cue.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// What happens to a request.
pub enum Fault {
    /// It is carried out, and its answer is lost.
    Lose,
    /// The same, but the client hears of it only once it is let go on.
    LoseAfter(oneshot::Receiver<()>),
    /// It is not carried out, but answered.
    Answer(u16, String),
    /// The same, but this is all that comes.
    Raw(String),
}

/// A fault for the next request that has `text` somewhere in its head.
struct Trap {
    text: String,
    fault: Fault,
}

#[derive(Clone)]
pub struct Wire {
    traps: Arc<Mutex<VecDeque<Trap>>>,
    address: String,
}

impl Wire {
    /// A wire to the stand-in.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let wire = Wire { traps: Arc::default(), address };
        let serving = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let wire = serving.clone();
                // A client may go away at any time.
                tokio::spawn(async move { wire.carry(client).await.ok() });
            }
        });
        wire
    }

    /// Its near end.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Has the next request with `text` in its head fail.
    pub fn next(&self, text: &str, fault: Fault) {
        let trap = Trap { text: text.to_ascii_lowercase(), fault };
        self.traps.lock().unwrap().push_back(trap);
    }

    /// How many faults are still to come.
    pub fn left(&self) -> usize {
        self.traps.lock().unwrap().len()
    }

    fn fault(&self, head: &str) -> Option<Fault> {
        let mut traps = self.traps.lock().unwrap();
        let head = head.to_ascii_lowercase();
        let place = traps.iter().position(|trap| head.contains(&trap.text))?;
        traps.remove(place).map(|trap| trap.fault)
    }

    /// One request, and its answer: a connection each.
    async fn carry(&self, mut client: TcpStream) -> io::Result<()> {
        let (head, body) = read_request(&mut client).await?;
        match self.fault(&head) {
            None => client.write_all(&ask(&head, &body).await?).await,
            Some(Fault::Lose) => ask(&head, &body).await.map(drop),
            Some(Fault::LoseAfter(permit)) => {
                ask(&head, &body).await?;
                permit.await.map_err(io::Error::other)
            }
            Some(Fault::Raw(text)) => client.write_all(text.as_bytes()).await,
            Some(Fault::Answer(status, text)) => {
                let length = text.len();
                let head = format!(
                    "HTTP/1.1 {status} Fault\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                client.write_all(&[head.as_bytes(), text.as_bytes()].concat()).await
            }
        }
    }
}

/// The stand-in's answer, as it is.
async fn ask(head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let address = stand_in();
    let mut server = TcpStream::connect(address.trim_start_matches("http://")).await?;
    // The end of the answer is then the end of the connection.
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(&[head.as_bytes(), body].concat()).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[expect(clippy::disallowed_methods, reason = "tests are told where the stand-in is")]
fn stand_in() -> String {
    std::env::var("TARPON_TEST_AWS").unwrap()
}

async fn read_request(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    while body.len() < length(&head) {
        if client.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((head, body))
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}
