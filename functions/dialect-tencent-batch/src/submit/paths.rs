//! Places in storage and in containers, as this API writes them.

use shared::job::{Destination, Name};

use crate::faults::Fault;

/// The hosts of buckets end so.
const HOSTS: [&str; 2] = [".myqcloud.com", ".tencentcos.cn"];

/// A place in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The bucket, its owner's number included.
    bucket: Name,
    /// The key, or the start of keys; empty for all of the bucket.
    key: String,
}

impl Remote {
    /// The place that `cos://<bucket>.cos.<region>.myqcloud.com/<key>` is, or
    /// the same with the older short word for the region.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Fault> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(malformed(path, "it starts with `cos://`"));
        };
        if scheme != "cos" {
            let message = format!(
                "`{path}`: what is stored here is reached by `cos://`; `{scheme}://` is not supported."
            );
            return Err(Fault::new("InvalidParameterValue.RemoteStorageSchemeType", message));
        }
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = bucket(host).ok_or_else(|| {
            malformed(path, "its host is `<bucket>-<appid>.cos.<region>.myqcloud.com`")
        })?;
        if key.len() > 800 || key.chars().any(char::is_control) {
            return Err(malformed(path, "a key is up to 800 bytes without control characters"));
        }
        if key.split('/').any(|part| part == ".." || part == ".") {
            return Err(malformed(path, "it has `.` or `..` in it"));
        }
        Ok(Remote { bucket, key: key.to_owned() })
    }

    /// Whether it is a folder, and not one object.
    pub(crate) fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// What comes last in the key of one object.
    pub(crate) fn file_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// `bucket/key`.
    pub(crate) fn object(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    /// `bucket/key/`, of a folder written without its last slash, too.
    pub(crate) fn folder(&self) -> String {
        let slash = if self.is_folder() { "" } else { "/" };
        format!("{}/{}{slash}", self.bucket, self.key)
    }
}

/// Refuses what we would fill in where things are put: here it stands for itself.
pub(crate) fn check_literal(path: &str, text: &str) -> Result<(), Fault> {
    match Destination::filled_in(text) {
        None => Ok(()),
        Some(word) => Err(malformed(path, &format!("no object can have `{word}` in its name"))),
    }
}

fn malformed(path: &str, rule: &str) -> Fault {
    Fault::new("InvalidParameterValue.RemoteStoragePath", format!("`{path}`: {rule}."))
}

/// The bucket that a host is of: `<bucket>.cos.<region>`, `<bucket>.cosgz`.
fn bucket(host: &str) -> Option<Name> {
    let rest = HOSTS.iter().find_map(|end| host.strip_suffix(end))?;
    let mut labels = rest.split('.');
    let bucket = labels.next()?;
    match (labels.next()?, labels.next(), labels.next()) {
        ("cos", Some(region), None) if !region.is_empty() => {}
        (short, None, None) if short.len() > 3 && short.starts_with("cos") => {}
        _ => return None,
    }
    bucket.parse().ok()
}

/// An absolute path in the container that stays where it says.
pub(crate) fn local(path: &str, text: &str) -> Result<(), Fault> {
    let rule = if !text.starts_with('/') {
        "it is an absolute path"
    } else if text.split('/').any(|part| part == "..") {
        "it has `..` in it"
    } else if text.len() > 1_024 || text.chars().any(char::is_control) {
        "it is up to 1,024 bytes without control characters"
    } else {
        return Ok(());
    };
    Err(Fault::new("InvalidParameterValue.LocalPath", format!("`{path}`: {rule}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        Remote::parse("P", text).unwrap_err().code
    }

    #[test]
    fn both_forms_of_a_buckets_host_are_one_bucket() {
        for host in ["cosgz.myqcloud.com", "cos.ap-guangzhou.myqcloud.com", "cos.a.tencentcos.cn"] {
            let text = format!("cos://data-1251783334.{host}/hello2/logs/");
            let remote = Remote::parse("P", &text).unwrap();
            assert_eq!(remote.object(), "data-1251783334/hello2/logs/");
            assert!(remote.is_folder());
        }
        let file = Remote::parse("P", "cos://b-1.cosgz.myqcloud.com/a/b.tgz").unwrap();
        assert!(!file.is_folder());
        assert_eq!((file.file_name(), file.folder().as_str()), ("b.tgz", "b-1/a/b.tgz/"));
        assert_eq!(Remote::parse("P", "cos://b-1.cosgz.myqcloud.com").unwrap().object(), "b-1/");
    }

    #[test]
    fn what_is_no_bucket_of_ours_is_refused() {
        for text in ["cfs://10.0.0.1/d", "https://b.cosgz.myqcloud.com/a", "file:///etc"] {
            assert_eq!(code(text), "InvalidParameterValue.RemoteStorageSchemeType", "{text}");
        }
        for text in [
            "",
            "/a/b",
            "cos://",
            "cos://b/a",
            "cos://b.example.com/a",
            "cos://.cosgz.myqcloud.com/a",
            "cos://b.cos.myqcloud.com/a",
            "cos://b.c.cos.ap-guangzhou.myqcloud.com/a",
            "cos://b.cosgz.myqcloud.com/a/../b",
            "cos://b.cosgz.myqcloud.com/a\n",
        ] {
            assert_eq!(code(text), "InvalidParameterValue.RemoteStoragePath", "{text}");
        }
    }

    #[test]
    fn a_local_path_is_absolute_and_stays_where_it_says() {
        assert!(local("P", "/data/in/").is_ok());
        for text in ["", "data", "/a/../b", "/a\0", "C:\\data"] {
            let fault = local("P", text).unwrap_err();
            assert_eq!(fault.code, "InvalidParameterValue.LocalPath", "{text}");
        }
    }
}
