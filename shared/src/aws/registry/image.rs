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
    use proptest::{
        collection::{btree_map, vec},
        prelude::*,
        sample::select,
    };
    use serde_json::{Value, json};

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
    /// A system, a processor and a variant.
    type Words = (String, String, Option<String>);

    /// Those that indexes have.
    fn platform() -> impl Strategy<Value = Option<Words>> {
        let variant = select(vec![None, Some(""), Some("v1"), Some("v7"), Some("v8")]);
        let words = (
            select(vec!["linux", "windows", "unknown", ""]),
            select(vec!["amd64", "arm64", "arm", "unknown"]),
            variant,
        );
        let owned = |(os, architecture, variant): (&str, &str, Option<&str>)| {
            (os.to_owned(), architecture.to_owned(), variant.map(str::to_owned))
        };
        proptest::option::of(words.prop_map(owned))
    }

    /// What is nearly what a registry answers with: its fields, and anything in
    /// them.
    fn answer() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let fields = select(vec![
            "manifests",
            "config",
            "digest",
            "platform",
            "os",
            "architecture",
            "variant",
            "User",
            "Env",
            "Entrypoint",
            "Cmd",
            "WorkingDir",
            "schemaVersion",
        ]);
        leaf.prop_recursive(5, 48, 6, move |inner| {
            let object = vec((fields.clone(), inner.clone()), 0..6);
            let object = object.prop_map(|all| {
                Value::Object(
                    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            });
            prop_oneof![vec(inner, 0..6).prop_map(Value::from), object]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_registry_answers_is_read_or_refused(
            answer in answer(), bytes in vec(any::<u8>(), 0..200),
        ) {
            for text in [answer.to_string().into_bytes(), bytes] {
                if let Ok(Manifest { manifests: Some(entries), .. }) = serde_json::from_slice(&text) {
                    let _ = choose(&entries, "amd64");
                }
                if let Ok(Config { run: Some(run), .. }) = serde_json::from_slice(&text) {
                    run.env();
                }
            }
        }

        #[test]
        fn what_is_chosen_of_an_index_is_the_first_that_runs_here(
            platforms in vec(platform(), 0..8),
        ) {
            let entry = |(place, platform): (usize, &Option<Words>)| {
                let platform = platform.as_ref().map(|(os, architecture, variant)| {
                    json!({"os": os, "architecture": architecture, "variant": variant})
                });
                json!({"digest": format!("sha256:{place}"), "platform": platform})
            };
            let entries: Vec<_> = platforms.iter().enumerate().map(entry).collect();
            let index: Manifest = serde_json::from_value(json!({"manifests": entries})).unwrap();
            let first = platforms.iter().position(|platform| {
                platform.as_ref().is_some_and(|(os, architecture, variant)| {
                    (os.as_str(), architecture.as_str()) == ("linux", "arm64")
                        && variant.as_deref() != Some("v7")
                })
            });
            match (choose(&index.manifests.unwrap(), "arm64"), first) {
                (Ok(chosen), Some(first)) => {
                    prop_assert_eq!(chosen.to_owned(), format!("sha256:{first}"));
                }
                (Err(there), None) => prop_assert!(!there.contains("unknown/")),
                (chosen, first) => prop_assert!(false, "{chosen:?}, not {first:?}"),
            }
        }

        #[test]
        fn variables_are_read_as_they_are_written(
            env in btree_map("[^=]{1,8}", ".{0,12}", 0..6),
        ) {
            let pairs: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let config = json!({"os": "linux", "architecture": "amd64", "config": {"Env": pairs}});
            let config: Config = serde_json::from_value(config).unwrap();
            prop_assert_eq!(config.run.unwrap_or_default().env(), env);
        }
    }
}
