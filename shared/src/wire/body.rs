//! The bytes of a request or a reply: none, some, or a stream of them.

use bytes::Bytes;
use futures::StreamExt;

use super::Problem;
use crate::{
    ops::objects::Stretch,
    platform::{ByteStream, one_chunk},
};

/// A body.
#[derive(Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// As it comes.
    Stream {
        /// The bytes.
        stream: ByteStream,
        /// How many they will be, where that is known.
        length: Option<u64>,
        /// Where they are stored, for a host that has them fetched there.
        stored: Option<Stored>,
    },
    /// As it comes, piece by piece, for a caller who can ask again for what
    /// comes after any of them: a host may end it early, and say so.
    Pieces(ByteStream),
}

/// Part of something stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the answer is about.
    pub whole: Stretch,
    /// The part of it that is answered.
    pub part: std::ops::Range<u64>,
}

impl Body {
    /// How many bytes it has, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Stream { length, .. } => *length,
            Body::Pieces(_) => None,
        }
    }

    /// The body as a stream that breaks off beyond `limit` bytes, with an error
    /// that becomes [`Problem::TooLarge`] again.
    pub fn limited(self, what: &'static str, limit: u64) -> Result<ByteStream, Problem> {
        if self.length().is_some_and(|length| length > limit) {
            return Err(Problem::TooLarge { what, limit });
        }
        let mut passed = 0;
        let counted = self.into_stream().map(move |piece| {
            let piece = piece?;
            passed += piece.len() as u64;
            if passed > limit {
                return Err(std::io::Error::other(TooLarge { what, limit }));
            }
            Ok(piece)
        });
        Ok(counted.boxed())
    }

    /// The body as a stream.
    pub fn into_stream(self) -> ByteStream {
        match self {
            Body::Empty => one_chunk(Bytes::new()),
            Body::Bytes(bytes) => one_chunk(bytes),
            Body::Stream { stream, .. } | Body::Pieces(stream) => stream,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({:?} bytes)", self.length())
    }
}

/// The limit that a stream ran into.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{what} is larger than {limit} bytes")]
pub(super) struct TooLarge {
    pub(super) what: &'static str,
    pub(super) limit: u64,
}
