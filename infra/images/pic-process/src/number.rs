//! Numbers inside rules.

use std::ops::RangeInclusive;

use crate::problem::shown;

/// The largest width or height a rule may name, and a result may have.
pub(crate) const MAX_SIDE: u32 = 9_999;

/// Reads a whole number; signs and spaces are no part of the notation.
pub(crate) fn whole(what: &str, text: &str, allowed: RangeInclusive<u32>) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && allowed.contains(number));
    number.ok_or_else(|| {
        let (low, high) = allowed.into_inner();
        format!("the {what} is `{}`, allowed is a whole number from {low} to {high}", shown(text))
    })
}

/// Reads a width or a height.
pub(crate) fn side(what: &str, text: &str) -> Result<u32, String> {
    whole(what, text, 1..=MAX_SIDE)
}

/// Reads `WxH`, of which one may be left out.
pub(crate) fn sides(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let some = |what, text: &str| (!text.is_empty()).then(|| side(what, text)).transpose();
    let (width, height) = text
        .split_once('x')
        .ok_or_else(|| format!("`{}` is not of the form WxH, Wx or xH", shown(text)))?;
    match (some("width", width)?, some("height", height)?) {
        (None, None) => Err("it has neither a width nor a height".to_owned()),
        sides => Ok(sides),
    }
}

/// Reads `WxH` with both sides given.
pub(crate) fn both_sides(text: &str) -> Result<(u32, u32), String> {
    match sides(text)? {
        (Some(width), Some(height)) => Ok((width, height)),
        (Some(_), None) => Err("its height is missing".to_owned()),
        (None, _) => Err("its width is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_within_the_range_are_numbers() {
        assert_eq!(whole("angle", "007", 0..=10), Ok(7));
        for text in ["", "+7", "-7", " 7", "7.0", "11", "99999999999", "٧"] {
            let told = whole("angle", text, 0..=10).unwrap_err();
            assert_eq!(
                told,
                format!("the angle is `{text}`, allowed is a whole number from 0 to 10")
            );
        }
    }

    #[test]
    fn one_side_may_be_missing_but_not_both() {
        assert_eq!(sides("3x"), Ok((Some(3), None)));
        assert_eq!(sides("x4"), Ok((None, Some(4))));
        assert_eq!(sides("3x4"), Ok((Some(3), Some(4))));
        assert!(sides("x").is_err());
        assert!(sides("34").is_err());
        assert!(sides("3x0").is_err());
        assert!(sides("3x10000").is_err());
    }
}
