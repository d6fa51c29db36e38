//! Why a picture was not processed, told in one line.

use image::ImageError;

/// The longest stretch of a rule that a message repeats.
const SHOWN: usize = 80;

/// Either the rules or the picture is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A rule cannot be read, or not be carried out on this picture.
    #[error(transparent)]
    Rule(#[from] BadRule),
    /// The picture is broken, of another format, or too large.
    #[error(transparent)]
    Picture(#[from] BadPicture),
}

/// A part of the rules that cannot be carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{part}`: {wrong}")]
pub struct BadRule {
    part: String,
    wrong: String,
}

impl BadRule {
    pub(crate) fn new(part: &str, wrong: impl Into<String>) -> Self {
        Self { part: shown(part), wrong: wrong.into() }
    }
}

/// A picture that cannot be read, or not as it should be written.
#[derive(Debug, thiserror::Error)]
#[error("picture: {0}")]
pub struct BadPicture(pub(crate) String);

impl From<ImageError> for BadPicture {
    fn from(error: ImageError) -> Self {
        Self(shown(&error.to_string()))
    }
}

/// Foreign text made fit for one line of a log.
pub(crate) fn shown(text: &str) -> String {
    let mut line: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let told = BadRule::new(&"a\nb".repeat(1_000), "it is wrong").to_string();
        assert!(!told.contains('\n'));
        assert!(told.len() < 200, "{told}");
    }
}
