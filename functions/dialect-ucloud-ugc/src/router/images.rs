//! The image actions, over the project's registered images.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{job::ProjectId, ops::images, service::Service, wire::Problem};

use super::{
    answer::{Answer, fields},
    page::Page,
    shelf::{Bucket, Place, Shelves, made},
};
use crate::{
    asked::Parameters,
    faults::{Code, Fault},
    words::seconds,
};

/// The most buckets of a project.
const MOST_BUCKETS: usize = 1_000;

/// The most tags of one delete.
const MOST_TAGS: usize = 100;

/// Makes a bucket.
pub async fn create_bucket(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let name = asked.required("BucketName")?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(4..=30).contains(&name.len()) || !name.bytes().all(is_plain) {
        let rule = "4 to 30 lower-case letters, digits and `_`";
        return Err(Fault::new(Code::BadBucketName, rule));
    }
    let buckets = Shelves::load(service, project).await?.buckets;
    if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(name) {
        let rule = format!("a project has up to {MOST_BUCKETS} buckets");
        return Err(Problem::TooMany(rule.into()).into());
    }
    let now = service.platform.clock.now();
    if buckets.contains_key(name) || !made(project).add(service, name, &now).await? {
        return Err(Fault::new(Code::BucketExists, name));
    }
    Ok(fields(json!({})))
}

/// The project's buckets, by name. None are shared between projects.
pub async fn buckets(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    check_order(asked)?;
    let (page, wanted) = (Page::of(asked)?, asked.filter("BucketName"));
    let are_ours = match asked.filter("BucketType") {
        None | Some("All" | "User") => true,
        Some("Share") => false,
        Some(other) => {
            return Err(Fault::new(Code::BadParameter, format!("BucketType: `{other}`")));
        }
    };
    let shelves = Shelves::load(service, project).await?;
    let found = shelves.buckets.iter();
    let found: Vec<_> =
        found.filter(|(name, _)| are_ours && wanted.is_none_or(|wanted| wanted == *name)).collect();
    let total = found.len();
    let set: Vec<_> =
        page.take(found).into_iter().map(|(name, bucket)| shown(name, bucket)).collect();
    // One of the two names is in the reference, the other in the clients.
    Ok(fields(json!({ "TotalCount": total, "ImageSet": &set, "BucketSet": &set })))
}

fn shown(name: &str, bucket: &Bucket) -> Value {
    json!({
        "BucketName": name,
        "BucketType": "Private",
        "ImageCount": bucket.images.len(),
        "CreateTime": seconds(bucket.created_at),
    })
}

/// The images of a bucket, by name, each with its tags.
pub async fn images(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    check_order(asked)?;
    let (name, page) = (asked.required("BucketName")?, Page::of(asked)?);
    let shelves = Shelves::load(service, project).await?;
    let bucket = shelves.buckets.get(name);
    let images = &bucket.ok_or_else(|| Fault::new(Code::NoSuchBucket, name))?.images;
    let set = page.take(images).into_iter().map(|(image, tags)| {
        let tag = |(tag, at): (&String, &Timestamp)| {
            json!({ "TagName": tag, "CreateTime": seconds(Some(*at)) })
        };
        json!({
            "ImageName": image,
            "TagSet": tags.iter().map(tag).collect::<Vec<_>>(),
            "UpdateTime": seconds(tags.values().max().copied()),
        })
    });
    Ok(fields(json!({ "TotalCount": images.len(), "ImageSet": set.collect::<Vec<_>>() })))
}

/// Every image, by the name that a task may use.
pub async fn all(service: &Service, project: ProjectId) -> Result<Answer, Fault> {
    let shelves = Shelves::load(service, project).await?;
    let names: Vec<_> = shelves.names.keys().map(Place::text).collect();
    Ok(fields(json!({ "ImageSet": names })))
}

/// Forgets images of these tags: none, if one of them is not there.
pub async fn delete(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let image = asked.text("ImageName").ok_or(Code::NoImage)?;
    let bucket = asked.required("BucketName")?;
    let tags = asked.list("Tag");
    if tags.is_empty() {
        return Err(Code::NoTag.into());
    }
    if tags.len() > MOST_TAGS {
        return Err(Fault::new(
            Code::BadParameter,
            format!("Tag: there are more than {MOST_TAGS}"),
        ));
    }
    let shelves = Shelves::load(service, project).await?;
    if !shelves.buckets.contains_key(bucket) {
        return Err(Fault::new(Code::NoSuchBucket, bucket));
    }
    let mut names = BTreeSet::new();
    for tag in tags {
        let place = Place { bucket: bucket.into(), image: image.into(), tag: tag.into() };
        let found = shelves.names.get(&place);
        names.extend(found.ok_or_else(|| Fault::new(Code::NoSuchImage, place.text()))?);
    }
    for name in names {
        images::delete(service, project, name).await?;
    }
    Ok(fields(json!({})))
}

fn check_order(asked: &Parameters) -> Result<(), Fault> {
    match asked.filter("OrderBy").filter(|order| *order != "Default") {
        None => Ok(()),
        Some(other) => Err(Fault::new(Code::BadParameter, format!("OrderBy: `{other}`"))),
    }
}
