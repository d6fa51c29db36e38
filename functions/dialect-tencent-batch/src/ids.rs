//! Ids of this API's own making: a prefix, and eight digits and small letters.

/// What they are made of.
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Eight characters out of sixteen bytes.
pub(crate) fn eight(bytes: [u8; 16]) -> String {
    let mut rest = u128::from_be_bytes(bytes);
    let mut letters = String::new();
    for _ in 0..8 {
        let place = usize::try_from(rest % 36).unwrap_or(0);
        letters.push(char::from(ALPHABET[place]));
        rest /= 36;
    }
    letters
}

/// Whether it is eight such characters after the prefix.
pub(crate) fn is_made(prefix: &str, text: &str) -> bool {
    let letters = text.strip_prefix(prefix);
    letters.is_some_and(|rest| rest.len() == 8 && rest.bytes().all(|b| ALPHABET.contains(&b)))
}
