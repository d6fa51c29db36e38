//! Writing the result.

use image::{
    DynamicImage, GenericImageView, ImageEncoder, ImageError, ImageResult, Rgb, RgbImage, Rgba,
    codecs::{
        jpeg::JpegEncoder,
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};

use crate::{
    number::MAX_SIDE,
    picture::{Format, Picture},
    problem::BadPicture,
};

/// The longest EXIF that one segment of a JPEG holds.
const MAX_JPEG_EXIF: usize = 65_527;

/// Writes `picture`; `quality` is for JPEG alone.
pub(crate) fn write(picture: Picture, format: Format, quality: u8) -> Result<Vec<u8>, BadPicture> {
    let Picture { pixels, exif, icc } = picture;
    check_size(&pixels)?;
    let pixels = suited(pixels, format);
    let exif = exif.filter(|exif| format != Format::Jpeg || exif.len() <= MAX_JPEG_EXIF);
    let icc = icc.filter(|icc| describes(icc, &pixels, format));

    let mut file = Vec::new();
    let written = match format {
        Format::Jpeg => {
            encode(JpegEncoder::new_with_quality(&mut file, quality), &pixels, exif, icc)
        }
        Format::Png => {
            let (effort, filter) = (CompressionType::Default, FilterType::Adaptive);
            encode(PngEncoder::new_with_quality(&mut file, effort, filter), &pixels, exif, icc)
        }
        Format::WebP => encode(WebPEncoder::new_lossless(&mut file), &pixels, exif, icc),
    };
    written.map_err(|error| BadPicture(format!("the result cannot be written: {error}")))?;
    Ok(file)
}

fn encode(
    mut encoder: impl ImageEncoder,
    pixels: &DynamicImage,
    exif: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
) -> ImageResult<()> {
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).map_err(ImageError::Unsupported)?;
    }
    if let Some(icc) = icc {
        encoder.set_icc_profile(icc).map_err(ImageError::Unsupported)?;
    }
    pixels.write_with_encoder(encoder)
}

/// A picture that no step made smaller may still be too large for a result.
fn check_size(pixels: &DynamicImage) -> Result<(), BadPicture> {
    let (width, height) = pixels.dimensions();
    if width.max(height) > MAX_SIDE {
        return Err(BadPicture(format!(
            "the result is {width}x{height}, allowed are {MAX_SIDE} pixels on a side; \
             thumbnail makes it smaller"
        )));
    }
    Ok(())
}

/// The pixels in a kind that the format knows.
fn suited(pixels: DynamicImage, format: Format) -> DynamicImage {
    match format {
        Format::Jpeg if pixels.has_alpha() => on_white(&pixels).into(),
        Format::Jpeg | Format::Png | Format::WebP => pixels,
    }
}

/// JPEG knows no transparency, and what shines through is white.
fn on_white(pixels: &DynamicImage) -> RgbImage {
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let Rgba([red, green, blue, alpha]) = pixels.get_pixel(x, y);
        Rgb([red, green, blue].map(|colour| over_white(colour, alpha)))
    })
}

fn over_white(colour: u8, alpha: u8) -> u8 {
    let [colour, alpha] = [colour, alpha].map(u16::from);
    let mixed = (colour * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).expect("a mean of two samples is a sample")
}

/// Whether a colour profile is about the kind of colours that are written.
///
/// Decoding turns CMYK into RGB, and some formats store grey as RGB; with the
/// profile of what it was before, a picture would be shown in wrong colours.
fn describes(icc: &[u8], pixels: &DynamicImage, format: Format) -> bool {
    let grey = format != Format::WebP && !pixels.color().has_color();
    let space: &[u8] = if grey { b"GRAY" } else { b"RGB " };
    icc.get(16..20) == Some(space)
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, GrayImage, ImageBuffer, LumaA, RgbaImage, metadata::Orientation};

    use super::*;
    use crate::{picture, testing};

    const FORMATS: [Format; 3] = [Format::Jpeg, Format::Png, Format::WebP];

    /// As much of a colour profile as is looked at.
    fn profile(space: [u8; 4]) -> Vec<u8> {
        [[0; 16].as_slice(), &space, &[0; 108]].concat()
    }

    fn written_and_read(picture: Picture, format: Format) -> Picture {
        let (picture, facts) = picture::read(&write(picture, format, 90).unwrap()).unwrap();
        assert_eq!(facts.format, format);
        picture
    }

    #[test]
    fn exif_and_colour_profile_are_kept_in_every_format() {
        for format in FORMATS {
            let mut before = testing::picture(testing::flag(16, 16));
            before.exif = Some(testing::exif(Orientation::Rotate180));
            before.icc = Some(profile(*b"RGB "));
            let after = written_and_read(before, format);
            assert_eq!(after.exif, Some(testing::exif(Orientation::Rotate180)), "{format:?}");
            assert_eq!(after.icc, Some(profile(*b"RGB ")), "{format:?}");
        }
    }

    #[test]
    fn the_profile_of_other_colours_is_left_out() {
        for (pixels, space, kept) in [
            (testing::flag(8, 8), b"CMYK", [false, false, false]),
            (testing::flag(8, 8), b"GRAY", [false, false, false]),
            (GrayImage::new(8, 8).into(), b"GRAY", [true, true, false]),
            (GrayImage::new(8, 8).into(), b"RGB ", [false, false, true]),
        ] {
            for (format, kept) in FORMATS.into_iter().zip(kept) {
                let mut before = testing::picture(pixels.clone());
                before.icc = Some(profile(*space));
                assert_eq!(
                    written_and_read(before, format).icc.is_some(),
                    kept,
                    "{format:?} {space:?}"
                );
            }
        }
    }

    #[test]
    fn an_exif_that_no_jpeg_can_hold_is_left_out_of_it() {
        let mut before = testing::picture(testing::flag(8, 8));
        let mut exif = testing::exif(Orientation::NoTransforms);
        exif.resize(MAX_JPEG_EXIF + 1, 0);
        before.exif = Some(exif.clone());
        assert_eq!(written_and_read(before, Format::Jpeg).exif, None);

        exif.pop();
        let mut before = testing::picture(testing::flag(8, 8));
        before.exif = Some(exif.clone());
        assert_eq!(written_and_read(before, Format::Jpeg).exif, Some(exif));
    }

    #[test]
    fn png_and_webp_lose_nothing() {
        let pixels: DynamicImage = RgbaImage::from_fn(16, 16, |x, y| {
            Rgba([x, y, x * y, 10 + x].map(|sample| u8::try_from(sample).unwrap()))
        })
        .into();
        for format in [Format::Png, Format::WebP] {
            assert_eq!(written_and_read(testing::picture(pixels.clone()), format).pixels, pixels);
        }
        let deep: DynamicImage = ImageBuffer::from_pixel(4, 4, Rgb([1u16, 300, 65_535])).into();
        assert_eq!(written_and_read(testing::picture(deep.clone()), Format::Png).pixels, deep);
        assert_eq!(written_and_read(testing::picture(deep), Format::WebP).pixels.width(), 4);
    }

    #[test]
    fn transparency_becomes_white_in_a_jpeg() {
        let clear = GrayAlphaImage::from_pixel(8, 8, LumaA([0, 0]));
        let white =
            written_and_read(testing::picture(clear.into()), Format::Jpeg).pixels.into_rgb8();
        assert!(white.pixels().all(|pixel| pixel.0.iter().all(|sample| *sample > 250)));
        assert_eq!((over_white(0, 0), over_white(7, 255), over_white(0, 128)), (255, 7, 127));
    }

    #[test]
    fn a_result_too_large_is_refused_with_advice() {
        let told =
            write(testing::picture(GrayImage::new(10_000, 1).into()), Format::Png, 90).unwrap_err();
        assert_eq!(
            told.to_string(),
            "picture: the result is 10000x1, allowed are 9999 pixels on a side; \
             thumbnail makes it smaller"
        );
    }
}
