//! Identifiers.
//!
//! Parsed once at the edge; inside, an id is always valid, which is also why
//! it may become a table key, an object key or a container's name unescaped.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that was offered as an id and is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}: {rule}")]
pub struct BadId {
    /// What was asked for, such as `job id`.
    pub kind: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
}

impl BadId {
    fn new(kind: &'static str, rule: &'static str, text: &str) -> Self {
        BadId { kind, rule, text: text.chars().take(80).collect() }
    }
}

/// Serde through the text form, for types that are `Display` and `FromStr`.
macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(super) use as_text;

/// 32 lower-case hex digits, exactly.
fn hex32(text: &str) -> Option<Uuid> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == 32 && text.bytes().all(lower)).then(|| Uuid::parse_str(text).ok()).flatten()
}

/// Names one submitted job, for as long as its record is kept.
///
/// 128 bits, time-ordered (`UUIDv7`, RFC 9562 §5.7): `job-` and 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

impl JobId {
    /// The id of a job created at `at`, made unique by `entropy`.
    pub fn new(at: Timestamp, entropy: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        JobId(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
    }

    /// The id with these bits, as a dialect spells them in its own form.
    pub fn from_bits(bits: u128) -> Self {
        JobId(Uuid::from_u128(bits))
    }

    /// The 128 bits, for a dialect's own form.
    pub fn bits(self) -> u128 {
        self.0.as_u128()
    }

    /// The 32 hex digits, without the prefix.
    pub fn hex(self) -> String {
        self.0.simple().to_string()
    }

    /// When the job was created, to the millisecond.
    pub fn created_at(self) -> Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The UTC month of creation, `YYYYMM`: which partition lists the job.
    pub fn month(self) -> String {
        self.created_at().strftime("%Y%m").to_string()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job-{}", self.0.simple())
    }
}

impl FromStr for JobId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.strip_prefix("job-").and_then(hex32).map(JobId).ok_or_else(|| {
            BadId::new("job id", "it is `job-` followed by 32 lower-case hex digits", text)
        })
    }
}

as_text!(JobId);

/// Names the tenant that owns jobs, keys, queues and objects: 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(Uuid);

impl ProjectId {
    /// A project's id out of 16 random bytes.
    pub fn new(entropy: [u8; 16]) -> Self {
        ProjectId(uuid::Builder::from_random_bytes(entropy).into_uuid())
    }

    /// The 16 bytes.
    pub fn bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for ProjectId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        hex32(text)
            .map(ProjectId)
            .ok_or_else(|| BadId::new("project id", "it is 32 lower-case hex digits", text))
    }
}

as_text!(ProjectId);

/// The public half of an access key: `tp` and 39 base-32 characters.
///
/// It carries its project's id, so a signed request needs one lookup, not two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId {
    project: ProjectId,
    serial: [u8; 8],
}

impl AccessKeyId {
    /// A key of `project`, told from its others by 8 random bytes.
    pub fn new(project: ProjectId, serial: [u8; 8]) -> Self {
        AccessKeyId { project, serial }
    }

    /// The project that the key belongs to.
    pub fn project(self) -> ProjectId {
        self.project
    }
}

/// RFC 4648 base 32 in lower case, without padding.
const BASE32: data_encoding::Encoding = data_encoding::BASE32_NOPAD_NOCASE;

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.project.bytes());
        bytes[16..].copy_from_slice(&self.serial);
        write!(f, "tp{}", BASE32.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for AccessKeyId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad =
            || BadId::new("access key id", "it is `tp` followed by 39 base-32 characters", text);
        let encoded = text.strip_prefix("tp").filter(|rest| rest.len() == 39).ok_or_else(bad)?;
        let bytes = BASE32.decode(encoded.as_bytes()).map_err(|_| bad())?;
        let (project, serial) = bytes.split_at_checked(16).ok_or_else(bad)?;
        Ok(AccessKeyId {
            project: ProjectId(Uuid::from_slice(project).map_err(|_| bad())?),
            serial: serial.try_into().map_err(|_| bad())?,
        })
    }
}

as_text!(AccessKeyId);

/// Names one container of one instance: the job, and where in it.
///
/// `att-<job's 32 hex digits>-<run>-<task>-<instance>-<number>`: at most 64
/// characters, so that it can serve as an idempotency token as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job.
    pub job: JobId,
    /// The job's run, from 1.
    pub run: u32,
    /// The task's place in the job, from 0.
    pub task: u32,
    /// The instance's index in the task, from 0.
    pub instance: u32,
    /// The attempt's number within the run, from 1.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AttemptId { job, run, task, instance, number } = self;
        write!(f, "att-{}-{run}-{task}-{instance}-{number}", job.0.simple())
    }
}

impl FromStr for AttemptId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let parse = || {
            let mut parts = text.strip_prefix("att-")?.split('-');
            let job = JobId(hex32(parts.next()?)?);
            // Only the canonical spelling: no sign, no leading zero.
            let mut number = || {
                let part = parts.next()?;
                let canonical = part == "0" || !part.starts_with(['0', '+']);
                canonical.then(|| part.parse::<u32>().ok()).flatten()
            };
            let (run, task, instance, number) = (number()?, number()?, number()?, number()?);
            parts.next().is_none().then_some(AttemptId { job, run, task, instance, number })
        };
        parse().ok_or_else(|| {
            BadId::new(
                "attempt id",
                "it is `att-`, 32 lower-case hex digits and four numbers, joined by `-`",
                text,
            )
        })
    }
}

as_text!(AttemptId);

/// A job, and the project it belongs to: what it takes to find its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    /// The owner.
    pub project: ProjectId,
    /// The job.
    pub job: JobId,
}

/// An attempt, and the project it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// The owner.
    pub project: ProjectId,
    /// The attempt.
    pub attempt: AttemptId,
}

impl AttemptKey {
    /// The job that the attempt is part of.
    pub fn job(self) -> JobKey {
        JobKey { project: self.project, job: self.attempt.job }
    }
}

/// What a user calls a task, a queue, an image or a bucket.
///
/// 1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let valid = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text.bytes().all(plain)
            && text.as_bytes()[0].is_ascii_alphanumeric();
        valid.then(|| Name(text.to_owned())).ok_or_else(|| {
            BadId::new(
                "name",
                "it is 1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit",
                text,
            )
        })
    }
}

as_text!(Name);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_jobs_id_tells_when_it_was_created() {
        let noon: Timestamp = "2026-02-03T12:00:00Z".parse().unwrap();
        let id = JobId::new(noon, [7; 10]);
        assert_eq!(id.created_at(), noon);
        assert_eq!(id.month(), "202602");
        assert_eq!(id.to_string().len(), 36);
    }

    #[test]
    fn ids_sort_by_time() {
        let at = |millis| JobId::new(Timestamp::from_millisecond(millis).unwrap(), [0xff; 10]);
        assert!(at(1).to_string() < at(2).to_string());
        assert!(at(999) < at(1_000_000_000_000));
    }

    #[test]
    fn an_id_of_one_kind_is_not_an_id_of_another() {
        let project = ProjectId::new([1; 16]).to_string();
        assert!(project.parse::<JobId>().is_err());
        assert!(serde_json::from_str::<JobId>(r#""job-../etc""#).is_err());
        assert!("job-0190B8A0A0A0A0A0A0A0A0A0A0A0A0A0".parse::<JobId>().is_err(), "upper case");
    }

    #[test]
    fn the_longest_attempt_id_serves_as_an_idempotency_token() {
        let id = AttemptId {
            job: JobId::from_bits(u128::MAX),
            run: 9_999,
            task: 999,
            instance: 9_999,
            number: 9_999,
        };
        assert!(id.to_string().len() <= 64);
    }

    #[test]
    fn only_the_canonical_spelling_of_an_attempt_is_accepted() {
        let hex = "0190b8a0a0a0a0a0a0a0a0a0a0a0a0a0";
        assert!(format!("att-{hex}-1-0-0-1").parse::<AttemptId>().is_ok());
        for tail in ["-1-0-0-01", "-1-0-0-+1", "-1-0-0", "-1-0-0-1-1", "-1-0--1-1"] {
            assert!(format!("att-{hex}{tail}").parse::<AttemptId>().is_err(), "{tail}");
        }
    }

    proptest! {
        #[test]
        fn every_id_reads_back_as_itself(bits: u128, serial: [u8; 8], n: [u32; 4]) {
            let job = JobId::from_bits(bits);
            prop_assert_eq!(job.to_string().parse(), Ok(job));
            let key = AccessKeyId::new(ProjectId(Uuid::from_u128(bits)), serial);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            let [run, task, instance, number] = n;
            let attempt = AttemptId { job, run, task, instance, number };
            prop_assert_eq!(attempt.to_string().parse(), Ok(attempt));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".*") {
            let _ = (text.parse::<JobId>(), text.parse::<AttemptId>(), text.parse::<Name>());
            let _ = (text.parse::<AccessKeyId>(), text.parse::<ProjectId>());
        }
    }
}
