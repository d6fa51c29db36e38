//! What the agent sends: something whole, or an archive as it is packed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

/// The body of a request.
#[derive(Debug)]
pub enum Outgoing {
    /// Known, and in memory.
    Whole(Bytes),
    /// Made on the way.
    Stream {
        /// Its pieces; an error ends the request as broken off.
        chunks: Receiver<io::Result<Bytes>>,
        /// How many bytes are to come.
        left: u64,
    },
}

impl Outgoing {
    /// No body.
    pub fn empty() -> Outgoing {
        Outgoing::Whole(Bytes::new())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Outgoing::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Outgoing::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::Stream { chunks, left } => Poll::Ready(match ready!(chunks.poll_recv(cx)) {
                Some(Ok(chunk)) => {
                    *left = left.saturating_sub(chunk.len() as u64);
                    Some(Ok(Frame::data(chunk)))
                }
                Some(Err(error)) => Some(Err(error)),
                // An end that comes too early must not look like the end.
                None if *left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                None => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(bytes) => bytes.is_empty(),
            Outgoing::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Outgoing::Stream { left, .. } => SizeHint::with_exact(*left),
        }
    }
}
