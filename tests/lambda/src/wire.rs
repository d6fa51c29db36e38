//! The way of one function to AWS: notes every call, and fails on cue.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::call::{Asked, Call};

/// How a way is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Every so manieth call is throttled, in the API's own words; 0 for none.
    pub throttled: u32,
    /// Every so manieth call is carried out, and its answer is lost.
    pub cut: u32,
}

/// Where calls go.
#[derive(Clone, Debug)]
pub struct Places {
    /// All of AWS, as `host:port`.
    pub aws: String,
    /// But ECS.
    pub ecs: String,
}

/// A way.
#[derive(Debug)]
pub struct Wire {
    address: String,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    places: Places,
    weather: Weather,
    count: AtomicU32,
    noted: Mutex<Vec<Call>>,
    strange: Mutex<Vec<String>>,
    /// How many more changes until whoever makes them dies.
    trap: Mutex<Option<u32>>,
    doom: Notify,
}

impl Wire {
    /// A way to these places.
    pub async fn open(places: Places, weather: Weather) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let inner = Arc::new(Inner {
            places,
            weather,
            count: AtomicU32::new(0),
            noted: Mutex::default(),
            strange: Mutex::default(),
            trap: Mutex::default(),
            doom: Notify::new(),
        });
        let serving = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let inner = Arc::clone(&serving);
                // A client may go away at any time.
                tokio::spawn(async move { inner.carry(client).await.ok() });
            }
        });
        Ok(Wire { address, inner })
    }

    /// Its near end.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every call so far.
    pub fn noted(&self) -> Vec<Call> {
        guard(&self.inner.noted).clone()
    }

    /// Calls that are of no kind that is known here.
    pub fn strange(&self) -> Vec<String> {
        guard(&self.inner.strange).clone()
    }

    /// Whoever uses it dies once `changes` changes are done and before it hears
    /// of the last; with 0, before it has done anything.
    pub fn set_trap(&self, changes: u32) {
        *guard(&self.inner.trap) = Some(changes);
    }

    /// Whether the trap is still set.
    pub fn is_set(&self) -> bool {
        guard(&self.inner.trap).is_some()
    }

    /// Waits until whoever uses it is to die.
    pub async fn doomed(&self) {
        self.inner.doom.notified().await;
    }
}

/// What becomes of a call.
enum Fate {
    Carried,
    Throttled,
    /// Its answer is lost.
    Cut,
    /// Nobody is there to hear the answer; `carried` says whether there is one.
    Fatal {
        carried: bool,
    },
}

impl Inner {
    /// One request, and its answer: a connection each.
    async fn carry(&self, mut client: TcpStream) -> io::Result<()> {
        let (head, asked) = read_request(&mut client).await?;
        let call = Call::of(&asked);
        let fate = self.fate(call.as_ref());
        match call {
            Some(call) => guard(&self.noted).push(call),
            None => guard(&self.strange).push(format!("{} {}", asked.method, asked.target)),
        }
        match fate {
            Fate::Carried => client.write_all(&self.ask(&head, &asked).await?).await,
            Fate::Throttled => client.write_all(throttled(&asked).as_bytes()).await,
            Fate::Cut => self.ask(&head, &asked).await.map(drop),
            Fate::Fatal { carried } => {
                if carried {
                    self.ask(&head, &asked).await?;
                }
                self.doom.notify_one();
                // Until it is gone.
                client.read_to_end(&mut Vec::new()).await.map(drop)
            }
        }
    }

    fn fate(&self, call: Option<&Call>) -> Fate {
        // Who was given a URL is somebody else.
        if call.is_some_and(|call| !call.by_url) {
            let mut trap = guard(&self.trap);
            let changes = call.is_some_and(|call| call.changes);
            match *trap {
                Some(0) => {
                    *trap = None;
                    return Fate::Fatal { carried: false };
                }
                Some(1) if changes => {
                    *trap = None;
                    return Fate::Fatal { carried: true };
                }
                Some(left) if changes => *trap = Some(left - 1),
                Some(_) | None => {}
            }
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let is_turn = |every: u32| every > 0 && number.is_multiple_of(every);
        if is_turn(self.weather.throttled) {
            Fate::Throttled
        } else if is_turn(self.weather.cut) {
            Fate::Cut
        } else {
            Fate::Carried
        }
    }

    /// The answer, as it is.
    async fn ask(&self, head: &str, asked: &Asked) -> io::Result<Vec<u8>> {
        let is_ecs = asked.operation().is_some_and(|(api, _)| api.contains("ContainerService"));
        let place = if is_ecs { &self.places.ecs } else { &self.places.aws };
        let mut server = TcpStream::connect(place).await?;
        // The end of the answer is then the end of the connection.
        let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        server.write_all(&[head.as_bytes(), &asked.body].concat()).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// As the API says it.
fn throttled(asked: &Asked) -> String {
    let (status, kind, body) = match asked.operation() {
        None => {
            let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
                        <Message>Please reduce your request rate.</Message></Error>";
            ("503 Slow Down", "application/xml", body.to_owned())
        }
        Some((api, operation)) => {
            let name = match operation {
                "TransactWriteItems" => "ThrottlingException",
                _ if api.starts_with("DynamoDB") => "ProvisionedThroughputExceededException",
                _ => "ThrottlingException",
            };
            let body = format!("{{\"__type\":\"{name}\",\"message\":\"Rate exceeded\"}}");
            ("400 Bad Request", "application/x-amz-json-1.0", body)
        }
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

async fn read_request(client: &mut TcpStream) -> io::Result<(String, Asked)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(client, &mut bytes).await?;
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (method, target, headers) = parts(&head);
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    if headers.get("expect").is_some_and(|it| it.eq_ignore_ascii_case("100-continue")) {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while body.len() < length.unwrap_or(0) {
        more(client, &mut body).await?;
    }
    // What was promised has been given.
    let head: String = head
        .split_inclusive("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("expect:"))
        .collect();
    Ok((head, Asked { method, target, headers, body }))
}

async fn more(client: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    match client.read_buf(bytes).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn parts(head: &str) -> (String, String, BTreeMap<String, String>) {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    (words.next().unwrap_or_default(), words.next().unwrap_or_default(), headers)
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
