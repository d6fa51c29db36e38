//! How a row's value is written: a byte that says how, and then the bytes,
//! compressed where that makes them smaller. Every kilobyte of an item costs.
//!
//! Most values are small JSON that begins with the same names as all others
//! do. So a value is compressed as if words that are known to both sides came
//! before it: a job's record takes half of what it would without.

use bytes::Bytes;
use miniz_oxide::{
    deflate::core::{
        CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    },
    inflate::{
        TINFLStatus,
        core::{
            DecompressorOxide, decompress,
            inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF as NON_WRAPPING,
        },
        decompress_to_vec_with_limit,
    },
};

/// The bytes as they are.
const PLAIN: u8 = 0;

/// Deflate, without a header.
const DEFLATE: u8 = 1;

/// The same after [`WORDS`].
const AFTER_WORDS: u8 = 2;

/// What is taken to come before a value. Stored values refer to it: it never
/// changes, and better words get a number of their own.
const WORDS: &[u8] = include_bytes!("words.txt");

/// Values below this do not become smaller.
const WORTH_TRYING: usize = 64;

/// As far as it compresses, and still quickly.
const LEVEL: i32 = 6;

/// No value is longer.
const LONGEST: usize = 1 << 20;

/// Bytes that are no value of ours.
#[derive(Debug, thiserror::Error)]
#[error("a row's value cannot be read")]
pub(super) struct Unreadable;

pub(super) fn pack(body: &[u8]) -> Vec<u8> {
    if body.len() >= WORTH_TRYING {
        let packed = deflate(body);
        if packed.len() <= body.len() {
            return packed;
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
        Some((&AFTER_WORDS, packed)) => inflate(packed),
        Some(_) | None => Err(Unreadable),
    }
}

/// The words are compressed first and left out: after a flush the output goes
/// on with a whole byte, and still refers to what came before.
fn deflate(body: &[u8]) -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, 0, 0));
    compress_to_output(&mut compressor, WORDS, TDEFLFlush::Sync, |_| true);
    let mut packed = vec![AFTER_WORDS];
    compress_to_output(&mut compressor, body, TDEFLFlush::Finish, |bytes| {
        packed.extend_from_slice(bytes);
        true
    });
    packed
}

fn inflate(packed: &[u8]) -> Result<Bytes, Unreadable> {
    let mut decompressor = Box::<DecompressorOxide>::default();
    let mut out = WORDS.to_vec();
    let (mut read, mut written) = (0, out.len());
    loop {
        let room = (out.len() * 2).min(WORDS.len() + LONGEST);
        if room == out.len() {
            return Err(Unreadable);
        }
        out.resize(room, 0);
        let rest = packed.get(read..).ok_or(Unreadable)?;
        let (status, taken, given) =
            decompress(&mut decompressor, rest, &mut out, written, NON_WRAPPING);
        read += taken;
        written += given;
        match status {
            TINFLStatus::Done => {
                out.truncate(written);
                return Ok(Bytes::from(out).slice(WORDS.len()..));
            }
            TINFLStatus::HasMoreOutput => {}
            _ => return Err(Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use miniz_oxide::deflate::compress_to_vec;

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
        let old = [&[DEFLATE], &compress_to_vec(&vec![0; LONGEST + 1], 6)[..]].concat();
        let new = deflate(&vec![0; LONGEST + 1]);
        let nonsense = [&[][..], &[3, 1, 1], &[DEFLATE], &[DEFLATE, 0xff, 0xff]];
        let later = [&[AFTER_WORDS][..], &[AFTER_WORDS, 0xff, 0xff], &old, &new];
        for stored in nonsense.into_iter().chain(later) {
            assert!(unpack(stored).is_err());
        }
    }

    #[test]
    fn what_was_packed_before_is_unpacked_for_ever() {
        let body = br#"{"v":1,"queue":"default","priority":0,"note":"default, as it was packed"}"#;
        let old = [&[DEFLATE], &compress_to_vec(body, 6)[..]].concat();
        let stored = HEXLOWER.decode(
            b"028595b1090040080357c900bf94e5372a28b8be69043bab1429efe0468403bf5aaef741023f511c17d260c61a",
        );
        let stored = stored.unwrap();
        for stored in [old, stored] {
            assert!(unpack(&stored).unwrap() == body[..]);
        }
    }

    #[test]
    fn the_words_are_worth_having() {
        let record = br#"{"v":2,"id":"job-01a213c593b779afa89721878e83c0d2","queue":"slow",
            "priority":3,"run":1,"phase":{"state":"running"},"fail_fast":false,"retain_days":7}"#;
        let (with, without) = (pack(record).len(), compress_to_vec(record, 6).len());
        assert!(with * 3 < without * 2, "{with} instead of {without}");
    }
}
