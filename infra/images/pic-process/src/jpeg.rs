//! What a JPEG tells outside its pixels: its quality, and whether all of it is there.

/// The sample luminance table of the JPEG standard, row by row.
const STANDARD: [u32; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

const QUANTISATION: u8 = 0xDB;
const SCAN: u8 = 0xDA;
const END: u8 = 0xD9;

/// The quality from 1 to 100 of a JPEG, if it has a luminance table.
///
/// A JPEG does not record its quality. But nearly every writer derives its
/// table from the standard's sample by libjpeg's formula, so the quality whose
/// table is nearest is a good answer.
pub(crate) fn quality(jpeg: &[u8]) -> Option<u8> {
    let sum = luminance_sum(jpeg.get(2..)?)?;
    (1..=100).min_by_key(|quality| standard_sum(u32::from(*quality)).abs_diff(sum))
}

/// Compared are sums, because a table's order is not that of [`STANDARD`].
fn standard_sum(quality: u32) -> u32 {
    let percent = if quality < 50 { 5_000 / quality } else { 200 - 2 * quality };
    STANDARD.iter().map(|entry| ((entry * percent + 50) / 100).clamp(1, 255)).sum()
}

/// Whether a JPEG reaches its end.
///
/// The decoder fills up what is missing with grey and says nothing. Inside a
/// scan the two bytes of the end marker never occur by chance.
pub(crate) fn is_whole(jpeg: &[u8]) -> bool {
    let scan = jpeg.get(2..).and_then(first_scan);
    scan.is_none_or(|scan| scan.windows(2).any(|pair| pair == [0xFF, END]))
}

/// The first scan and all that follows it, if there is one to be found.
fn first_scan(mut segments: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, _, next) = segment(segments)?;
        if kind == SCAN {
            return Some(next);
        }
        segments = next;
    }
}

/// The kind and body of the first segment, and what follows it.
fn segment(segments: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [0xFF, kind, high, low, rest @ ..] = segments else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
    let (body, next) = rest.split_at_checked(length)?;
    Some((*kind, body, next))
}

/// The sum of table 0 in the segments before the first scan.
fn luminance_sum(mut segments: &[u8]) -> Option<u32> {
    loop {
        let (kind, body, next) = segment(segments)?;
        match kind {
            SCAN => return None,
            QUANTISATION => {
                if let Some(sum) = table_sum(body) {
                    return Some(sum);
                }
            }
            _ => {}
        }
        segments = next;
    }
}

/// The sum of table 0 in a segment, which may hold several tables.
fn table_sum(mut tables: &[u8]) -> Option<u32> {
    loop {
        let (kind, rest) = tables.split_first()?;
        let wide = *kind >= 16;
        let (table, next) = rest.split_at_checked(if wide { 128 } else { 64 })?;
        if kind % 16 == 0 {
            return Some(if wide {
                table.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum()
            } else {
                table.iter().map(|entry| u32::from(*entry)).sum()
            });
        }
        tables = next;
    }
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn written_with(quality: u8) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
        testing::flag(8, 8).write_with_encoder(encoder).unwrap();
        jpeg
    }

    #[test]
    fn the_quality_that_was_written_is_read() {
        for written in 1..=100 {
            let read = quality(&written_with(written)).unwrap();
            assert!(read.abs_diff(written) <= 1, "{written} was read as {read}");
        }
        assert_eq!(quality(&written_with(75)), Some(75));
    }

    #[test]
    fn what_has_no_table_has_no_quality() {
        assert_eq!(quality(b""), None);
        assert_eq!(quality(b"\xFF\xD8\xFF\xDA\x00\x02"), None);
        assert_eq!(quality(b"\xFF\xD8\xFF\xDB\x00\x03\x00"), None);
        assert_eq!(quality(b"\xFF\xD8\xFF\xDB\x00\x01"), None);
    }

    #[test]
    fn a_jpeg_is_whole_up_to_its_last_byte() {
        let jpeg = written_with(90);
        assert!(is_whole(&jpeg));
        assert!(is_whole(&[&jpeg, b"and more".as_slice()].concat()));
        assert!(!is_whole(&jpeg[..jpeg.len() - 1]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, cut in 0usize..700) {
            let jpeg = written_with(50);
            for jpeg in [&bytes, &jpeg[..cut.min(jpeg.len())]] {
                quality(jpeg);
                is_whole(jpeg);
            }
        }
    }
}
