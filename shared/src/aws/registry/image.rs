//! Manifests and configurations, as far as they are read.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a registry may answer with, as it is asked for.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// An image, or an index of the same image for several platforms.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    /// Of an index.
    #[serde(default)]
    pub(super) manifests: Option<Vec<Entry>>,
    /// Of an image.
    #[serde(default)]
    pub(super) config: Option<Blob>,
}

/// One image of an index.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

/// Something by its digest.
#[derive(Debug, Deserialize)]
pub(super) struct Blob {
    /// Its digest.
    pub(super) digest: String,
}

#[derive(Debug, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

/// The one of `entries` that runs on Linux on `architecture`; else what there
/// is. Build records are filed under `unknown/unknown`.
pub(super) fn choose<'a>(entries: &'a [Entry], architecture: &str) -> Result<&'a str, String> {
    let fits = |entry: &&Entry| {
        entry.platform.as_ref().is_some_and(|platform| {
            let plain = matches!(platform.variant.as_deref(), None | Some("" | "v1" | "v8"));
            platform.os == "linux" && platform.architecture == architecture && plain
        })
    };
    if let Some(entry) = entries.iter().find(fits) {
        return Ok(&entry.digest);
    }
    let mut there: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .collect();
    there.dedup();
    Err(there.join(", "))
}

/// What an image says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    /// Its operating system.
    pub(super) os: String,
    /// Its processor.
    pub(super) architecture: String,
    /// How it is run.
    #[serde(default, rename = "config")]
    pub(super) run: Option<Run>,
}

/// How an image is run.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Run {
    /// USER.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// ENV.
    #[serde(default)]
    env: Option<Vec<String>>,
    /// ENTRYPOINT.
    #[serde(default)]
    pub(super) entrypoint: Option<Vec<String>>,
    /// CMD.
    #[serde(default)]
    pub(super) cmd: Option<Vec<String>>,
    /// WORKDIR.
    #[serde(default)]
    pub(super) working_dir: Option<String>,
}

impl Run {
    /// ENV, name by name.
    pub(super) fn env(&self) -> BTreeMap<String, String> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        self.env.iter().flatten().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_searched_by_platform_and_build_records_are_passed_over() {
        let index = r#"{"schemaVersion": 2, "manifests": [
            {"digest": "sha256:0", "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": "sha256:1", "platform": {"os": "windows", "architecture": "amd64"}},
            {"digest": "sha256:2", "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"digest": "sha256:3", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": "sha256:4", "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": "sha256:5"}
        ]}"#;
        let index: Manifest = serde_json::from_str(index).unwrap();
        let entries = index.manifests.unwrap();
        assert_eq!(choose(&entries, "amd64"), Ok("sha256:4"));
        assert_eq!(choose(&entries, "arm64"), Ok("sha256:3"));
        let there = "windows/amd64, linux/arm, linux/arm64, linux/amd64".to_owned();
        assert_eq!(choose(&entries, "riscv64"), Err(there));
    }

    #[test]
    fn a_configuration_without_anything_is_one() {
        let config = r#"{"os": "linux", "architecture": "amd64", "config": {"Env": null}}"#;
        let config: Config = serde_json::from_str(config).unwrap();
        assert!(config.run.unwrap_or_default().env().is_empty());
    }
}
