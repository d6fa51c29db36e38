//! Reading a picture, within limits.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageFormat, Limits,
    codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
    metadata::Orientation,
};
use serde::Serialize;

use crate::{jpeg, problem::BadPicture};

/// The largest file that is taken.
pub const MAX_INPUT_BYTES: usize = 32 * 1024 * 1024;

const MAX_SIDE: u32 = 30_000;
const MAX_PIXELS: u64 = 100_000_000;

/// What the pixels may take in memory. A few bytes can claim to unpack to any
/// size, so this is asked of the header, before unpacking.
const MAX_UNPACKED_BYTES: u64 = 512 * 1024 * 1024;

/// A format that is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    /// Lossy, by its quality.
    #[serde(rename = "JPEG")]
    Jpeg,
    /// Lossless.
    #[serde(rename = "PNG")]
    Png,
    /// Read in both its kinds, written lossless.
    #[serde(rename = "WEBP")]
    WebP,
}

/// Pixels, and the metadata that goes with them into the result.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) pixels: DynamicImage,
    pub(crate) exif: Option<Vec<u8>>,
    pub(crate) icc: Option<Vec<u8>>,
}

/// What a file tells besides its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) format: Format,
    /// Of a JPEG; the other formats have no such number.
    pub(crate) quality: Option<u8>,
    pub(crate) orientation: Option<Orientation>,
    pub(crate) animated: bool,
}

impl Format {
    /// Reads the name after `format/`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            "webp" => Ok(Self::WebP),
            _ => Err("there is no such format, allowed are jpg, png and webp".to_owned()),
        }
    }

    /// The name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        }
    }

    /// Tells a format from a file's first bytes; names and types may lie.
    fn of(file: &[u8]) -> Result<Self, BadPicture> {
        const ALLOWED: &str = "allowed are JPEG, PNG and WebP";
        match image::guess_format(file) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(other) => {
                let name = other.extensions_str().first().copied().unwrap_or("other");
                Err(BadPicture(format!("it is in the {name} format, {ALLOWED}")))
            }
            Err(_) if file.is_empty() => Err(BadPicture("the input is empty".to_owned())),
            Err(_) => Err(BadPicture(format!("the input is in no known format, {ALLOWED}"))),
        }
    }
}

/// Reads the picture in `file`.
pub(crate) fn read(file: &[u8]) -> Result<(Picture, Facts), BadPicture> {
    if file.len() > MAX_INPUT_BYTES {
        let most = MAX_INPUT_BYTES / 1024 / 1024;
        return Err(BadPicture(format!("the input is larger than {most} MiB")));
    }
    let format = Format::of(file)?;
    let (mut decoder, animated) = open(format, file)?;
    check_size(&*decoder)?;
    let exif = decoder.exif_metadata()?;
    let icc = decoder.icc_profile()?;
    let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk);
    let pixels = DynamicImage::from_decoder(decoder)?;
    let quality = match format {
        Format::Jpeg => jpeg::quality(file),
        Format::Png | Format::WebP => None,
    };
    Ok((Picture { pixels, exif, icc }, Facts { format, quality, orientation, animated }))
}

/// The decoder of a format, and whether the file holds more than one frame.
fn open(format: Format, bytes: &[u8]) -> Result<(Box<dyn ImageDecoder + '_>, bool), BadPicture> {
    let file = Cursor::new(bytes);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_UNPACKED_BYTES);
    match format {
        Format::Jpeg => {
            if !jpeg::is_whole(bytes) {
                return Err(BadPicture("it breaks off before its end".to_owned()));
            }
            let mut decoder = JpegDecoder::new(file)?;
            decoder.set_limits(limits)?;
            Ok((Box::new(decoder), false))
        }
        Format::Png => {
            let decoder = PngDecoder::with_limits(file, limits)?;
            let animated = decoder.is_apng()?;
            Ok((Box::new(decoder), animated))
        }
        Format::WebP => {
            let mut decoder = WebPDecoder::new(file)?;
            decoder.set_limits(limits)?;
            let animated = decoder.has_animation();
            Ok((Box::new(decoder), animated))
        }
    }
}

fn check_size(decoder: &dyn ImageDecoder) -> Result<(), BadPicture> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(BadPicture(format!(
            "it is {width}x{height}, allowed are {MAX_SIDE} pixels on a side \
             and {MAX_PIXELS} in all"
        )));
    }
    if decoder.total_bytes() > MAX_UNPACKED_BYTES {
        return Err(BadPicture(format!(
            "its {width}x{height} pixels take {} bytes, allowed are {MAX_UNPACKED_BYTES}",
            decoder.total_bytes()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn refusal(file: &[u8]) -> String {
        read(file).unwrap_err().to_string()
    }

    fn file(format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        testing::flag(24, 16).write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn all_three_formats_are_read() {
        for (written, format) in [
            (ImageFormat::Jpeg, Format::Jpeg),
            (ImageFormat::Png, Format::Png),
            (ImageFormat::WebP, Format::WebP),
        ] {
            let (picture, facts) = read(&file(written)).unwrap();
            assert_eq!((picture.pixels.width(), picture.pixels.height()), (24, 16));
            assert_eq!(facts.format, format);
            assert_eq!(facts.quality.is_some(), format == Format::Jpeg);
            assert!(!facts.animated);
        }
    }

    #[test]
    fn what_is_no_picture_of_ours_is_refused_by_name() {
        assert_eq!(refusal(b""), "picture: the input is empty");
        assert_eq!(
            refusal(b"hello"),
            "picture: the input is in no known format, allowed are JPEG, PNG and WebP"
        );
        assert_eq!(
            refusal(b"GIF89a......"),
            "picture: it is in the gif format, allowed are JPEG, PNG and WebP"
        );
    }

    #[test]
    fn a_picture_that_breaks_off_is_refused() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let whole = file(format);
            for length in [12, whole.len() / 2, whole.len() - whole.len() / 8] {
                assert!(read(&whole[..length]).is_err(), "{format:?} of {length} bytes");
            }
        }
    }

    /// A PNG header that claims a size, and nothing behind it.
    fn claiming(width: u32, height: u32, depth: u8) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([depth, 6, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1A\n\0\0\0\x0D".to_vec();
        file.extend(&chunk);
        file.extend(checksum(&chunk).to_be_bytes());
        file.extend(b"\0\0\0\0IDAT");
        file.extend(checksum(b"IDAT").to_be_bytes());
        file
    }

    /// The CRC-32 of PNG chunks.
    fn checksum(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
        })
    }

    #[test]
    fn a_picture_that_claims_too_much_is_refused_unread() {
        assert_eq!(
            refusal(&claiming(40_000, 10, 8)),
            "picture: it is 40000x10, allowed are 30000 pixels on a side and 100000000 in all"
        );
        assert_eq!(
            refusal(&claiming(20_000, 20_000, 8)),
            "picture: it is 20000x20000, allowed are 30000 pixels on a side and 100000000 in all"
        );
        assert_eq!(
            refusal(&claiming(10_000, 9_000, 16)),
            "picture: its 10000x9000 pixels take 720000000 bytes, allowed are 536870912"
        );
        assert_eq!(
            refusal(&vec![0; MAX_INPUT_BYTES + 1]),
            "picture: the input is larger than 32 MiB"
        );
    }
}
