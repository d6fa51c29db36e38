//! `thumbnail/…`: the size a picture is scaled to.

use crate::number::{both_sides, sides, whole};

/// How the new size follows from the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thumbnail {
    /// Percent of the width and of the height.
    Percent(u32, u32),
    /// As large as fits, proportions kept.
    Fit { width: Option<u32>, height: Option<u32>, only: Only },
    /// As small as covers, proportions kept.
    Cover(u32, u32),
    /// Whatever the proportions.
    Exact(u32, u32),
    /// At most so many pixels in all; never enlarges.
    Area(u32),
}

/// The only direction in which a picture may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    Either,
    Shrink,
    Enlarge,
}

impl Thumbnail {
    /// Reads the geometry after `thumbnail/`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(marked) = text.strip_prefix('!') {
            return Self::parse_marked(marked);
        }
        if let Some(area) = text.strip_suffix('@') {
            return Ok(Self::Area(whole("area", area, 1..=100_000_000)?));
        }
        if let Some(exact) = text.strip_suffix('!') {
            let (width, height) = both_sides(exact)?;
            return Ok(Self::Exact(width, height));
        }
        let (bounds, only) = match (text.strip_suffix('>'), text.strip_suffix('<')) {
            (Some(bounds), _) => (bounds, Only::Shrink),
            (None, Some(bounds)) => (bounds, Only::Enlarge),
            (None, None) => (text, Only::Either),
        };
        let (width, height) = sides(bounds)?;
        Ok(Self::Fit { width, height, only })
    }

    /// The forms that begin with an exclamation mark.
    fn parse_marked(text: &str) -> Result<Self, String> {
        let percent = |text| whole("percentage", text, 1..=999);
        if let Some(size) = text.strip_suffix('r') {
            let (width, height) = both_sides(size)?;
            return Ok(Self::Cover(width, height));
        }
        if let Some(scale) = text.strip_suffix("px") {
            return Ok(Self::Percent(percent(scale)?, 100));
        }
        let scale = text.strip_suffix('p').ok_or(
            "after the exclamation mark it must be one of the forms !Sp, !Spx, !xSp and !WxHr",
        )?;
        match scale.strip_prefix('x') {
            Some(scale) => Ok(Self::Percent(100, percent(scale)?)),
            None => percent(scale).map(|scale| Self::Percent(scale, scale)),
        }
    }

    /// The size that a picture of `width` by `height` is scaled to.
    ///
    /// Whole-number arithmetic throughout: a side that follows the other one
    /// is rounded to the nearest pixel and never vanishes.
    pub(crate) fn size(self, (width, height): (u32, u32)) -> (u64, u64) {
        let (w, h) = (u64::from(width), u64::from(height));
        match self {
            Self::Percent(x, y) => (share(w, x.into(), 100), share(h, y.into(), 100)),
            Self::Exact(x, y) => (x.into(), y.into()),
            Self::Cover(x, y) => {
                let (x, y) = (u64::from(x), u64::from(y));
                // x/w against y/h, without dividing
                if x * h >= y * w { (x, share(h, x, w)) } else { (share(w, y, h), y) }
            }
            Self::Fit { width: x, height: y, only } => {
                let fitting = fit((w, h), x.map(u64::from), y.map(u64::from));
                match only {
                    Only::Shrink if fitting.0 > w || fitting.1 > h => (w, h),
                    Only::Enlarge if fitting.0 < w || fitting.1 < h => (w, h),
                    Only::Either | Only::Shrink | Only::Enlarge => fitting,
                }
            }
            Self::Area(area) => {
                let area = u64::from(area);
                if w * h <= area {
                    return (w, h);
                }
                ((w * area / h).isqrt().clamp(1, area), (h * area / w).isqrt().clamp(1, area))
            }
        }
    }
}

fn fit((w, h): (u64, u64), width: Option<u64>, height: Option<u64>) -> (u64, u64) {
    match (width, height) {
        (None, None) => (w, h),
        (Some(x), None) => (x, share(h, x, w)),
        (Some(x), Some(y)) if x * h <= y * w => (x, share(h, x, w)),
        (None | Some(_), Some(y)) => (share(w, y, h), y),
    }
}

/// `side * numerator / denominator`, rounded, at least one pixel.
fn share(side: u64, numerator: u64, denominator: u64) -> u64 {
    ((2 * side * numerator + denominator) / (2 * denominator)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(rule: &str, of: (u32, u32)) -> (u64, u64) {
        Thumbnail::parse(rule).unwrap().size(of)
    }

    #[test]
    fn percentages_scale_both_sides_or_one() {
        assert_eq!(size("!50p", (400, 201)), (200, 101));
        assert_eq!(size("!50px", (400, 200)), (200, 200));
        assert_eq!(size("!x150p", (400, 200)), (400, 300));
        assert_eq!(size("!1p", (10, 10)), (1, 1));
    }

    #[test]
    fn one_given_side_leads_and_the_other_follows() {
        assert_eq!(size("100x", (400, 200)), (100, 50));
        assert_eq!(size("x100", (400, 200)), (200, 100));
        assert_eq!(size("800x", (400, 200)), (800, 400));
    }

    #[test]
    fn two_given_sides_are_a_frame_to_fit_into() {
        assert_eq!(size("100x100", (400, 200)), (100, 50));
        assert_eq!(size("1000x300", (400, 200)), (600, 300));
    }

    #[test]
    fn the_greater_sign_only_shrinks() {
        assert_eq!(size("100x100>", (400, 200)), (100, 50));
        assert_eq!(size("1000x100>", (400, 200)), (200, 100));
        assert_eq!(size("800x800>", (400, 200)), (400, 200));
        assert_eq!(size("300x>", (400, 200)), (300, 150));
    }

    #[test]
    fn the_smaller_sign_only_enlarges() {
        assert_eq!(size("800x800<", (400, 200)), (800, 400));
        assert_eq!(size("800x100<", (400, 200)), (400, 200));
        assert_eq!(size("100x100<", (400, 200)), (400, 200));
    }

    #[test]
    fn r_covers_the_frame() {
        assert_eq!(size("!100x100r", (400, 200)), (200, 100));
        assert_eq!(size("!100x100r", (200, 400)), (100, 200));
    }

    #[test]
    fn a_last_exclamation_mark_ignores_proportions() {
        assert_eq!(size("70x30!", (400, 200)), (70, 30));
    }

    #[test]
    fn an_area_is_never_exceeded_and_never_filled_by_enlarging() {
        assert_eq!(size("20000@", (400, 200)), (200, 100));
        assert_eq!(size("90000@", (400, 200)), (400, 200));
        let (w, h) = size("12345@", (401, 203));
        assert!(w * h <= 12_345);
        assert_eq!(size("50@", (9_999, 3)), (50, 1));
    }

    #[test]
    fn what_is_no_geometry_is_refused() {
        for text in [
            "",
            "x",
            "300",
            "!",
            "!p",
            "!0p",
            "!1000p",
            "!px",
            "!xp",
            "!x5",
            "!300x200",
            "!300xr",
            "0x",
            "10000x",
            "300x!",
            "!x",
            "@",
            "0@",
            "300x200=",
            "300x200>>",
            "3 0x",
            "-3x",
        ] {
            assert!(Thumbnail::parse(text).is_err(), "{text}");
        }
    }
}
