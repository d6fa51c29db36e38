//! `blur/…`: Gaussian blur.

use image::{DynamicImage, ImageBuffer, Pixel};

use crate::{
    number::whole,
    problem::shown,
    samples::{Sample, mixing, with_buffer},
};

/// How far a blur reaches, and how evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Blur {
    radius: u32,
    sigma: f32,
}

impl Blur {
    /// Reads `RxSIGMA`, the form after `blur/`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (radius, sigma) = text.split_once('x').ok_or("it is not of the form RxSIGMA")?;
        Ok(Self { radius: whole("radius", radius, 1..=50)?, sigma: parse_sigma(sigma)? })
    }

    pub(crate) fn apply(self, picture: &mut DynamicImage) {
        mixing(picture, |sharp| with_buffer!(sharp, buffer => self.blurred(buffer)));
    }

    /// One pass over the rows and one over the columns: a Gaussian is the
    /// product of the two.
    fn blurred<P>(
        self,
        sharp: &ImageBuffer<P, Vec<P::Subpixel>>,
    ) -> ImageBuffer<P, Vec<P::Subpixel>>
    where
        P: Pixel,
        P::Subpixel: Sample,
    {
        let (width, height) = sharp.dimensions();
        let channels = usize::from(P::CHANNEL_COUNT);
        let row = width as usize * channels;
        let weights = self.weights();
        let across = across(sharp.as_raw(), row, channels, &weights);
        let down = down(&across, row, &weights);
        ImageBuffer::from_raw(width, height, down).expect("blurring changes no size")
    }

    /// The weights from one end of the reach to the other; their sum is 1.
    fn weights(self) -> Vec<f32> {
        let radius = i16::try_from(self.radius).expect("it is at most 50");
        let bell = |at: i16| (-f32::from(at).powi(2) / (2.0 * self.sigma.powi(2))).exp();
        let weights: Vec<f32> = (-radius..=radius).map(bell).collect();
        let sum: f32 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

fn parse_sigma(text: &str) -> Result<f32, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let sigma = text.parse().ok().filter(|sigma| plain && (0.01..=1_000.0).contains(sigma));
    sigma
        .ok_or_else(|| format!("sigma is `{}`, allowed is a number from 0.01 to 1000", shown(text)))
}

/// Blurs every row of `row` samples. Its end pixels are repeated outwards.
fn across<S: Sample>(samples: &[S], row: usize, channels: usize, weights: &[f32]) -> Vec<S> {
    let reach = weights.len() / 2 * channels;
    let mut blurred = Vec::with_capacity(samples.len());
    let mut sums = vec![0.0; row];
    for line in samples.chunks_exact(row) {
        let (first, last) = (&line[..channels], &line[row - channels..]);
        let padded: Vec<f32> = first
            .iter()
            .cycle()
            .take(reach)
            .chain(line)
            .chain(last.iter().cycle().take(reach))
            .map(|sample| (*sample).into())
            .collect();
        sums.fill(0.0);
        for (shift, weight) in weights.iter().enumerate() {
            add(&mut sums, padded[shift * channels..].iter().copied(), *weight);
        }
        blurred.extend(sums.iter().map(|sum| S::nearest(*sum)));
    }
    blurred
}

/// Blurs every column. The end rows are repeated outwards.
fn down<S: Sample>(samples: &[S], row: usize, weights: &[f32]) -> Vec<S> {
    let lines: Vec<&[S]> = samples.chunks_exact(row).collect();
    let reach = weights.len() / 2;
    let mut blurred = Vec::with_capacity(samples.len());
    let mut sums = vec![0.0; row];
    for y in 0..lines.len() {
        sums.fill(0.0);
        for (shift, weight) in weights.iter().enumerate() {
            let line = lines[(y + shift).saturating_sub(reach).min(lines.len() - 1)];
            add(&mut sums, line.iter().map(|sample| (*sample).into()), *weight);
        }
        blurred.extend(sums.iter().map(|sum| S::nearest(*sum)));
    }
    blurred
}

fn add(sums: &mut [f32], samples: impl Iterator<Item = f32>, weight: f32) {
    for (sum, sample) in sums.iter_mut().zip(samples) {
        *sum += sample * weight;
    }
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn blurred(rule: &str, picture: impl Into<DynamicImage>) -> DynamicImage {
        let mut picture = picture.into();
        Blur::parse(rule).unwrap().apply(&mut picture);
        picture
    }

    #[test]
    fn an_even_picture_stays_as_it_is() {
        let even = RgbImage::from_pixel(9, 5, Rgb([10, 120, 255]));
        assert_eq!(blurred("50x10", even.clone()).into_rgb8(), even);
        let deep = ImageBuffer::from_pixel(3, 3, Rgb([1u16, 30_000, 65_535]));
        assert_eq!(blurred("2x1", deep.clone()).into_rgb16(), deep);
    }

    #[test]
    fn a_point_becomes_a_round_spot_of_the_same_weight() {
        let mut point = GrayImage::new(11, 11);
        point.put_pixel(5, 5, Luma([255]));
        let spot = blurred("3x1", point).into_luma8();

        let at = |x, y| spot.get_pixel(x, y).0[0];
        assert!(at(5, 5) > at(4, 5) && at(4, 5) > at(3, 5) && at(3, 5) > 0);
        assert_eq!(at(4, 5), at(5, 4));
        assert_eq!(at(4, 5), at(6, 5));
        assert_eq!(at(1, 5), 0, "it reaches no farther than the radius");
        let sum: u32 = spot.pixels().map(|pixel| u32::from(pixel.0[0])).sum();
        assert!((245..=265).contains(&sum), "{sum}");
    }

    #[test]
    fn invisible_colours_do_not_bleed() {
        let mut picture = RgbaImage::from_pixel(8, 1, Rgba([255, 0, 0, 255]));
        picture.put_pixel(0, 0, Rgba([0, 255, 0, 0]));
        let Rgba([red, green, _, alpha]) = blurred("2x1", picture).get_pixel(1, 0);
        assert_eq!((red, green), (255, 0));
        assert!(alpha < 255);
    }

    #[test]
    fn what_is_no_blur_is_refused() {
        for text in [
            "", "3", "x", "3x", "x3", "0x1", "51x1", "3x0", "3x-1", "3xnan", "3xinf", "3x1e1",
            "3x1001", "3x1.2.3", "3x.",
        ] {
            assert!(Blur::parse(text).is_err(), "{text}");
        }
        assert!(Blur::parse("50x0.01").is_ok());
    }
}
