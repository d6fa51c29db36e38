//! A stand-in for the agent: says when it is up, then does what its token says.
//!
//! A shell script in an image of its own, from which it is put in place as the
//! real one is; it speaks by a connection to where the service would be.

use std::{fs, path::PathBuf};

use bollard::{Docker, body_full, query_parameters::CreateImageOptionsBuilder};
use futures::TryStreamExt;
use shared::{conformance::runtime::Act, job::AttemptId};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::mpsc};

/// The image in which it comes.
pub const IMAGE: &str = "tarpon-ecs-stand-in:1";

/// What puts it in place.
const INSTALL: &str = r#"#!/busybox sh
[ "$1" = install ] || exit 65
file=$2 home=${2%/*}
shift 2
/busybox cp /busybox "$home/busybox"
/busybox cp /stand-in "$file"
/busybox chmod 755 "$home/busybox" "$file"
for folder; do /busybox chmod 1777 "$folder"; done
"#;

/// What it does is the token itself, as shell code with these two words:
/// `say TEXT`, and `forever`.
const SCRIPT: &str = r#"#!/.tarpon/busybox sh
home=${0%/*}
service=${TARPON_SERVICE#http://}
say() { echo "$TARPON_ATTEMPT $*" | $home/busybox nc ${service%:*} ${service#*:}; }
forever() { while :; do $home/busybox sleep 3600 & wait $!; done; }
eval "$TARPON_TOKEN"
"#;

/// Where stand-ins are heard.
pub struct Ears {
    url: String,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Ears {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (queue, lines) = mpsc::unbounded_channel();
        // Whoever speaks waits until he was heard, whether or not a test does.
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut line = String::new();
                connection.read_to_string(&mut line).await.unwrap();
                queue.send(line).ok();
            }
        });
        Ears { url, lines }
    }

    /// Where the service would be.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Waits for the next thing that one of them says.
    pub async fn said(&mut self) -> (AttemptId, String) {
        let line = self.lines.recv().await.unwrap();
        let (attempt, text) = line.trim_end().split_once(' ').unwrap();
        (attempt.parse().unwrap(), text.to_owned())
    }
}

/// The token that makes it do this.
pub fn token(act: Act) -> String {
    match act {
        Act::Exit(code) => format!("say up; exit {code}"),
        Act::UntilTerm => "trap 'exit 0' TERM; say up; forever".to_owned(),
        Act::Stubborn => "trap '' TERM; say up; forever".to_owned(),
        Act::Greedy => "say up; exec $home/busybox tail /dev/zero".to_owned(),
    }
}

/// Sees to it that the image is there.
pub async fn ensure_image(engine: &Docker) {
    // Tests run side by side; two imports would leave an image without a name.
    let turn = fs::File::create(std::env::temp_dir().join("tarpon-ecs-stand-in.lock")).unwrap();
    let locked = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn));
    let _turn = locked.await.unwrap().unwrap();
    if engine.inspect_image(IMAGE).await.is_ok() {
        return;
    }
    let busybox = fs::read(busybox()).unwrap();
    let files = [
        ("busybox", &busybox[..]),
        ("tarpon-agent", INSTALL.as_bytes()),
        ("stand-in", SCRIPT.as_bytes()),
    ];
    import(engine, IMAGE, &files, &[]).await;
}

/// Makes an image of these files, with these Dockerfile instructions.
pub async fn import(engine: &Docker, name: &str, files: &[(&str, &[u8])], changes: &[&str]) {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    let body = body_full(tar.into_inner().unwrap().into());
    let changes = changes.iter().map(|change| (*change).to_owned()).collect();
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).changes(changes);
    let made = engine.create_image(Some(options.build()), Some(body), None);
    made.try_collect::<Vec<_>>().await.unwrap();
}

/// A static one; in a container there is nothing to link with.
fn busybox() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let found = places.into_iter().find(|place| place.exists());
    found.expect("the tests need Debian's package busybox-static")
}
