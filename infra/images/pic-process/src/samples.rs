//! The numbers a picture is made of, whatever their size and arrangement.

use fast_image_resize::MulDiv;
use image::{DynamicImage, Primitive};

/// One channel of one pixel.
pub(crate) trait Sample: Primitive + Into<f32> + 'static {
    /// The nearest sample; what lies beyond the range becomes its end.
    fn nearest(value: f32) -> Self;
}

impl Sample for u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    fn nearest(value: f32) -> Self {
        value.round() as Self
    }
}

impl Sample for u16 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    fn nearest(value: f32) -> Self {
        value.round() as Self
    }
}

/// Makes a new picture of the same kind out of a picture's typed buffer.
///
/// The decoders give no other kinds than the eight listed.
macro_rules! with_buffer {
    ($picture:expr, $buffer:ident => $make:expr) => {
        match $picture {
            image::DynamicImage::ImageLuma8($buffer) => image::DynamicImage::ImageLuma8($make),
            image::DynamicImage::ImageLumaA8($buffer) => image::DynamicImage::ImageLumaA8($make),
            image::DynamicImage::ImageRgb8($buffer) => image::DynamicImage::ImageRgb8($make),
            image::DynamicImage::ImageRgba8($buffer) => image::DynamicImage::ImageRgba8($make),
            image::DynamicImage::ImageLuma16($buffer) => image::DynamicImage::ImageLuma16($make),
            image::DynamicImage::ImageLumaA16($buffer) => image::DynamicImage::ImageLumaA16($make),
            image::DynamicImage::ImageRgb16($buffer) => image::DynamicImage::ImageRgb16($make),
            image::DynamicImage::ImageRgba16($buffer) => image::DynamicImage::ImageRgba16($make),
            other => {
                let $buffer = &other.to_rgba8();
                image::DynamicImage::ImageRgba8($make)
            }
        }
    };
}
pub(crate) use with_buffer;

/// Changes a picture by mixing neighbouring pixels.
///
/// Colours are weighted by their opacity meanwhile, or else the invisible
/// colour of transparent pixels would bleed into the visible ones.
pub(crate) fn mixing(picture: &mut DynamicImage, mix: impl FnOnce(&DynamicImage) -> DynamicImage) {
    if !picture.has_alpha() {
        *picture = mix(picture);
        return;
    }
    let weights = MulDiv::new();
    weights.multiply_alpha_inplace(picture).expect(ALPHA);
    *picture = mix(picture);
    weights.divide_alpha_inplace(picture).expect(ALPHA);
}

const ALPHA: &str = "a picture of whole-number samples with an alpha channel has a weight";
