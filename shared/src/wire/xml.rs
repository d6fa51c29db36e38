//! What a document of XML can have in it.

use std::borrow::Cow;

/// Whether a character may be in a document at all (XML 1.0 §2.2).
pub fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// A text without what no document may have in it, escaped or not.
pub fn fit_for_xml(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_xml) {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| is_xml(*c)).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_document_may_have_is_left_out() {
        assert_eq!(fit_for_xml("a\u{0}b\u{1b}[1m\u{fffe}\tc\u{1f600}"), "ab[1m\tc\u{1f600}");
        assert!(matches!(fit_for_xml("a <b>\r\n"), Cow::Borrowed(_)));
    }
}
