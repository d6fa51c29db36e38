//! How a row's value is written: a byte that says how, and then the bytes,
//! compressed where that makes them smaller. Every kilobyte of an item costs.

use bytes::Bytes;
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};

/// The bytes as they are.
const PLAIN: u8 = 0;

/// Deflate, without a header.
const DEFLATE: u8 = 1;

/// Values below this do not become smaller.
const WORTH_TRYING: usize = 64;

/// As far as it compresses, and still quickly.
const LEVEL: u8 = 6;

/// No value is longer.
const LONGEST: usize = 1 << 20;

/// Bytes that are no value of ours.
#[derive(Debug, thiserror::Error)]
#[error("a row's value cannot be read")]
pub(super) struct Unreadable;

pub(super) fn pack(body: &[u8]) -> Vec<u8> {
    if body.len() >= WORTH_TRYING {
        let packed = compress_to_vec(body, LEVEL);
        if packed.len() < body.len() {
            return [&[DEFLATE], &packed[..]].concat();
        }
    }
    [&[PLAIN], body].concat()
}

pub(super) fn unpack(stored: &[u8]) -> Result<Bytes, Unreadable> {
    match stored.split_first() {
        Some((&PLAIN, body)) => Ok(Bytes::copy_from_slice(body)),
        Some((&DEFLATE, packed)) => {
            decompress_to_vec_with_limit(packed, LONGEST).map(Bytes::from).map_err(|_| Unreadable)
        }
        Some(_) | None => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        let noise: Vec<u8> =
            (0..2000_u32).map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
        for body in [&b""[..], b"x", &[7; 63], &[7; 64], &vec![7; LONGEST], &noise] {
            assert!(unpack(&pack(body)).unwrap() == body, "of {} bytes", body.len());
        }
    }

    #[test]
    fn packing_adds_a_byte_at_most() {
        let json =
            br#"{"v":1,"tasks":[{"name":"a","state":"ready"},{"name":"b","state":"ready"}]}"#;
        assert!(pack(json).len() < json.len());
        let noise: Vec<u8> = (0..255).collect();
        assert_eq!(pack(&noise).len(), noise.len() + 1);
        assert_eq!(pack(b""), [PLAIN]);
    }

    #[test]
    fn what_nobody_packed_is_not_unpacked() {
        let bomb = [&[DEFLATE], &compress_to_vec(&vec![0; LONGEST + 1], LEVEL)[..]].concat();
        for stored in [&[][..], &[2, 1, 1], &[DEFLATE], &[DEFLATE, 0xff, 0xff], &bomb] {
            assert!(unpack(stored).is_err());
        }
    }
}
