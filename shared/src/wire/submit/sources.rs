//! Where what a task reads comes from.

use data_encoding::BASE64;

use super::{
    InputRequest, SourceRequest,
    rules::{check_path, parse_destination, parse_name, parse_object},
    task::{At, Others},
};
use crate::{
    job::{InputSpec, Source, TaskSpec, ancestors},
    service::Limits,
    wire::Problem,
};

impl At {
    pub(super) fn stdin(
        self,
        from: Option<SourceRequest>,
        others: &Others,
        limits: &Limits,
    ) -> Result<Option<Source>, Problem> {
        let field = self.field("stdin");
        match from {
            None => Ok(None),
            Some(SourceRequest::Folder(_)) => {
                let rule = "a folder is no stream of bytes: it can be an input";
                Err(Problem::invalid(field, rule))
            }
            Some(from) => source(&field, from, others, limits).map(Some),
        }
    }

    pub(super) fn inputs(
        self,
        inputs: Vec<InputRequest>,
        others: &Others,
        limits: &Limits,
    ) -> Result<Vec<InputSpec>, Problem> {
        if inputs.len() > 100 {
            return Err(Problem::invalid(self.field("inputs"), "there are at most 100"));
        }
        let check = |(place, input): (usize, InputRequest)| {
            let field = |name: &str| self.field(&format!("inputs[{place}].{name}"));
            check_path(&field("path"), &input.path)?;
            let mode = input.mode.map(|mode| {
                let bits = u32::from_str_radix(&mode, 8).ok().filter(|bits| *bits <= 0o7777);
                bits.ok_or_else(|| {
                    Problem::invalid(field("mode"), "it is permission bits in octal, such as 0755")
                })
            });
            Ok(InputSpec {
                path: input.path,
                source: source(&field("source"), input.source, others, limits)?,
                mode: mode.transpose()?,
            })
        };
        inputs.into_iter().enumerate().map(check).collect()
    }

    /// Holds what the task reads of other tasks to the graph: it may only be of
    /// those that have ended before it starts.
    pub(super) fn check_left(self, tasks: &[TaskSpec]) -> Result<(), Problem> {
        let task = &tasks[self.task];
        let stdin = task.stdin.iter().map(|source| ("stdin".to_owned(), source));
        let inputs = task.inputs.iter().enumerate();
        let inputs =
            inputs.map(|(place, input)| (format!("inputs[{place}].source"), &input.source));
        let mut before = None;
        for (name, source) in stdin.chain(inputs) {
            let Source::Task { task: other, .. } = source else { continue };
            let before = before.get_or_insert_with(|| ancestors(tasks, self.task));
            if !before.contains(other) {
                let field = self.field(&format!("{name}.task.name"));
                let rule = "this task does not run after that one, which may not have ended yet";
                return Err(Problem::invalid(field, rule));
            }
        }
        Ok(())
    }
}

fn source(
    field: &str,
    from: SourceRequest,
    others: &Others,
    limits: &Limits,
) -> Result<Source, Problem> {
    let inline = |bytes: &[u8]| {
        if bytes.len() > limits.inline_bytes {
            let rule = format!("it is longer than {} bytes; upload it", limits.inline_bytes);
            return Err(Problem::invalid(field, rule));
        }
        Ok(Source::Inline(BASE64.encode(bytes)))
    };
    match from {
        SourceRequest::Inline(text) => inline(text.as_bytes()),
        SourceRequest::Base64(text) => {
            let bytes = BASE64.decode(text.as_bytes());
            inline(&bytes.map_err(|error| Problem::invalid(field, format!("base 64: {error}")))?)
        }
        SourceRequest::Object(name) => {
            let (bucket, key) = parse_object(field, &name)?;
            Ok(Source::Object { bucket, key })
        }
        SourceRequest::Upload(id) => Ok(Source::Upload(parse_name(field, &id)?.to_string())),
        SourceRequest::Attached(name) => {
            Ok(Source::Attached(parse_name(field, &name)?.to_string()))
        }
        SourceRequest::Folder(name) => {
            let to = parse_destination(field, &name)?;
            if !to.takes_many() {
                return Err(Problem::invalid(field, "a folder's name ends in `/`"));
            }
            Ok(Source::Folder { bucket: to.bucket, prefix: to.key })
        }
        SourceRequest::Task { task, member, instance } => {
            let of = others.place(&format!("{field}.task.name"), &task)?;
            let instance = others.instance(&format!("{field}.task.instance"), of, instance)?;
            let member = member.map(|path| member_of(&format!("{field}.task.member"), &path));
            Ok(Source::Task { task: of, instance, member: member.transpose()? })
        }
    }
}

/// The name of a member of an archive, out of the path that it had.
fn member_of(field: &str, path: &str) -> Result<String, Problem> {
    let name = path.trim_start_matches('/');
    if name.is_empty() || name.len() > 1_024 || name.contains('\0') {
        return Err(Problem::invalid(field, "it is the path of a file: 1 to 1,024 bytes"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::submit::JobRequest;

    fn tasks(json: &str) -> Result<Vec<TaskSpec>, Problem> {
        let (job, tasks) = JobRequest::parse(json.as_bytes())?;
        Ok(job.check(tasks, &Limits::default())?.spec.tasks)
    }

    /// A chain of `a`, `b` and `c`, with a wide task before them and another
    /// beside them; `c` has these fields as well.
    fn chain(fields: &str) -> Result<TaskSpec, Problem> {
        let tasks = tasks(&format!(
            r#"{{"tasks": [
                {{"name": "c", "image": "i", "after": [{{"task": "b"}}], {fields}}},
                {{"name": "b", "image": "i", "after": [{{"task": "a", "when": "finished"}}]}},
                {{"name": "a", "image": "i", "after": [{{"task": "wide"}}]}},
                {{"name": "wide", "image": "i", "instances": 3}},
                {{"name": "beside", "image": "i"}}
            ]}}"#
        ));
        Ok(tasks?.remove(0))
    }

    #[test]
    fn a_source_is_a_folder_or_what_a_task_before_has_left() {
        let c = chain(
            r#""stdin": {"task": {"name": "a", "member": "/tmp/x"}}, "inputs": [
                {"path": "/in", "source": {"folder": "b/some/"}},
                {"path": "/all", "source": {"folder": "b/"}},
                {"path": "/w", "source": {"task": {"name": "wide", "instance": 2}}}]"#,
        );
        let c = c.unwrap();
        let left = |task, instance, member: Option<&str>| Source::Task {
            task,
            instance,
            member: member.map(str::to_owned),
        };
        let folder =
            |prefix: &str| Source::Folder { bucket: "b".parse().unwrap(), prefix: prefix.into() };
        assert_eq!(c.stdin, Some(left(2, 0, Some("tmp/x"))));
        let inputs: Vec<_> = c.inputs.into_iter().map(|input| input.source).collect();
        assert_eq!(inputs, [folder("some/"), folder(""), left(3, 2, None)]);
    }

    #[test]
    fn a_source_that_cannot_be_is_refused_by_its_field() {
        for (source, at, why) in [
            (r#"{"folder": "b"}"#, "", "bucket/prefix/"),
            (r#"{"folder": "b/a"}"#, "", "ends in `/`"),
            (r#"{"task": {"name": "d"}}"#, ".task.name", "no task `d`"),
            (r#"{"task": {"name": "c"}}"#, ".task.name", "does not run after"),
            (r#"{"task": {"name": "beside"}}"#, ".task.name", "does not run after"),
            (r#"{"task": {"name": "wide"}}"#, ".task.instance", "3 instances: say which"),
            (r#"{"task": {"name": "wide", "instance": 3}}"#, ".task.instance", "from 0 on"),
            (r#"{"task": {"name": "a", "instance": 1}}"#, ".task.instance", "from 0 on"),
            (r#"{"task": {"name": "a", "member": "/"}}"#, ".task.member", "path of a file"),
            (r#"{"task": {"member": "x"}}"#, ".task.name", "missing field"),
            (r#"{"task": {"name": "a", "of": 1}}"#, ".task.of", "unknown field"),
        ] {
            let input = format!(r#""inputs": [{{"path": "/x", "source": {source}}}]"#);
            let refused = chain(&input);
            let Err(Problem::Invalid { field, rule }) = refused else {
                panic!("{source}: {refused:?}")
            };
            assert_eq!(field, format!("tasks[0].inputs[0].source{at}"), "{source}: {rule}");
            assert!(rule.contains(why), "{source}: {rule}");
        }
        for (source, at) in [
            (r#"{"folder": "b/"}"#, "tasks[0].stdin"),
            (r#"{"task": {"name": "beside"}}"#, "tasks[0].stdin.task.name"),
        ] {
            let refused = chain(&format!(r#""stdin": {source}"#));
            assert!(matches!(refused, Err(Problem::Invalid { field, .. }) if field == at));
        }
    }
}
