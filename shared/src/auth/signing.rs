//! What signature schemes are made of.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// All but what RFC 3986 §2.3 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// HMAC-SHA1 (RFC 2104).
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 (RFC 2104).
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// SHA-1 in hex, lower case.
pub fn sha1_hex(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes))
}

/// SHA-256 in hex, lower case.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hex, lower case.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Text with all but the unreserved characters percent-encoded, in upper case.
pub fn unreserved(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Parameters in their order, each `name=value` with all but the unreserved
/// characters encoded, joined by `&`.
pub fn canonical_query<'p>(pairs: impl IntoIterator<Item = &'p (String, String)>) -> String {
    // Sorted before they are encoded, which keeps the order of plain names.
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort();
    let pair =
        |(name, value): &(String, String)| format!("{}={}", unreserved(name), unreserved(value));
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Whether no name stands twice among those of signed headers, whatever their
/// case: a header that is signed again and again makes the text longer than the
/// request by any factor.
pub fn are_distinct(names: &[&str]) -> bool {
    let distinct: BTreeSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    distinct.len() == names.len()
}

/// Whether two texts are the same, in a time that tells nothing of them but
/// their lengths.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values_come_out() {
        // RFC 2202 §3 and RFC 4231 §4.3, their second cases.
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac_sha1(key, message)), sha1);
        assert_eq!(hex(&hmac_sha256(key, message)), sha256);
        // FIPS 180-4, the example of one block.
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(sha256_hex(b"abc").starts_with("ba7816bf8f01cfea414140de5dae2223"));
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(unreserved("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(unreserved("a b*/+é"), "a%20b%2A%2F%2B%C3%A9");
    }

    #[test]
    fn names_are_told_apart_whatever_their_case() {
        assert!(are_distinct(&["host", "date"]) && are_distinct(&[]));
        assert!(!are_distinct(&["host", "date", "Host"]));
    }

    #[test]
    fn the_same_is_the_same_and_nothing_else() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abx") && !same("abc", "ab") && !same("", "a"));
    }
}
