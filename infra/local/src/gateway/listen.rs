//! Listening: on an address, or on a socket in a folder.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::{conn::auto, graceful::GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests that are being answered may take once we are to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A socket that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}{}", path.display(), hint(path))]
pub struct ListenError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

fn hint(path: &Path) -> &'static str {
    let long = path.as_os_str().len() > 107;
    if long {
        " (it is longer than a socket's path may be: use a shorter data directory)"
    } else {
        ""
    }
}

/// Answers what comes in at a bound address until `stop`.
pub fn serve_tcp(
    bound: std::net::TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let listener = TcpListener::from_std(bound)?;
    Ok(async move {
        let accept = async || {
            let (stream, _) = listener.accept().await?;
            // Small answers must not wait for more to say.
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        serve(accept, router, stop).await;
    })
}

/// Makes a socket at `path`, open to those whom `mode` lets; else as above.
pub fn serve_unix(
    path: &Path,
    mode: u32,
    router: Router,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + use<>, ListenError> {
    let failed = |source| ListenError { path: path.to_owned(), source };
    // What a server that was killed left behind. That none is running has been
    // made sure of by then: it would hold the table.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(async move {
        let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
        serve(accept, router, stop).await;
    })
}

async fn serve<S, A, F>(accept: A, router: Router, stop: CancellationToken)
where
    A: Fn() -> F,
    F: Future<Output = std::io::Result<S>>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let graceful = GracefulShutdown::new();
    while let Some(accepted) = stop.run_until_cancelled(accept()).await {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // Out of file descriptors, say: others will be given back.
                warn!(error = %error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(error = %error, "a connection broke off");
            }
        });
    }
    let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
}
