//! Carries out the operations, one after the other.

use fast_image_resize::{ResizeOptions, Resizer};
use image::{DynamicImage, metadata::Orientation};

use crate::{
    crop::Area,
    number::MAX_SIDE,
    picture::Picture,
    problem::BadRule,
    rules::{Operation, Step},
    turn::{turn, turned_size},
};

/// Changes `picture` step by step.
pub(crate) fn apply(steps: &[Step], picture: &mut Picture) -> Result<(), BadRule> {
    for Step { written, operation } in steps {
        step(*operation, picture).map_err(|wrong| BadRule::new(written, wrong))?;
    }
    Ok(())
}

fn step(operation: Operation, picture: &mut Picture) -> Result<(), String> {
    let size = (picture.pixels.width(), picture.pixels.height());
    match operation {
        Operation::AutoOrient => auto_orient(picture),
        Operation::Rotate(degrees) => {
            within_limits(turned_size(size, degrees))?;
            turn(&mut picture.pixels, degrees);
        }
        Operation::FlipHorizontal => picture.pixels = picture.pixels.fliph(),
        Operation::FlipVertical => picture.pixels = picture.pixels.flipv(),
        Operation::Thumbnail(thumbnail) => {
            let size = within_limits(thumbnail.size(size))?;
            resize(&mut picture.pixels, size);
        }
        Operation::Crop(crop) => {
            let Area { x, y, width, height } = crop.area(size)?;
            picture.pixels = picture.pixels.crop_imm(x, y, width, height);
        }
        Operation::Blur(blur) => blur.apply(&mut picture.pixels),
    }
    Ok(())
}

/// Turns the picture as its EXIF says, and has the EXIF say that it is upright,
/// lest a viewer turn it once more.
fn auto_orient(picture: &mut Picture) {
    let exif = picture.exif.as_deref_mut();
    if let Some(orientation) = exif.and_then(Orientation::remove_from_exif_chunk) {
        picture.pixels.apply_orientation(orientation);
    }
}

fn within_limits((width, height): (u64, u64)) -> Result<(u32, u32), String> {
    let fitting = |side: u64| u32::try_from(side).ok().filter(|side| *side <= MAX_SIDE);
    fitting(width).zip(fitting(height)).ok_or_else(|| {
        format!("the result would be {width}x{height}, allowed are {MAX_SIDE} pixels on a side")
    })
}

fn resize(picture: &mut DynamicImage, (width, height): (u32, u32)) {
    if (width, height) == (picture.width(), picture.height()) {
        return;
    }
    let mut resized = DynamicImage::new(width, height, picture.color());
    Resizer::new()
        .resize(picture, &mut resized, &ResizeOptions::new())
        .expect("both pictures are of one kind, and whole");
    *picture = resized;
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView, Rgb, Rgba, RgbaImage};

    use super::*;
    use crate::{rules::Rules, testing};

    /// Applies rules to a 40 by 20 picture, red on the left and blue on the right.
    fn applied(rules: &str) -> Result<DynamicImage, BadRule> {
        let mut picture = testing::picture(testing::flag(40, 20));
        apply(&rules.parse::<Rules>()?.steps, &mut picture)?;
        Ok(picture.pixels)
    }

    fn size(rules: &str) -> (u32, u32) {
        applied(rules).unwrap().dimensions()
    }

    #[test]
    fn each_operation_gives_its_size() {
        assert_eq!(size("rotate/90"), (20, 40));
        assert_eq!(size("rotate/45"), (43, 43));
        assert_eq!(size("thumbnail/10x"), (10, 5));
        assert_eq!(size("thumbnail/10x10!"), (10, 10));
        assert_eq!(size("crop/10x10/gravity/center"), (10, 10));
        assert_eq!(size("cut/10x5x30x15"), (10, 5));
        assert_eq!(size("blur/3x1"), (40, 20));
        assert_eq!(size("flip/vertical"), (40, 20));
        assert_eq!(size("auto-orient"), (40, 20));
    }

    #[test]
    fn order_matters() {
        assert_eq!(size("thumbnail/10x/rotate/90"), (5, 10));
        assert_eq!(size("rotate/90/thumbnail/10x"), (10, 20));
        assert_eq!(size("rotate/90|thumbnail/10x"), (10, 20));
    }

    #[test]
    fn a_crop_takes_the_right_part() {
        let east = applied("crop/10x10/gravity/east").unwrap().into_rgb8();
        assert!(east.pixels().all(|pixel| *pixel == testing::BLUE));
        let west = applied("flip/horizontal/crop/10x10/gravity/west").unwrap().into_rgb8();
        assert!(west.pixels().all(|pixel| *pixel == testing::BLUE));
    }

    #[test]
    fn scaling_keeps_colours_in_place() {
        let small = applied("thumbnail/!25p").unwrap().into_rgb8();
        assert_eq!(small.get_pixel(0, 0), &testing::RED);
        assert_eq!(small.get_pixel(9, 4), &testing::BLUE);
    }

    #[test]
    fn scaling_leaves_invisible_colours_invisible() {
        let half = RgbaImage::from_fn(40, 40, |x, _| {
            if x < 20 { Rgba([0, 0, 0, 0]) } else { Rgba([250, 250, 250, 255]) }
        });
        let mut pixels = half.into();
        resize(&mut pixels, (13, 13));
        for (_, _, Rgba([red, ..])) in pixels.pixels().filter(|(_, _, pixel)| pixel.0[3] > 50) {
            assert!(red > 240, "{red}");
        }
    }

    #[test]
    fn a_result_beyond_the_limit_is_refused_before_it_is_made() {
        let told = |rules| applied(rules).unwrap_err().to_string();
        assert_eq!(
            told("thumbnail/9999x1!|thumbnail/!200p"),
            "rule `thumbnail/!200p`: the result would be 19998x2, allowed are 9999 pixels on a side"
        );
        assert_eq!(
            told("thumbnail/9999x100!|rotate/1"),
            "rule `rotate/1`: the result would be 10000x275, allowed are 9999 pixels on a side"
        );
        assert_eq!(
            told("crop/41x10"),
            "rule `crop/41x10`: it reaches beyond the picture, which is 40x20 there"
        );
    }

    #[test]
    fn auto_orient_turns_once_and_says_so_in_the_exif() {
        let mut picture = testing::picture(testing::flag(40, 20));
        picture.exif = Some(testing::exif(Orientation::Rotate90));
        let steps = "auto-orient|auto-orient".parse::<Rules>().unwrap().steps;

        apply(&steps, &mut picture).unwrap();

        assert_eq!(picture.pixels.dimensions(), (20, 40));
        assert_eq!(picture.pixels.get_pixel(0, 0), Rgba([255, 0, 0, 255]));
        let exif = picture.exif.unwrap();
        assert_eq!(Orientation::from_exif_chunk(&exif), Some(Orientation::NoTransforms));
        assert_eq!(testing::RED, Rgb([255, 0, 0]));
    }
}
