//! How values are written on the command line.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::problem::Failure;

/// Seconds, out of `90`, `90s`, `10m`, `2h`, `1d` or `1h30m`.
pub fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no duration: write 90, 90s, 10m, 2h, 1d or 1h30m");
    let mut total: u32 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let mut after = rest[digits..].chars();
        let unit = match after.next() {
            // A bare number is seconds, and only ever the whole.
            None if digits == text.len() => 1,
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        rest = after.as_str();
        let part = number.checked_mul(unit);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Until it is over.
    End,
    /// So many seconds at most.
    Seconds(u32),
}

/// Patience, out of `end` or a duration.
pub fn patience(text: &str) -> Result<Patience, String> {
    if text == "end" { Ok(Patience::End) } else { seconds(text).map(Patience::Seconds) }
}

/// Which results of equals will do, as the API takes it, out of `any` or a
/// duration.
pub fn cache(text: &str) -> Result<Value, String> {
    match text {
        "any" => Ok(json!(true)),
        age => seconds(age).map(|seconds| json!({ "max_age_seconds": seconds })),
    }
}

/// MiB, out of `512`, `512m` or `2g`.
pub fn mebibytes(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no amount of memory: write MiB, such as 512, or 512m, 2g");
    let lower = text.to_ascii_lowercase();
    let bare = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, unit) = match bare.strip_suffix('g') {
        Some(number) => (number, 1_024),
        None => (bare.strip_suffix('m').unwrap_or(bare), 1),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

/// `NAME=VALUE`, where the value may hold further `=`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// `NAME=VALUE`, or `NAME` for the value that it has in our own environment.
pub fn variable(text: &str) -> Result<(String, Option<String>), String> {
    if text.contains('=') {
        return pair(text).map(|(name, value)| (name, Some(value)));
    }
    if text.is_empty() { Err("a variable has a name".into()) } else { Ok((text.to_owned(), None)) }
}

/// `BUCKET/KEY`.
pub fn object(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => {
            Ok((bucket.to_owned(), key.to_owned()))
        }
        _ => Err(format!("`{text}` is not BUCKET/KEY")),
    }
}

/// `BUCKET`, or `BUCKET/PREFIX`.
pub fn bucket(text: &str) -> Result<(String, String), String> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    if bucket.is_empty() {
        return Err(format!("`{text}` is not BUCKET or BUCKET/PREFIX"));
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

/// 128 random bits in hex: a token that makes a submit safe to repeat.
pub fn fresh_token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Usage(format!("the system has no random bytes: {error}")))?;
    Ok(HEXLOWER.encode(&bytes))
}

/// What stands for a callback: an address, or the JSON that the API takes, or a
/// file of that, which keeps its secret off the command line; `no` for none.
pub fn callback(text: &str) -> Result<Value, String> {
    if text == "no" {
        return Ok(text.into());
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return Ok(json!({ "url": text }));
    }
    let json = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&json).map_err(|error| format!("it is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        for (text, expected) in [
            ("90", 90),
            ("0", 0),
            ("90s", 90),
            ("10m", 600),
            ("2h", 7_200),
            ("1d", 86_400),
            ("1h30m", 5_400),
            ("1d2h3m4s", 93_784),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "m", "-1", "1.5h", "10 m", "1h30", "5w", "99999999999", "99999d", "１s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_in_mebibytes_unless_said_otherwise() {
        for (text, expected) in [
            ("512", 512),
            ("512m", 512),
            ("512MiB", 512),
            ("2g", 2_048),
            ("2GiB", 2_048),
            ("1GB", 1_024),
        ] {
            assert_eq!(mebibytes(text), Ok(expected), "{text}");
        }
        for text in ["", "g", "-1", "1.5g", "99999999g", "5t"] {
            assert!(mebibytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_pair_is_split_at_its_first_equals_sign() {
        assert_eq!(pair("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(pair("A="), Ok(("A".into(), String::new())));
        assert!(pair("A").is_err());
        assert!(pair("=b").is_err());
        assert_eq!(variable("HOME"), Ok(("HOME".into(), None)));
        assert_eq!(variable("A=b"), Ok(("A".into(), Some("b".into()))));
        assert!(variable("").is_err());
    }

    #[test]
    fn an_object_has_a_bucket_and_a_key() {
        assert_eq!(object("b/k/l"), Ok(("b".into(), "k/l".into())));
        assert!(object("b").is_err());
        assert!(object("b/").is_err());
        assert!(object("/k").is_err());
        assert_eq!(bucket("b"), Ok(("b".into(), String::new())));
        assert_eq!(bucket("b/p/"), Ok(("b".into(), "p/".into())));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let token = fresh_token().unwrap();
        assert_eq!(token.len(), 32);
        assert_ne!(token, fresh_token().unwrap());
    }
}
