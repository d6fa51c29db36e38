//! A reference, taken apart as every client does.

use crate::job::ImageReference;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Whom to ask: `host` or `host:port`.
    pub(super) host: String,
    /// What to ask for.
    pub(super) repository: String,
    /// A tag, or a digest.
    pub(super) version: String,
    /// The reference without tag and digest, as it was given.
    pub(super) given: String,
}

/// Docker's own registry has two names, and neither answers.
const DOCKER: [&str; 2] = ["docker.io", "index.docker.io"];

impl Name {
    /// `None` for an engine's own image id, which no registry knows.
    pub(super) fn of(image: &ImageReference) -> Option<Name> {
        let text = image.as_str();
        if text.starts_with("sha256:") {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (given, tag) = match rest.rsplit_once(':') {
            Some((given, tag)) if !tag.contains('/') => (given, tag),
            _ => (rest, "latest"),
        };
        let (host, path) = match given.split_once('/') {
            Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (host, path),
            _ => (DOCKER[0], given),
        };
        let docker = DOCKER.contains(&host);
        let short = docker && !path.contains('/');
        Some(Name {
            host: if docker { "registry-1.docker.io" } else { host }.to_owned(),
            repository: if short { format!("library/{path}") } else { path.to_owned() },
            version: digest.unwrap_or(tag).to_owned(),
            given: given.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REFERENCE: &str = "(([a-z0-9]{1,6}\\.)?[a-z0-9]{1,6}(:[0-9]{1,4})?/)?[a-z0-9]{1,6}\
                             (/[a-z0-9]{1,6})?(:[A-Za-z0-9._-]{1,6})?(@sha256:[0-9a-f]{64})?";

    proptest! {
        #[test]
        fn every_reference_has_a_host_a_repository_and_a_version(text in REFERENCE) {
            // Not all that looks like one is one.
            if let Ok(image) = text.parse::<ImageReference>() {
                let Name { host, repository, version, given } = Name::of(&image).unwrap();
                prop_assert!(!host.is_empty() && !host.contains(['/', '@']), "{host}");
                prop_assert!(given.ends_with(repository.trim_start_matches("library/")));
                prop_assert!(!repository.contains([':', '@']), "{repository}");
                let rest = text.strip_prefix(&given).unwrap();
                let told = rest.rsplit_once('@').or_else(|| rest.rsplit_once(':'));
                prop_assert_eq!(version, told.map_or("latest", |(_, version)| version));
            }
        }
    }

    #[test]
    fn a_reference_is_taken_apart_as_every_client_does() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, host, repository, version) in [
            ("hello", "registry-1.docker.io", "library/hello", "latest"),
            ("hello:1", "registry-1.docker.io", "library/hello", "1"),
            ("team/hello:1", "registry-1.docker.io", "team/hello", "1"),
            ("docker.io/hello", "registry-1.docker.io", "library/hello", "latest"),
            ("index.docker.io/team/hello", "registry-1.docker.io", "team/hello", "latest"),
            ("host.example/a/b:1", "host.example", "a/b", "1"),
            ("host:5000/a", "host:5000", "a", "latest"),
            (&format!("localhost/a@{digest}"), "localhost", "a", &digest),
            (&format!("host:5000/a:1@{digest}"), "host:5000", "a", &digest),
        ] {
            let name = Name::of(&text.parse().unwrap()).unwrap();
            let found = (&*name.host, &*name.repository, &*name.version);
            assert_eq!(found, (host, repository, version), "{text}");
        }
        assert_eq!(Name::of(&digest.parse().unwrap()), None);
    }
}
