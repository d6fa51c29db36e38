//! Which server a command speaks to, and with which key. The one place where
//! the client's configuration is read.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    problem::{Failure, is_loopback},
    screen::Screen,
};

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Print the API's JSON only: one object, or one a line
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,

    /// No progress and no notes on standard error
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,

    /// Where the server is and who asks
    #[command(flatten)]
    pub connection: Connection,
}

/// Where the server is and who asks.
///
/// A server on this machine needs none of it: its data directory tells both.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The server's address; without it, that of the local server
    #[arg(long, env = "TARPON_URL", value_name = "URL", global = true)]
    pub url: Option<String>,

    /// The access key's id
    #[arg(long, env = "TARPON_ACCESS_KEY_ID", value_name = "ID", global = true)]
    pub access_key_id: Option<String>,

    /// The access key's secret; better set in the environment than given here
    #[arg(
        long,
        env = "TARPON_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        global = true
    )]
    pub secret_access_key: Option<String>,

    /// The local server's data directory: says where it listens, and holds a
    /// key for it
    #[arg(long, env = "TARPON_DATA", value_name = "DIR", default_value = ".tarpon", global = true)]
    pub data: PathBuf,
}

/// An access key.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
}

/// A server and the key to it.
pub struct Target {
    /// Its address.
    pub url: Url,
    /// The key.
    pub key: AccessKey,
}

/// `server.json`, as a server writes it.
#[derive(Deserialize)]
struct ServerFile {
    listening: String,
}

/// `credentials.json`, likewise.
#[derive(Deserialize)]
struct CredentialsFile {
    access_key_id: String,
    secret_access_key: String,
}

impl Connection {
    /// The server that is meant. Warns where the key would go over plain HTTP.
    pub fn target(&self, screen: &Screen) -> Result<Target, Failure> {
        let url = self.address()?;
        let key = self.access_key(&url)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            screen.warn(&format!(
                "warning: {} is plain HTTP: whoever is on the way can read the key and the jobs",
                url.origin().ascii_serialization()
            ));
        }
        Ok(Target { url, key })
    }

    fn address(&self) -> Result<Url, Failure> {
        let text = if let Some(url) = given(self.url.as_ref()) {
            url.to_owned()
        } else {
            let file: Option<ServerFile> = self.read("server.json")?;
            let absent = || {
                Failure::Usage(format!(
                    "no server is known: {} has no server.json\n  start one with `tarpon serve`, \
                     or set TARPON_URL (--url) or TARPON_DATA (--data)",
                    self.data.display()
                ))
            };
            file.ok_or_else(absent)?.listening
        };
        let url = Url::parse(&text)
            .map_err(|error| Failure::Usage(format!("`{text}` is no address: {error}")))?;
        let sound = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none();
        if !sound {
            let rule = "it is http:// or https://, a host and perhaps a port and a path";
            return Err(Failure::Usage(format!("`{text}` is no server's address: {rule}")));
        }
        Ok(url)
    }

    fn access_key(&self, url: &Url) -> Result<AccessKey, Failure> {
        let id = given(self.access_key_id.as_ref());
        let secret = given(self.secret_access_key.as_ref());
        let (id, secret) = match (id, secret) {
            (Some(id), Some(secret)) => (id.to_owned(), secret.to_owned()),
            (Some(_), None) => {
                return Err(Failure::Usage("TARPON_SECRET_ACCESS_KEY is missing".into()));
            }
            (None, Some(_)) => {
                return Err(Failure::Usage("TARPON_ACCESS_KEY_ID is missing".into()));
            }
            // The local server's key is nobody else's business.
            (None, None) if given(self.url.as_ref()).is_some() && !is_loopback(url) => {
                return Err(Failure::Usage(format!(
                    "{} wants an access key: set TARPON_ACCESS_KEY_ID and \
                     TARPON_SECRET_ACCESS_KEY",
                    url.origin().ascii_serialization()
                )));
            }
            (None, None) => {
                let file: Option<CredentialsFile> = self.read("credentials.json")?;
                let file = file.ok_or_else(|| {
                    Failure::Usage(format!(
                        "no access key is known: {} has no credentials.json\n  set \
                         TARPON_ACCESS_KEY_ID and TARPON_SECRET_ACCESS_KEY, or say where the \
                         local server's data is with --data (TARPON_DATA)",
                        self.data.display()
                    ))
                })?;
                (file.access_key_id, file.secret_access_key)
            }
        };
        Ok(AccessKey { id, secret })
    }

    /// A file of the data directory, if it is there.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let path: &Path = &self.data.join(name);
        let unreadable = |error| Failure::file(format!("{} cannot be read", path.display()), error);
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(unreadable)?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.into()))
    }
}

/// A variable of our own environment, to be handed on to a job.
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

/// What is set to nothing is not set.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Spoken;

    fn data(server: &str) -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("server.json"), server).unwrap();
        let key = r#"{"project_id":"p","access_key_id":"tp1","secret_access_key":"s1"}"#;
        std::fs::write(folder.path().join("credentials.json"), key).unwrap();
        folder
    }

    fn connection(data: &Path) -> Connection {
        Connection { data: data.to_owned(), ..Connection::default() }
    }

    fn refused(connection: &Connection) -> String {
        match connection.target(&Spoken::new().screen()) {
            Err(failure) => failure.told(),
            Ok(target) => panic!("{}", target.url),
        }
    }

    #[test]
    fn a_local_servers_folder_tells_its_address_and_its_key() {
        let folder = data(r#"{"listening":"http://127.0.0.1:4711","pid":7}"#);
        let target = connection(folder.path()).target(&Spoken::new().screen()).unwrap();
        assert_eq!(target.url.as_str(), "http://127.0.0.1:4711/");
        assert_eq!((target.key.id.as_str(), target.key.secret.as_str()), ("tp1", "s1"));
    }

    #[test]
    fn a_local_key_is_not_sent_to_another_machine() {
        let folder = data(r#"{"listening":"http://127.0.0.1:4711"}"#);
        let mut away = connection(folder.path());
        away.url = Some("https://tarpon.example.org".into());
        assert!(refused(&away).contains("wants an access key"));
        away.url = Some("http://localhost:9".into());
        assert!(away.target(&Spoken::new().screen()).is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut nothing = connection(folder.path());
        assert!(refused(&nothing).contains("`tarpon serve`"));
        nothing.url = Some("http://127.0.0.1:1".into());
        assert!(refused(&nothing).contains("credentials.json"));
        nothing.access_key_id = Some("tp1".into());
        assert!(refused(&nothing).contains("TARPON_SECRET_ACCESS_KEY is missing"));
        // A variable that is set to nothing is as good as none.
        nothing.access_key_id = Some(String::new());
        nothing.secret_access_key = Some("s".into());
        assert!(refused(&nothing).contains("TARPON_ACCESS_KEY_ID is missing"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let folder = data("{}");
        let mut wrong = connection(folder.path());
        assert!(refused(&wrong).contains("server.json cannot be read"));
        for text in ["tarpon", "ftp://x", "http://user:pw@x", "unix:/x", "http://"] {
            wrong.url = Some(text.into());
            assert!(refused(&wrong).contains(text), "{text}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_warned_about() {
        let folder = data("{}");
        let spoken = Spoken::new();
        let mut away = connection(folder.path());
        away.url = Some("http://10.1.2.3:8080".into());
        away.access_key_id = Some("tp1".into());
        away.secret_access_key = Some("s1".into());
        away.target(&spoken.screen()).unwrap();
        assert!(spoken.err().contains("plain HTTP"));
    }
}
