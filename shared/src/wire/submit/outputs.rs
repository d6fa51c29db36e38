//! What a task keeps, and where it goes.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;

use super::{
    rules::{check_path, parse_destination},
    task::At,
};
use crate::{
    agent,
    archive::RESERVED,
    job::{Destination, OutputSpec},
    wire::Problem,
};

/// An output: `"/path"`, or `{"path": "/path", "to": "bucket/key"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputRequest {
    /// An absolute path or pattern.
    pub path: String,
    /// The object that it becomes as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl OutputRequest {
    /// A path or pattern that is kept in the archive alone.
    pub fn kept(path: impl Into<String>) -> Self {
        OutputRequest { path: path.into(), to: None }
    }

    /// A path or pattern that becomes an object as well, `bucket/key`, or many,
    /// `bucket/prefix/`.
    pub fn to(path: impl Into<String>, object: impl Into<String>) -> Self {
        OutputRequest { path: path.into(), to: Some(object.into()) }
    }
}

/// The two ways to write an output.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum OutputBody {
    /// An absolute path or pattern to keep.
    Path(String),
    /// One that becomes an object as well.
    Object(OutputToObject),
}

/// An output that becomes an object of the project's, beside its place in the
/// archive. What is there is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputToObject {
    /// An absolute path or pattern to keep.
    pub path: String,
    /// `bucket/key` of the one file at the path; or, with `/` at its end, what
    /// the names of as many objects start with as there are files: each has the
    /// path that it has below the folder, or below the part of the pattern that
    /// is fixed. `{job}` stands for the job's id, and `{instance}` for the
    /// instance's index, which has to be there where several instances would
    /// write the one object. No two outputs of a task, or its streams, go to one
    /// object or one folder, nor one into the folder of another.
    #[serde(default)]
    pub to: Option<String>,
}

impl<'de> Deserialize<'de> for OutputRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// An output as it is written.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = OutputRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path, or an object of `path` and `to`")
    }

    fn visit_str<E>(self, path: &str) -> Result<OutputRequest, E> {
        Ok(OutputRequest::kept(path))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OutputRequest, A::Error> {
        let OutputToObject { path, to } =
            Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(OutputRequest { path, to })
    }
}

/// What a task keeps, checked.
pub(super) struct Keeping {
    pub(super) outputs: Vec<OutputSpec>,
    pub(super) stdout_to: Option<Destination>,
    pub(super) stderr_to: Option<Destination>,
}

impl At {
    /// What the task keeps, and where the two streams go; it has so many
    /// instances.
    pub(super) fn keeping(
        self,
        outputs: Vec<OutputRequest>,
        streams: [Option<String>; 2],
        instances: u32,
    ) -> Result<Keeping, Problem> {
        if outputs.len() > 100 {
            return Err(Problem::invalid(self.field("outputs"), "there are at most 100"));
        }
        let mut taken = Taken { instances, by: Vec::new() };
        let mut kept = Vec::with_capacity(outputs.len());
        for (place, OutputRequest { path, to }) in outputs.into_iter().enumerate() {
            let field = self.field(&format!("outputs[{place}]"));
            let Some(to) = to else {
                check_output(&field, &path)?;
                kept.push(OutputSpec { path, to: None });
                continue;
            };
            check_output(&format!("{field}.path"), &path)?;
            let field = format!("{field}.to");
            let to = taken.parse(&field, &to)?;
            if !to.takes_many() && (path.contains(['*', '?', '[']) || path.ends_with('/')) {
                let rule = "a folder or pattern becomes many objects: write `bucket/prefix/`";
                return Err(Problem::invalid(field, rule));
            }
            kept.push(OutputSpec { path, to: Some(to) });
        }
        let [stdout_to, stderr_to] = streams;
        Ok(Keeping {
            outputs: kept,
            stdout_to: self.stream_to("stdout_to", stdout_to, &mut taken)?,
            stderr_to: self.stream_to("stderr_to", stderr_to, &mut taken)?,
        })
    }

    fn stream_to(
        self,
        name: &str,
        to: Option<String>,
        taken: &mut Taken,
    ) -> Result<Option<Destination>, Problem> {
        let Some(to) = to else { return Ok(None) };
        let field = self.field(name);
        let to = taken.parse(&field, &to)?;
        if to.takes_many() {
            return Err(Problem::invalid(field, "a stream becomes one object, `bucket/key`"));
        }
        Ok(Some(to))
    }
}

/// Where things go, and which field says so. No two by name to one object, nor
/// to one folder, nor one into the folder of another: who would be the last to
/// get there? What else files of two folders are called, nobody knows yet.
struct Taken {
    instances: u32,
    by: Vec<(String, Destination)>,
}

impl Taken {
    fn parse(&mut self, field: &str, text: &str) -> Result<Destination, Problem> {
        let to = parse_destination(field, text)?;
        // In a folder they may well share, each has files of its own names.
        if self.instances > 1 && !to.is_of_instance() && !to.takes_many() {
            let rule = "the task has several instances: `{instance}` has to be in it, which stands \
                        for the index of each";
            return Err(Problem::invalid(field, rule));
        }
        if let Some((other, _)) = self.by.iter().find(|(_, other)| overlap(other, &to)) {
            let rule = format!("what `{other}` says goes there as well: one may replace the other");
            return Err(Problem::invalid(field, rule));
        }
        self.by.push((field.to_owned(), to.clone()));
        Ok(to)
    }
}

/// Whether the two are the same, or one is an object in the folder of the other.
fn overlap(one: &Destination, other: &Destination) -> bool {
    let is_in = |one: &Destination, folder: &Destination| {
        folder.takes_many() && !one.takes_many() && one.key.starts_with(&folder.key)
    };
    one.bucket == other.bucket && (one.key == other.key || is_in(one, other) || is_in(other, one))
}

/// A path that may be kept.
fn check_output(field: &str, path: &str) -> Result<(), Problem> {
    check_path(field, path)?;
    let name = path.trim_matches('/');
    let rule = if name.is_empty() {
        "the whole file system cannot be kept"
    } else if RESERVED.contains(&name) {
        "the archive has a member of that name already"
    } else if ["proc", "sys", "dev"].contains(&name.split('/').next().unwrap_or_default())
        || path.starts_with(agent::HOME)
    {
        "it is not a place where outputs can be"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(field, rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::TaskSpec, service::Limits, wire::submit::JobRequest};

    fn task(json: &str) -> Result<TaskSpec, Problem> {
        let (job, tasks) = JobRequest::parse(json.as_bytes())?;
        Ok(job.check(tasks, &Limits::default())?.spec.tasks.remove(0))
    }

    #[test]
    fn an_output_is_a_path_or_a_path_and_an_object() {
        let task = task(
            r#"{"image": "a", "stdout_to": "logs/out.txt", "outputs":
                ["/a", {"path": "/b"}, {"path": "/c", "to": "x/y/z"}, {"path": "/d/*", "to": "w/"}]}"#,
        );
        let task = task.unwrap();
        let to = |place: usize| {
            let to = task.outputs[place].to.as_ref();
            to.map(|to| (to.bucket.as_str(), to.key.as_str(), to.takes_many()))
        };
        assert_eq!(task.outputs[1].path, "/b");
        assert_eq!([to(0), to(1)], [None, None]);
        assert_eq!([to(2), to(3)], [Some(("x", "y/z", false)), Some(("w", "", true))]);
        assert_eq!(task.stdout_to.as_ref().map(|to| to.key.as_str()), Some("out.txt"));
        assert_eq!(task.stderr_to, None);
    }

    #[test]
    fn where_nothing_can_go_is_refused_by_its_field() {
        for (fields, at, why) in [
            (r#""outputs": [{"path": "a", "to": "b/c"}]"#, "outputs[0].path", "absolute"),
            (r#""outputs": [{"path": "/a", "to": "b"}]"#, "outputs[0].to", "bucket/key"),
            (r#""outputs": [{"path": "/a", "to": "/b"}]"#, "outputs[0].to", "name"),
            (r#""outputs": [{"path": "/a/*", "to": "b/c"}]"#, "outputs[0].to", "many objects"),
            (r#""outputs": [{"path": "/a/", "to": "b/c"}]"#, "outputs[0].to", "many objects"),
            (r#""outputs": [{"path": "/a", "too": "b/c"}]"#, "outputs[0].too", "unknown"),
            (r#""outputs": [{"to": "b/c"}]"#, "outputs[0].path", "missing"),
            (r#""outputs": [7]"#, "outputs[0]", "a path, or an object"),
            (r#""stdout_to": "b/c/""#, "stdout_to", "one object"),
            (r#""stderr_to": "b""#, "stderr_to", "bucket/key"),
            (r#""instances": 2, "stdout_to": "b/c""#, "stdout_to", "`{instance}`"),
            (
                r#""instances": 2, "outputs": [{"path": "/a", "to": "b/c"}]"#,
                "outputs[0].to",
                "`{instance}`",
            ),
            (r#""stdout_to": "b/c", "stderr_to": "b/c""#, "stderr_to", "`stdout_to`"),
            (
                r#""outputs": [{"path": "/a", "to": "b/c/"}], "stdout_to": "b/c/d""#,
                "stdout_to",
                "`outputs[0].to`",
            ),
            (
                r#""outputs": ["/x", {"path": "/a", "to": "b/c/d"}, {"path": "/b", "to": "b/"}]"#,
                "outputs[2].to",
                "`outputs[1].to`",
            ),
            (
                r#""outputs": [{"path": "/a", "to": "b/c/"}, {"path": "/b", "to": "b/c/"}]"#,
                "outputs[1].to",
                "`outputs[0].to`",
            ),
        ] {
            let refused = task(&format!(r#"{{"image": "a", {fields}}}"#));
            let Err(Problem::Invalid { field, rule }) = refused else {
                panic!("{fields}: {refused:?}")
            };
            assert_eq!(field, at, "{fields}: {rule}");
            assert!(rule.contains(why), "{fields}: {rule}");
        }
        assert!(task(r#"{"image": "a", "instances": 2, "stdout_to": "b/{instance}"}"#).is_ok());
        let shared = r#"{"image": "a", "instances": 2, "outputs": [{"path": "/a", "to": "b/"}]}"#;
        assert!(task(shared).is_ok());
        let apart = r#"[{"path": "/a", "to": "b/c/"}, {"path": "/b", "to": "b/d"}]"#;
        let apart = format!(r#"{{"image": "a", "outputs": {apart}, "stdout_to": "c/c/d"}}"#);
        assert!(task(&apart).is_ok());
    }
}
