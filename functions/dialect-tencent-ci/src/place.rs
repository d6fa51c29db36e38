//! Where a request goes: the bucket, its region, and the path in it.

use shared::{
    job::Name,
    wire::{Request, decoded},
};

use crate::{faults::Fault, words};

/// What the bucket's path starts with where the host is the same for all.
const PREFIX: &str = "/ci/";

/// The bucket of a request that names none: some ways to set up a client keep
/// it from the wire.
const DEFAULT_BUCKET: &str = "default";

/// What says the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The host.
    ByHost,
    /// What the path starts with.
    ByPath,
    /// Nothing: it is the one for that.
    Nowhere,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: Name,
    /// What says it.
    pub said: Said,
    /// The region, if the host says it.
    pub region: Option<String>,
    /// The path without the bucket, decoded.
    pub path: String,
    /// The whole path, decoded.
    pub whole: String,
}

impl Place {
    /// Where the request goes: by its host, or, where that names no bucket, by a
    /// path that starts with one.
    pub fn of(request: &Request) -> Result<Self, Fault> {
        let whole = decoded("the path", &request.path)?;
        let host = request.header("host").unwrap_or_default();
        let named = labels(host);
        let region = named.as_ref().map(|(_, region)| region.clone());
        let bucket = named.and_then(|(bucket, _)| bucket);
        let (said, bucket, path) = match (bucket, whole.strip_prefix(PREFIX)) {
            (Some(bucket), _) => (Said::ByHost, bucket, whole.clone()),
            (None, Some(rest)) => {
                let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
                (Said::ByPath, bucket.to_owned(), format!("/{path}"))
            }
            (None, None) => (Said::Nowhere, DEFAULT_BUCKET.to_owned(), whole.clone()),
        };
        let bucket = bucket.parse().map_err(|_| {
            let message = "The specified bucket does not exist.";
            Fault::new(http::StatusCode::NOT_FOUND, "NoSuchBucket", message)
        })?;
        Ok(Place { bucket, said, region, path, whole })
    }
}

/// The bucket and the region of a host such as
/// `<bucket>.ci.<region>.myqcloud.com`, whatever it ends with.
fn labels(host: &str) -> Option<(Option<String>, String)> {
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let service = labels.iter().position(|label| ["ci", "cos", "pic"].contains(label))?;
    let region = labels.get(service + 1).filter(|region| !region.is_empty())?;
    // An ending of its own is what tells it from the name of a machine.
    labels.get(service + 2)?;
    let bucket = (service > 0).then(|| labels[..service].join("."));
    Some((bucket, (*region).to_owned()))
}

/// Whether it is a host of this API alone.
pub fn is_ours(host: &str) -> bool {
    let ours = host.to_ascii_lowercase().split('.').any(|label| ["ci", "pic"].contains(&label));
    ours && labels(host).is_some()
}

/// Whether it is a path of this API.
pub fn is_path(path: &str) -> bool {
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
    path.starts_with(PREFIX) || first.is_some_and(|first| words::subject(first).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_tells_bucket_and_region() {
        let found =
            |host: &str| labels(host).map(|(bucket, region)| (bucket.unwrap_or_default(), region));
        let of = |bucket: &str, region: &str| Some((bucket.to_owned(), region.to_owned()));
        for (host, expected) in [
            ("test-123.ci.ap-chongqing.myqcloud.com", of("test-123", "ap-chongqing")),
            ("test-123.cos.ap-chongqing.myqcloud.com:8080", of("test-123", "ap-chongqing")),
            ("test-123.pic.ap-chongqing.tencentcos.cn", of("test-123", "ap-chongqing")),
            ("Test-123.CI.ap-x.example.org", of("test-123", "ap-x")),
            ("ci.ap-chongqing.myqcloud.com", of("", "ap-chongqing")),
            ("127.0.0.1:8080", None),
            ("localhost", None),
            ("ci.example", None),
            ("", None),
        ] {
            assert_eq!(found(host), expected, "{host}");
        }
        assert!(is_ours("a.ci.b.myqcloud.com") && !is_ours("a.cos.b.myqcloud.com"));
        assert!(!is_ours("a.ci"));
    }

    #[test]
    fn a_path_of_the_api_is_known() {
        for path in ["/jobs", "/jobs/a", "/picqueue", "/template/t1", "/ci/bucket/jobs"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["/", "/v1/jobs", "/jobsx", "", "/cix/bucket/jobs"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
