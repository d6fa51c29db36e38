//! What the engine's errors mean to us.

use bollard::errors::Error;
use shared::{
    job::ImageReference,
    platform::{ResolveError, RuntimeError},
};

/// What the engine answered, if it answered: status and message.
pub(super) fn answer(error: &Error) -> Option<(u16, &str)> {
    match error {
        Error::DockerResponseServerError { status_code, message } => Some((*status_code, message)),
        // A pull has said 200 before it fails.
        Error::DockerStreamError { error } => Some((500, error)),
        _ => None,
    }
}

/// Whether the thing that was asked for is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(answer(error), Some((404, _)))
}

/// Whether the thing is there already, or in a state in which there is nothing
/// left to do.
pub(super) fn is_conflict(error: &Error) -> bool {
    // The words are Podman's, which answers with status 500.
    let taken = |message: &str| message.contains("that name is already in use");
    answer(error).is_some_and(|(status, text)| matches!(status, 409 | 304) || taken(text))
}

/// Signs of a machine that is full. They pass.
const FULL: [&str; 4] = [
    "no space left on device",
    "cannot allocate memory",
    "resource temporarily unavailable",
    "address pool",
];

/// Signs, in an answer of status 500, of a container that can never start.
const HOPELESS: [&str; 4] =
    ["unable to find user", "unable to find group", "exec format error", "invalid user"];

/// Why a container could not be created or started.
pub(super) fn launch_error(error: Error) -> RuntimeError {
    let Some((status, message)) = answer(&error) else {
        return RuntimeError::Unavailable(Box::new(error));
    };
    let says = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
    if says(&FULL) {
        return RuntimeError::NoCapacity(plain(message));
    }
    if matches!(status, 400 | 404) || says(&HOPELESS) {
        return RuntimeError::Refused(plain(message));
    }
    RuntimeError::Unavailable(Box::new(error))
}

/// Why an image could not be looked up or pulled.
///
/// Registries differ, and the engine hands some of their refusals on as its
/// own status 500, so the words count as well.
pub(super) fn resolve_error(image: &ImageReference, error: Error) -> ResolveError {
    let image = image.clone();
    let Some((status, message)) = answer(&error) else {
        return ResolveError::Unavailable(Box::new(error));
    };
    let lower = message.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if matches!(status, 401 | 403) || says(&["unauthorized", "denied", "no basic auth"]) {
        ResolveError::Denied(image)
    } else if status == 404 || says(&["manifest unknown", "name unknown", "name_unknown"]) {
        ResolveError::NotFound(image)
    } else if status == 400 || says(&["no matching manifest", "unsupported manifest"]) {
        ResolveError::Unusable { image, why: plain(message) }
    } else {
        ResolveError::Unavailable(Box::new(error))
    }
}

/// The message without the engine's inner workings, which come first.
fn plain(message: &str) -> String {
    const WORKINGS: [&str; 4] = [
        "failed to create shim task: ",
        "OCI runtime create failed: ",
        "runc create failed: ",
        "unable to start container process: ",
    ];
    let bare =
        WORKINGS.iter().fold(message, |rest, noise| rest.strip_prefix(noise).unwrap_or(rest));
    bare.strip_suffix(": unknown").unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.into() }
    }

    #[test]
    fn a_container_that_can_never_start_is_told_from_an_engine_in_trouble() {
        let refused = |status, message| match launch_error(answered(status, message)) {
            RuntimeError::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused(500, "unable to find user x: no matching entries in passwd file"),
            "unable to find user x: no matching entries in passwd file"
        );
        assert_eq!(
            refused(
                400,
                "failed to create shim task: OCI runtime create failed: runc create failed: unable \
                 to start container process: exec: \"/a\": permission denied: unknown"
            ),
            "exec: \"/a\": permission denied"
        );
        let full = launch_error(answered(500, "mkdir /x: no space left on device"));
        assert!(matches!(full, RuntimeError::NoCapacity(_)), "{full:?}");
        let away = launch_error(answered(500, "context deadline exceeded"));
        assert!(matches!(away, RuntimeError::Unavailable(_)), "{away:?}");
    }

    #[test]
    fn a_registrys_refusals_are_read_from_what_engines_make_of_them() {
        let image: ImageReference = "host.example/a:1".parse().unwrap();
        let read = |status, message| resolve_error(&image, answered(status, message));
        for (status, message) in [
            (401, "unauthorized: authentication required"),
            (403, "denied: requested access to the resource is denied"),
            (500, "Head \"https://host.example/v2/a/manifests/1\": no basic auth credentials"),
            (404, "pull access denied for a, repository does not exist"),
        ] {
            let error = read(status, message);
            assert!(matches!(error, ResolveError::Denied(_)), "{message}: {error:?}");
        }
        for (status, message) in [
            (404, "manifest unknown: manifest unknown"),
            (500, "manifest for host.example/a:1 not found: manifest unknown: manifest unknown"),
        ] {
            let error = read(status, message);
            assert!(matches!(error, ResolveError::NotFound(_)), "{message}: {error:?}");
        }
        let error = read(500, "no matching manifest for linux/amd64 in the manifest list entries");
        assert!(matches!(error, ResolveError::Unusable { .. }), "{error:?}");
        let error = read(500, "dial tcp: lookup host.example: no such host");
        assert!(matches!(error, ResolveError::Unavailable(_)), "{error:?}");
    }
}
