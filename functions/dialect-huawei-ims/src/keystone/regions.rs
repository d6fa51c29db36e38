//! The regions that clients name, each of which they find here.

/// Open Telekom Cloud's, Huawei Cloud's, and what `OpenStack` calls its only one.
const REGIONS: [&str; 37] = [
    "eu-de",
    "eu-nl",
    "eu-ch2",
    "ae-ad-1",
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-north-11",
    "cn-north-12",
    "cn-south-1",
    "cn-south-2",
    "cn-south-4",
    "cn-southwest-2",
    "cn-southwest-3",
    "eu-west-0",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "sa-brazil-1",
    "tr-west-1",
    "RegionOne",
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static str> {
    REGIONS.into_iter()
}

/// Whether it is one of them.
pub fn is_region(name: &str) -> bool {
    REGIONS.contains(&name)
}
