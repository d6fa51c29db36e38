//! Work that is done on a thread of its own. Nobody waits for it in the end: a
//! disk that hangs does not keep the agent from reporting.

use std::{io, thread};

use tokio::sync::oneshot;

/// What will have come of it.
pub type Aside<T> = io::Result<oneshot::Receiver<io::Result<T>>>;

/// Starts some work.
pub fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Aside<T> {
    let (done, result) = oneshot::channel();
    // Whether anybody still listens is not its concern.
    thread::Builder::new().spawn(move || done.send(work()).ok())?;
    Ok(result)
}

/// Waits for what comes of it.
pub async fn finished<T>(aside: Aside<T>) -> io::Result<T> {
    aside?.await.unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
}
