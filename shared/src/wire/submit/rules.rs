//! Rules that more than one request has to keep.

use std::collections::BTreeMap;

use crate::{
    job::{Destination, Name},
    wire::Problem,
};

/// An object's key: 1 to 900 bytes without control characters.
pub fn check_object_key(field: &str, key: &str) -> Result<(), Problem> {
    if (1..=900).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(field, "a key is 1 to 900 bytes without control characters"))
}

/// An object's name, `bucket/key`.
pub fn parse_object(field: &str, text: &str) -> Result<(Name, String), Problem> {
    let (bucket, key) = text
        .split_once('/')
        .filter(|(_, key)| !key.is_empty())
        .ok_or_else(|| Problem::invalid(field, "an object is named `bucket/key`"))?;
    check_object_key(field, key)?;
    Ok((parse_name(field, bucket)?, key.to_owned()))
}

/// The name of one object, `bucket/key`, or the start of the names of several,
/// `bucket/prefix/` or `bucket/`.
pub(super) fn parse_destination(field: &str, text: &str) -> Result<Destination, Problem> {
    let (bucket, key) = text.split_once('/').ok_or_else(|| {
        Problem::invalid(field, "an object is named `bucket/key`, several `bucket/prefix/`")
    })?;
    if !key.is_empty() {
        check_object_key(field, key)?;
    }
    Ok(Destination { bucket: parse_name(field, bucket)?, key: key.to_owned() })
}

/// A client's token: 1 to 64 printable ASCII characters.
pub fn check_client_token(field: &str, token: &str) -> Result<(), Problem> {
    if (1..=64).contains(&token.len()) && token.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Ok(());
    }
    Err(Problem::invalid(field, "it is 1 to 64 printable ASCII characters without spaces"))
}

/// A name, or the field that holds none.
pub fn parse_name(field: &str, text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error| Problem::invalid(field, format!("{error}")))
}

/// A number within bounds, both included.
pub fn within(field: &str, value: i64, least: i64, most: i64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{value} is not within {least} to {most}")))
}

/// Text that people write: 1 to `most` characters, none of them a control character.
pub fn check_text(field: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        let rule = format!("it is 1 to {most} characters, none of them a control character");
        return Err(Problem::invalid(field, rule));
    }
    Ok(())
}

pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Problem> {
    if tags.len() > 50 {
        return Err(Problem::invalid("tags", "there are at most 50"));
    }
    for (key, value) in tags {
        check_text(&format!("tags.{key}"), key, 128)?;
        if value.chars().count() > 256 || value.chars().any(char::is_control) {
            return Err(Problem::invalid(
                format!("tags.{key}"),
                "a value is up to 256 characters, none of them a control character",
            ));
        }
    }
    Ok(())
}

/// An absolute path that stays where it says.
pub(super) fn check_path(field: &str, path: &str) -> Result<(), Problem> {
    let rule = if !path.starts_with('/') {
        "it is not absolute: a path starts with `/`"
    } else if path.split('/').any(|part| part == "..") {
        "it contains `..`"
    } else if path.len() > 1_024 {
        "it is longer than 1,024 bytes"
    } else if path.contains('\0') {
        "it contains a NUL character"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(field, rule))
}

pub(super) fn check_user(field: &str, user: &str) -> Result<(), Problem> {
    let sound = |part: &str| {
        (1..=32).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !part.starts_with('-')
    };
    let (user, group) = user.split_once(':').map_or((user, None), |(u, g)| (u, Some(g)));
    if sound(user) && group.is_none_or(sound) {
        return Ok(());
    }
    Err(Problem::invalid(field, "it is `user` or `user:group`, names or numbers"))
}
