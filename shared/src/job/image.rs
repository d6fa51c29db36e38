//! Image references, and what one resolves to.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ids::as_text;

/// Text that was offered as an image reference and is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadImage(&'static str);

/// A container image by name, `[host[:port]/]path[:tag][@digest]`, or by an
/// engine's own image id (`sha256:…`).
///
/// The grammar is the OCI distribution spec's, with the lengths that
/// registries hold to: a name of at most 255 characters, a tag of 128.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference(String);

impl ImageReference {
    /// The reference as text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageReference {
    type Err = BadImage;

    fn from_str(text: &str) -> Result<Self, BadImage> {
        check(text)?;
        Ok(ImageReference(text.to_owned()))
    }
}

as_text!(ImageReference);

fn check(text: &str) -> Result<(), BadImage> {
    if text.is_empty() {
        return Err(BadImage("an image is required"));
    }
    if is_digest(text) {
        return Ok(());
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(BadImage("the digest after `@` is not `sha256:` and 64 lower-case hex digits"));
    }
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(BadImage("the tag is not 1 to 128 of `A-Z a-z 0-9 _ . -`"));
    }
    if name.len() > 255 {
        return Err(BadImage("the name is longer than 255 characters"));
    }
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => path,
        _ => name,
    };
    if path.split('/').all(is_component) {
        return Ok(());
    }
    Err(BadImage(
        "a name is `[host[:port]/]path` whose parts are lower-case letters and digits, \
         joined by `.`, `_`, `__` or `-`",
    ))
}

/// Whether it is `sha256:` and 64 lower-case hex digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !text.starts_with(['.', '-'])
}

/// A first component is a host when it could not be a path: it has a dot or a
/// port, or is `localhost` (the rule every client follows).
fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(n, p)| (n, Some(p)));
    let looks = text == "localhost" || name.contains('.') || port.is_some();
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    looks
        && name.split('.').all(label)
        && port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok())
}

/// Runs of letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joint =
        |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    text.starts_with(plain) && text.ends_with(plain) && text.split(plain).all(joint)
}

/// What a reference stood for when it was looked up, pinned for the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedImage {
    /// What to run: `name@sha256:…`, or an engine's image id.
    pub digest: String,
    /// The image's ENTRYPOINT, empty where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The image's CMD, empty where it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The image's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The image's WORKDIR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The image's USER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `os/architecture`, such as `linux/amd64`.
    pub platform: String,
    /// Where the platform keeps the credentials that pull it, if it needs any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,
}

impl ResolvedImage {
    /// The argument vector of a container of this image.
    ///
    /// As Kubernetes has it: a given entrypoint replaces the image's and drops
    /// the image's command; a given command alone follows the image's
    /// entrypoint; with neither, the image speaks for itself.
    pub fn argv(&self, entrypoint: Option<&[String]>, command: Option<&[String]>) -> Vec<String> {
        let (head, tail) = match (entrypoint, command) {
            (Some(entrypoint), command) => (entrypoint, command.unwrap_or_default()),
            (None, Some(command)) => (self.entrypoint.as_slice(), command),
            (None, None) => (self.entrypoint.as_slice(), self.command.as_slice()),
        };
        head.iter().chain(tail).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_every_usual_form_are_accepted() {
        let hex = "a".repeat(64);
        for text in [
            "hello",
            "tarpon/hello",
            "tarpon/hello:1.2",
            "localhost:5000/a/b:latest",
            "10.0.0.7:5000/x",
            "a.b_c__d---e",
            "registry.example.com/team/tool",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tool:v1",
            &format!("tool@sha256:{hex}"),
            &format!("tool:v1@sha256:{hex}"),
            &format!("sha256:{hex}"),
        ] {
            assert_eq!(text.parse::<ImageReference>().map(|image| image.0).as_deref(), Ok(text));
        }
    }

    #[test]
    fn references_that_no_registry_would_take_are_refused() {
        for text in [
            "",
            " ",
            "Upper/case",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-x",
            "a@sha256:12",
            "a b",
            "../x",
            "./x",
            ".a.b/x",
            "-a.b/x",
            "a..b/x",
            "a..b",
            "host:port/x",
            "-a",
            "a\n",
            "http://host/x",
            "ü",
            "./x",
            "a._b",
            "a___b",
            ".com/x",
            "host-.com/x",
            "host.com:+1/x",
            "host.com:99999/x",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?}");
        }
        assert!("a".repeat(256).parse::<ImageReference>().is_err());
    }

    #[test]
    fn a_command_follows_the_images_entrypoint_and_an_entrypoint_replaces_both() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let image = ResolvedImage {
            digest: "x".into(),
            entrypoint: words("/run"),
            command: words("default"),
            env: BTreeMap::new(),
            workdir: None,
            user: None,
            platform: "linux/amd64".into(),
            pull_secret: None,
        };
        assert_eq!(image.argv(None, None), words("/run default"));
        assert_eq!(image.argv(None, Some(&words("a b"))), words("/run a b"));
        assert_eq!(image.argv(Some(&words("/sh")), None), words("/sh"));
        assert_eq!(image.argv(Some(&words("/sh")), Some(&words("-c x"))), words("/sh -c x"));
    }
}
