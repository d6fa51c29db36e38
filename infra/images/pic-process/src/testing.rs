//! Small pictures for the tests beside the code.

use image::{DynamicImage, Rgb, RgbImage, metadata::Orientation};

use crate::picture::Picture;

pub(crate) const RED: Rgb<u8> = Rgb([255, 0, 0]);
pub(crate) const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

/// Red on the left, blue on the right.
pub(crate) fn flag(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE }).into()
}

/// A picture without metadata.
pub(crate) fn picture(pixels: DynamicImage) -> Picture {
    Picture { pixels, exif: None, icc: None }
}

/// The shortest EXIF that holds an orientation.
pub(crate) fn exif(orientation: Orientation) -> Vec<u8> {
    let mut exif = b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation.to_exif(), 0, 0, 0, 0, 0, 0]);
    exif
}
