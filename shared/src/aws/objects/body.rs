//! A body on its way in, counted, and cut into parts.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::platform::{ByteStream, ObjectsError};

/// Whatever is left of a body.
pub(super) struct Body {
    stream: ByteStream,
    wanted: Option<u64>,
    found: u64,
    /// What came along with the part before.
    rest: BytesMut,
    ended: bool,
}

impl Body {
    pub(super) fn new(stream: ByteStream, wanted: Option<u64>) -> Self {
        Body { stream, wanted, found: 0, rest: BytesMut::new(), ended: false }
    }

    /// How many bytes there were so far.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Whether there is nothing left.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// The next `size` bytes, or all that are left: whether there are more is
    /// known afterwards.
    pub(super) async fn part(&mut self, size: usize) -> Result<Bytes, ObjectsError> {
        while !self.ended && self.rest.len() <= size {
            match self.next().await? {
                Some(bytes) => self.rest.extend_from_slice(&bytes),
                None => self.ended = true,
            }
        }
        let part = self.rest.split_to(size.min(self.rest.len()));
        Ok(part.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ObjectsError> {
        let bytes = self.stream.next().await.transpose().map_err(ObjectsError::Body)?;
        self.found += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match self.wanted {
            Some(wanted) if self.found > wanted || (bytes.is_none() && self.found < wanted) => {
                Err(ObjectsError::WrongLength { wanted, found: self.found })
            }
            Some(_) | None => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn body(pieces: &[&'static str], wanted: Option<u64>) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        Body::new(stream::iter(pieces).boxed(), wanted)
    }

    async fn parts(mut body: Body, size: usize) -> Result<Vec<Bytes>, ObjectsError> {
        let mut parts = vec![body.part(size).await?];
        while !body.is_over() {
            parts.push(body.part(size).await?);
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn parts_have_their_size_whatever_the_pieces() {
        for pieces in [&["abcdefgh"][..], &["a", "", "bcd", "efgh", ""], &["abc", "defg", "h"]] {
            assert_eq!(parts(body(pieces, None), 3).await.unwrap(), ["abc", "def", "gh"]);
            assert_eq!(parts(body(pieces, Some(8)), 4).await.unwrap(), ["abcd", "efgh"]);
            assert_eq!(parts(body(pieces, None), 8).await.unwrap(), ["abcdefgh"]);
        }
        assert_eq!(parts(body(&[], None), 8).await.unwrap(), [""]);
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_it_was_said_to_be() {
        for wanted in [0, 7, 9] {
            let refused = parts(body(&["abcd", "efgh"], Some(wanted)), 3).await;
            assert!(matches!(refused, Err(ObjectsError::WrongLength { .. })), "{refused:?}");
        }
    }
}
