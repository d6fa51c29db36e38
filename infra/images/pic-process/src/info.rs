//! What there is to know about a picture and its result.

use std::fmt::Write;

use image::{DynamicImage, GenericImageView, Rgba};
use md5::{Digest, Md5};
use serde::Serialize;

use crate::picture::{Facts, Format};

/// The original and what became of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// What was read.
    pub original: Original,
    /// What was written.
    pub result: Outcome,
}

/// The picture that was read.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Original {
    /// What its bytes are.
    pub format: Format,
    /// In pixels, as stored.
    pub width: u32,
    /// In pixels, as stored.
    pub height: u32,
    /// The length of the file.
    pub size_bytes: usize,
    /// The MD5 of the file, in hex: an entity tag as object stores make it.
    pub md5: String,
    /// From 1 to 100, of a JPEG.
    pub quality: Option<u8>,
    /// The EXIF orientation from 1 to 8, or 0 where there is none.
    pub orientation: u8,
    /// As `0xRRGGBB`.
    pub average_color: String,
}

/// The picture that was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What its bytes are.
    pub format: Format,
    /// In pixels, as stored.
    pub width: u32,
    /// In pixels, as stored.
    pub height: u32,
    /// The length of the file.
    pub size_bytes: usize,
    /// The MD5 of the file, in hex.
    pub md5: String,
    /// From 1 to 100, of a JPEG.
    pub quality: Option<u8>,
}

impl Original {
    pub(crate) fn new(file: &[u8], pixels: &DynamicImage, facts: Facts) -> Self {
        Self {
            format: facts.format,
            width: pixels.width(),
            height: pixels.height(),
            size_bytes: file.len(),
            md5: md5(file),
            quality: facts.quality,
            orientation: facts.orientation.map_or(0, image::metadata::Orientation::to_exif),
            average_color: average_color(pixels),
        }
    }
}

pub(crate) fn md5(file: &[u8]) -> String {
    Md5::digest(file).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes any text");
        hex
    })
}

fn average_color(pixels: &DynamicImage) -> String {
    let mut sums = [0u64; 3];
    for (_, _, Rgba([red, green, blue, _])) in pixels.pixels() {
        for (sum, sample) in sums.iter_mut().zip([red, green, blue]) {
            *sum += u64::from(sample);
        }
    }
    let count = u64::from(pixels.width()) * u64::from(pixels.height());
    let [red, green, blue] = sums.map(|sum| (sum + count / 2) / count.max(1));
    format!("0x{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_average_colour_is_that_of_all_pixels() {
        assert_eq!(average_color(&testing::flag(8, 8)), "0x800080");
    }

    #[test]
    fn md5_is_written_in_hex() {
        assert_eq!(md5(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
