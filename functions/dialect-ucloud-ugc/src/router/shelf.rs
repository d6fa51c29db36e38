//! Registered images as the API has them: `bucket/image:tag`.
//!
//! A bucket is what an image's reference has before its last part, the
//! registry's host left aside: `registry.example/tools/hello:first` is the image
//! `hello` of the bucket `tools`, by the tag `first`. So every registered image
//! is in some bucket; one that was made and has none yet is a shelf of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shared::{
    job::{Name, ProjectId},
    ops::{
        images::{self, RegisteredImage},
        notes::Shelf,
    },
    service::Service,
};

use crate::{API, faults::Fault};

/// The bucket of images that have no folder in their registry.
const OF_NO_FOLDER: &str = "library";

/// The tag of an image that is named without one.
const STANDARD_TAG: &str = "latest";

/// The registries whose images were moved to one that the project has
/// registered, when its callers moved here.
const LEFT_BEHIND: &str = ".ucloud.cn";

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The image's name in it.
    pub image: String,
    /// The tag, or the digest in its place.
    pub tag: String,
}

impl Place {
    /// Where a reference has it, and the registry's host, if it says that.
    fn of_reference(text: &str) -> (Option<&str>, Self) {
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, d)| (rest, Some(d)));
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(host), path)
            }
            _ => (None, name),
        };
        let (bucket, image) = path.rsplit_once('/').unwrap_or((OF_NO_FOLDER, path));
        let tag = tag.or(digest).unwrap_or(STANDARD_TAG);
        (host, Place { bucket: bucket.into(), image: image.into(), tag: tag.into() })
    }

    /// Where a registered image has it. An engine's own id has no name: there,
    /// it is the one that it is registered by.
    fn of_image(image: &RegisteredImage) -> Self {
        let text = image.reference.as_str();
        let text = if text.starts_with("sha256:") { image.name.as_str() } else { text };
        Place::of_reference(text).1
    }

    /// By which a task may name it.
    pub fn text(&self) -> String {
        let Place { bucket, image, tag } = self;
        let sign = if tag.contains(':') { '@' } else { ':' };
        format!("{bucket}/{image}{sign}{tag}")
    }
}

/// A bucket, and what is in it.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it was made, or its first image registered.
    pub created_at: Option<Timestamp>,
    /// Its images' tags, and when each was registered.
    pub images: BTreeMap<String, BTreeMap<String, Timestamp>>,
}

/// The buckets that were made, and when: an image may come later, or never.
pub fn made(project: ProjectId) -> Shelf {
    Shelf::of_project(project, API, "bucket")
}

/// All buckets of a project.
#[derive(Debug)]
pub struct Shelves {
    /// By name.
    pub buckets: BTreeMap<String, Bucket>,
    /// By what each is registered.
    pub names: BTreeMap<Place, BTreeSet<Name>>,
}

impl Shelves {
    /// As they are now.
    pub async fn load(service: &Service, project: ProjectId) -> Result<Self, Fault> {
        let (mut buckets, mut names) =
            (BTreeMap::<_, Bucket>::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for (name, made_at) in made(project).all::<Timestamp>(service).await? {
            buckets.entry(name).or_default().created_at = Some(made_at);
        }
        for image in images::list(service, project).await? {
            let place = Place::of_image(&image);
            let bucket = buckets.entry(place.bucket.clone()).or_default();
            let at = image.updated_at;
            bucket.created_at = bucket.created_at.map(|first| first.min(at)).or(Some(at));
            bucket.images.entry(place.image.clone()).or_default().insert(place.tag.clone(), at);
            names.entry(place).or_default().insert(image.name);
        }
        Ok(Shelves { buckets, names })
    }

    /// The image that a task is to run: a registered one, if the text names it
    /// as it is registered or listed; else whatever it is.
    pub async fn image(service: &Service, project: ProjectId, text: &str) -> Result<String, Fault> {
        if text.parse::<Name>().is_ok() {
            // What a plain name stands for is looked up for every job.
            return Ok(text.to_owned());
        }
        let (host, place) = Place::of_reference(text);
        let is_listed = host.is_none_or(|host| host.ends_with(LEFT_BEHIND));
        let images = images::list(service, project).await?;
        let named = images.iter().find(|image| image.reference.as_str() == text);
        let listed = || images.iter().find(|image| is_listed && Place::of_image(image) == place);
        let found = named.or_else(listed);
        Ok(found.map_or(text, |image| image.name.as_str()).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_says_bucket_image_and_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (reference, host, text) in [
            ("registry.example/library/helloworld:first", true, "library/helloworld:first"),
            ("tarpon/hello", false, "tarpon/hello:latest"),
            ("hello:1.2", false, "library/hello:1.2"),
            ("localhost/a/b/c:d", true, "a/b/c:d"),
            ("host:5000/tool", true, "library/tool:latest"),
            (&format!("host.io/x/tool@{digest}"), true, &format!("x/tool@{digest}")),
            (&format!("host.io/x/tool:1@{digest}"), true, "x/tool:1"),
        ] {
            let (found, place) = Place::of_reference(reference);
            assert_eq!((found.is_some(), place.text().as_str()), (host, text), "{reference}");
        }
    }
}
