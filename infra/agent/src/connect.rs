//! Where to connect to, and how: the one place that knows about sockets.
//!
//! TLS belongs here as well: [`Address`] gets a third variant, and
//! [`Address::connect`] wraps its stream. Until then `https` is refused by name.

use std::{io, path::PathBuf, str::FromStr, time::Duration};

use http::Uri;
use hyper::{
    client::conn::http1::{SendRequest, handshake},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::body::Outgoing;

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that takes one request at a time.
pub type Sender = SendRequest<Outgoing>;

/// Somewhere to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and port.
    Tcp {
        /// As it goes into the `Host` header.
        authority: String,
        /// Its name or number.
        host: String,
        /// Its port.
        port: u16,
        /// What goes before every path, without a slash at its end.
        prefix: String,
    },
}

/// Text that is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Neither `unix:` nor `http:`.
    #[error("it is neither unix:/path nor http://host:port")]
    Malformed,
    /// TLS is not built in.
    #[error("https is not spoken by this agent")]
    Https,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Address, BadAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Some(path).filter(|path| path.starts_with('/'));
            return path.map(|path| Address::Unix(path.into())).ok_or(BadAddress::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| BadAddress::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(BadAddress::Https),
            Some(_) | None => return Err(BadAddress::Malformed),
        }
        let authority = uri.authority().ok_or(BadAddress::Malformed)?;
        Ok(Address::Tcp {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Address {
    /// What goes into the `Host` header.
    pub fn authority(&self) -> &str {
        match self {
            Address::Unix(_) => "tarpon",
            Address::Tcp { authority, .. } => authority,
        }
    }

    /// What goes before every path.
    pub fn prefix(&self) -> &str {
        match self {
            Address::Unix(_) => "",
            Address::Tcp { prefix, .. } => prefix,
        }
    }

    /// Connects.
    pub async fn connect(&self) -> io::Result<Sender> {
        let opened = async {
            match self {
                Address::Unix(path) => open(UnixStream::connect(path).await?).await,
                Address::Tcp { host, port, .. } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    open(stream).await
                }
            }
        };
        timeout(PATIENCE, opened).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

async fn open<S>(stream: S) -> io::Result<Sender>
where
    TokioIo<S>: Read + Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its failure shows in the answer that does not come.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_hosts() {
        let socket: Address = "unix:/.tarpon/socket".parse().unwrap();
        assert_eq!(socket, Address::Unix("/.tarpon/socket".into()));

        let host: Address = "http://[::1]:8080/agent/".parse().unwrap();
        let Address::Tcp { authority, host, port, prefix } = host else { panic!("{host:?}") };
        assert_eq!((authority.as_str(), host.as_str(), port), ("[::1]:8080", "::1", 8080));
        assert_eq!(prefix, "/agent");

        assert_eq!("https://example.org".parse::<Address>(), Err(BadAddress::Https));
        for bad in ["", "unix:relative", "/path", "ftp://host", "http://"] {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress::Malformed), "{bad}");
        }
    }
}
