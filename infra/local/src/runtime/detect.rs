//! Which container engine this machine has.

use std::{path::Path, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker};

/// A container engine that has answered.
#[derive(Clone)]
pub struct Engine {
    host: String,
    client: Docker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.host).finish()
    }
}

/// No container engine answers.
#[derive(Debug, thiserror::Error)]
#[error(
    "no container engine answers ({tried}). Install one, on Debian and Ubuntu with \
     `apt-get install docker.io`, and let this user reach its socket; or run without \
     isolation, for work that you trust, with `--runtime process`"
)]
pub struct NoEngine {
    tried: String,
}

/// How long an engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one call to the engine may take to begin its answer, in seconds. A
/// start on a machine under load takes long; a hung engine must not hold us
/// for ever.
const CALL_SECONDS: u64 = 120;

/// The engine at `host` (as in `DOCKER_HOST`), or else Docker's, or Docker's
/// without root. Podman is not looked for: it is taken when it is asked for.
pub async fn detect(host: Option<&str>) -> Result<Engine, NoEngine> {
    let hosts = match host {
        Some(host) => vec![host.to_owned()],
        None => usual(),
    };
    let mut tried = Vec::new();
    for host in hosts {
        match Engine::at(&host).await {
            Ok(engine) => return Ok(engine),
            Err(why) => tried.push(format!("{host}: {why}")),
        }
    }
    Err(NoEngine { tried: tried.join("; ") })
}

fn usual() -> Vec<String> {
    let user = rustix::process::getuid().as_raw();
    let sockets = ["/var/run/docker.sock".to_owned(), format!("/run/user/{user}/docker.sock")];
    let there = |path: &&String| Path::new(path).exists();
    // The first even when it is not there, so that the message names a place.
    let found = sockets.iter().skip(1).filter(there);
    sockets[..1].iter().chain(found).map(|path| format!("unix://{path}")).collect()
}

impl Engine {
    /// The engine at this address, once it has answered.
    async fn at(host: &str) -> Result<Engine, String> {
        let client = match host.split_once("://") {
            Some(("unix", path)) => {
                Docker::connect_with_unix(path, CALL_SECONDS, API_DEFAULT_VERSION)
            }
            Some(("tcp" | "http", _)) => {
                Docker::connect_with_http(host, CALL_SECONDS, API_DEFAULT_VERSION)
            }
            _ => return Err("the address is not `unix://…` or `tcp://…`".into()),
        };
        let client = client.map_err(|error| error.to_string())?.with_request_modifier(url_safe);
        match tokio::time::timeout(PATIENCE, client.negotiate_version()).await {
            Ok(Ok(client)) => Ok(Engine { host: host.to_owned(), client }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
        }
    }

    /// Its address.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn client(&self) -> Docker {
        self.client.clone()
    }
}

/// Spells the registry credentials in the alphabet that the engine reads.
///
/// The client writes base 64 of the ordinary alphabet; engines read the
/// URL-safe one, and take what they cannot read for no credentials at all.
fn url_safe<B>(mut request: http::Request<B>) -> http::Request<B> {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let spelled = value.as_bytes().iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        if let Ok(mut spelled) = http::HeaderValue::from_bytes(&spelled.collect::<Vec<_>>()) {
            spelled.set_sensitive(true);
            *value = spelled;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_an_engine_one_is_told_what_to_install() {
        let said = detect(Some("unix:///nowhere/engine.sock")).await.unwrap_err().to_string();
        assert!(said.contains("unix:///nowhere/engine.sock"), "{said}");
        assert!(said.contains("apt-get install docker.io"), "{said}");
        assert!(said.contains("--runtime process"), "{said}");
        let said = detect(Some("ssh://host")).await.unwrap_err().to_string();
        assert!(said.contains("the address is not"), "{said}");
    }

    #[test]
    fn credentials_are_spelled_as_engines_read_them() {
        let request =
            http::Request::builder().header("X-Registry-Auth", "a+b/c=").body(()).unwrap();
        assert_eq!(url_safe(request).headers()["x-registry-auth"], "a-b_c=");
    }
}
