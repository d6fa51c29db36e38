//! Bytes that are quick to make, the same every time, and never the same block
//! twice: whoever knows how many there are knows them all.

use std::io::{self, Write};

/// How many bytes are made at a time.
pub const BLOCK: usize = 1 << 20;

/// The bytes, a block at a time.
pub struct Pattern {
    block: Vec<u8>,
    next: u64,
    left: u64,
}

impl Pattern {
    /// The first `bytes` of them.
    pub fn of(bytes: u64) -> Self {
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK {
            // xorshift64: looks like noise to whatever would compress it.
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            block.extend_from_slice(&word.to_le_bytes());
        }
        Pattern { block, next: 0, left: bytes }
    }

    /// The next block, the last one shorter; `None` at the end.
    pub fn block(&mut self) -> Option<&[u8]> {
        if self.left == 0 {
            return None;
        }
        // Its number in front makes each block another.
        self.block[..8].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        let length = usize::try_from(self.left).map_or(BLOCK, |left| left.min(BLOCK));
        self.left -= length as u64;
        Some(&self.block[..length])
    }
}

/// Writes the first `bytes` of them.
pub fn write_pattern(bytes: u64, to: &mut impl Write) -> io::Result<()> {
    let mut pattern = Pattern::of(bytes);
    while let Some(block) = pattern.block() {
        to.write_all(block)?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_pattern_begins_like_a_shorter_one() {
        let bytes = |length| {
            let mut all = Vec::new();
            write_pattern(length, &mut all).unwrap();
            all
        };
        let (short, long) = (bytes(BLOCK as u64 + 3), bytes(3 * BLOCK as u64));
        assert_eq!(short.len(), BLOCK + 3);
        assert_eq!(long.len(), 3 * BLOCK);
        assert_eq!(short, long[..BLOCK + 3]);
        assert_ne!(long[..BLOCK], long[BLOCK..2 * BLOCK]);
    }
}
