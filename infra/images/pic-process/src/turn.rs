//! `rotate/…`: turning a picture by any angle.

use image::{DynamicImage, ImageBuffer, Pixel, Primitive};

use crate::samples::{Sample, mixing, with_buffer};

/// The size of a picture of that size once it is turned.
pub(crate) fn turned_size((width, height): (u32, u32), degrees: u32) -> (u64, u64) {
    match degrees % 180 {
        0 => (width.into(), height.into()),
        90 => (height.into(), width.into()),
        _ => {
            let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
            let (width, height) = (f64::from(width), f64::from(height));
            let cover = |across: f64, along: f64| pixels(across.abs() + along.abs());
            (cover(width * cos, height * sin), cover(width * sin, height * cos))
        }
    }
}

/// Turns a picture clockwise. Right angles move pixels and mix none.
pub(crate) fn turn(picture: &mut DynamicImage, degrees: u32) {
    match degrees % 360 {
        0 => {}
        90 => *picture = picture.rotate90(),
        180 => *picture = picture.rotate180(),
        270 => *picture = picture.rotate270(),
        askew => {
            mixing(picture, |straight| with_buffer!(straight, buffer => turned(buffer, askew)));
        }
    }
}

/// Turns by an odd angle, each new pixel mixed from the four it falls between.
fn turned<P>(
    straight: &ImageBuffer<P, Vec<P::Subpixel>>,
    degrees: u32,
) -> ImageBuffer<P, Vec<P::Subpixel>>
where
    P: Pixel,
    P::Subpixel: Sample,
{
    let (width, height) = straight.dimensions();
    let (new_width, new_height) = turned_size((width, height), degrees);
    let (new_width, new_height) = (narrow(new_width), narrow(new_height));
    let outside = outside::<P>();
    let pixel_at = |x: f64, y: f64| match (index(x, width), index(y, height)) {
        (Some(x), Some(y)) => straight.get_pixel(x, y),
        (None, _) | (_, None) => &outside,
    };
    let middle = |length: u32| f64::from(length) / 2.0 - 0.5;
    let (sin, cos) = f64::from(degrees).to_radians().sin_cos();

    ImageBuffer::from_fn(new_width, new_height, |x, y| {
        let (x, y) = (f64::from(x) - middle(new_width), f64::from(y) - middle(new_height));
        let (from_x, from_y) =
            (x * cos + y * sin + middle(width), y * cos - x * sin + middle(height));
        let (left, top) = (from_x.floor(), from_y.floor());
        let corners = [
            pixel_at(left, top),
            pixel_at(left + 1.0, top),
            pixel_at(left, top + 1.0),
            pixel_at(left + 1.0, top + 1.0),
        ];
        mixed(corners, from_x - left, from_y - top)
    })
}

/// Mixes four pixels by how near a point among them lies to each.
#[expect(clippy::cast_possible_truncation, reason = "shares need no more precision than samples")]
fn mixed<P>(corners: [&P; 4], right: f64, down: f64) -> P
where
    P: Pixel,
    P::Subpixel: Sample,
{
    let (right, down) = (right as f32, down as f32);
    let shares =
        [(1.0 - right) * (1.0 - down), right * (1.0 - down), (1.0 - right) * down, right * down];
    let mut mixed = *corners[0];
    for (channel, sample) in mixed.channels_mut().iter_mut().enumerate() {
        let parts = corners.iter().zip(shares).map(|(corner, share)| {
            let part: f32 = corner.channels()[channel].into();
            part * share
        });
        *sample = Sample::nearest(parts.sum());
    }
    mixed
}

/// What the corners of the new canvas are filled with: nothing where pixels
/// can be transparent, else white.
fn outside<P>() -> P
where
    P: Pixel,
    P::Subpixel: Sample,
{
    let transparent = matches!(P::CHANNEL_COUNT, 2 | 4);
    let fill =
        if transparent { P::Subpixel::DEFAULT_MIN_VALUE } else { P::Subpixel::DEFAULT_MAX_VALUE };
    *P::from_slice(&[fill; 4][..P::CHANNEL_COUNT.into()])
}

/// The smallest number of pixels that covers `length`, leaving out slivers
/// that only rounding makes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn pixels(length: f64) -> u64 {
    (length - 1e-6).ceil().max(1.0) as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is within the length"
)]
fn index(at: f64, length: u32) -> Option<u32> {
    (0.0..f64::from(length)).contains(&at).then_some(at as u32)
}

fn narrow(side: u64) -> u32 {
    u32::try_from(side).expect("sizes are checked against the limit first")
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
    const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

    /// Red on the left, blue on the right.
    fn flag() -> DynamicImage {
        RgbImage::from_fn(8, 4, |x, _| if x < 4 { RED } else { BLUE }).into()
    }

    fn turned_by(degrees: u32) -> RgbImage {
        let mut picture = flag();
        turn(&mut picture, degrees);
        picture.into_rgb8()
    }

    #[test]
    fn right_angles_are_exact_and_clockwise() {
        let quarter = turned_by(90);
        assert_eq!(quarter.dimensions(), (4, 8));
        assert_eq!((quarter.get_pixel(0, 0), quarter.get_pixel(0, 7)), (&RED, &BLUE));

        let half = turned_by(180);
        assert_eq!((half.get_pixel(0, 0), half.get_pixel(7, 0)), (&BLUE, &RED));

        let three_quarters = turned_by(270);
        assert_eq!((three_quarters.get_pixel(0, 0), three_quarters.get_pixel(0, 7)), (&BLUE, &RED));

        assert_eq!(turned_by(0), flag().into_rgb8());
        assert_eq!(turned_by(360), flag().into_rgb8());
    }

    #[test]
    fn other_angles_turn_clockwise_too() {
        let picture = turned_by(60);
        let (width, height) = picture.dimensions();
        let quarter = picture.get_pixel(width / 2 - 1, height / 4);
        assert!(quarter.0[0] > 200 && quarter.0[2] < 50, "red went up: {quarter:?}");
    }

    #[test]
    fn other_angles_grow_the_canvas_and_fill_it_with_white() {
        let picture = turned_by(45);
        assert_eq!(picture.dimensions(), (9, 9));
        assert_eq!(turned_size((8, 4), 45), (9, 9));
        assert_eq!(picture.get_pixel(0, 0), &WHITE);
    }

    #[test]
    fn a_picture_with_an_alpha_channel_gets_transparent_corners() {
        let mut picture = RgbaImage::from_pixel(8, 8, Rgba([200, 100, 50, 255])).into();
        turn(&mut picture, 30);
        assert_eq!(picture.get_pixel(0, 0).0[3], 0);
        let (width, height) = picture.dimensions();
        assert_eq!(picture.get_pixel(width / 2, height / 2), Rgba([200, 100, 50, 255]));
        for (_, _, Rgba([red, ..])) in picture.pixels().filter(|(_, _, pixel)| pixel.0[3] > 50) {
            assert!((195..=205).contains(&red), "edges keep their colour: {red}");
        }
    }

    #[test]
    fn a_turn_by_nearly_nothing_changes_nearly_nothing() {
        assert_eq!(turned_size((100, 100), 1), (102, 102));
        assert_eq!(turned_size((1, 1), 45), (2, 2));
    }
}
