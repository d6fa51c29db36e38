//! Where standard output and standard error go besides: to files of a bucket,
//! or of the container.

use shared::job::Destination;

use crate::{
    faults::Fault,
    fields::Fields,
    submit::paths::{self, Remote},
};

/// What stands in a name for the job's id, the task's name and the instance's
/// index.
const JOB: &str = "${BATCH_JOB_ID}";
const TASK: &str = "${BATCH_TASK_NAME}";
const INDEX: &str = "${BATCH_TASK_INSTANCE_INDEX}";

/// A stream: how its parameters are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Stdout,
    Stderr,
}

impl Which {
    pub(crate) const BOTH: [Which; 2] = [Which::Stdout, Which::Stderr];

    fn word(self) -> &'static str {
        match self {
            Which::Stdout => "Stdout",
            Which::Stderr => "Stderr",
        }
    }

    /// What a file of it is called if nobody says.
    pub(crate) fn file_name(self) -> String {
        let end = self.word().to_ascii_lowercase();
        format!("{JOB}.{TASK}.{INDEX}.{end}")
    }
}

/// The object that a stream becomes, `bucket/key` with what stands for the job
/// and the instance; one for each of the two.
pub(crate) fn to_objects(fields: Option<Fields>, task: &str) -> Result<[Option<String>; 2], Fault> {
    let Some(mut fields) = fields else { return Ok([None, None]) };
    let mut objects = [None, None];
    for (place, which) in Which::BOTH.into_iter().enumerate() {
        let (folder, file) =
            (format!("{}RedirectPath", which.word()), format!("{}RedirectFileName", which.word()));
        let path = fields.path(&folder);
        let name = file_name(&mut fields, &file, which)?;
        let Some(text) = fields.text(&folder)?.filter(|text| !text.is_empty()) else { continue };
        paths::check_literal(&path, &text)?;
        let name = for_each(&fields.path(&file), &name, task)?;
        let folder = Remote::parse(&path, &text)?.folder();
        objects[place] = Some(format!("{folder}{name}"));
    }
    fields.end()?;
    Ok(objects)
}

/// The file that a stream becomes in its container, as folder and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalFile {
    pub(crate) folder: String,
    pub(crate) name: String,
}

pub(crate) fn to_files(fields: Option<Fields>) -> Result<[Option<LocalFile>; 2], Fault> {
    let Some(mut fields) = fields else { return Ok([None, None]) };
    let mut files = [None, None];
    for (place, which) in Which::BOTH.into_iter().enumerate() {
        let (folder, file) =
            (format!("{}LocalPath", which.word()), format!("{}LocalFileName", which.word()));
        let path = fields.path(&folder);
        let name = file_name(&mut fields, &file, which)?;
        let Some(folder) = fields.text(&folder)?.filter(|text| !text.is_empty()) else { continue };
        paths::local(&path, &folder)?;
        files[place] = Some(LocalFile { folder, name });
    }
    fields.end()?;
    Ok(files)
}

fn file_name(fields: &mut Fields, name: &str, which: Which) -> Result<String, Fault> {
    let path = fields.path(name);
    let said = fields.text(name)?.filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| which.file_name());
    let is_name = said.len() <= 200
        && !said.contains('/')
        && !said.chars().any(char::is_control)
        && said != "."
        && said != "..";
    if is_name {
        return Ok(said);
    }
    Err(Fault::value(&path, "it is a file's name, of up to 200 bytes and without `/`"))
}

/// A name in which what differs from container to container is for us to fill.
fn for_each(path: &str, name: &str, task: &str) -> Result<String, Fault> {
    let name = name.replace(TASK, task);
    paths::check_literal(path, &name)?;
    Ok(name.replace(JOB, Destination::JOB).replace(INDEX, Destination::INSTANCE))
}

/// A name with all of it filled in.
pub(crate) fn filled(name: &str, job: &str, task: &str, index: u32) -> String {
    name.replace(JOB, job).replace(TASK, task).replace(INDEX, &index.to_string())
}

/// A file's name as words of a shell, in which its variables stand for the same.
pub(crate) fn in_shell(file: &LocalFile) -> String {
    let folder = format!("{}/", file.folder.trim_end_matches('/'));
    let mut quoted = quote(&format!("{folder}{}", file.name));
    for variable in [JOB, TASK, INDEX] {
        quoted = quoted.replace(variable, &format!("'\"{variable}\"'"));
    }
    quoted
}

/// One word of a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_becomes_an_object_of_each_instance() {
        let said = json!({
            "StdoutRedirectPath": "cos://b-1.cosgz.myqcloud.com/logs/",
            "StderrRedirectPath": "cos://b-1.cosgz.myqcloud.com/logs",
            "StderrRedirectFileName": "${BATCH_TASK_NAME}-${BATCH_TASK_INSTANCE_INDEX}.err",
        });
        let objects = to_objects(Some(Fields::of(said)), "t").unwrap();
        assert_eq!(objects[0].as_deref(), Some("b-1/logs/{job}.t.{instance}.stdout"));
        assert_eq!(objects[1].as_deref(), Some("b-1/logs/t-{instance}.err"));
        for (folder, file, task) in [
            ("logs", "{job}.out", "t"),
            ("{instance}", "out", "t"),
            // Nor what comes to be one.
            ("logs", "{${BATCH_TASK_NAME}}", "job"),
        ] {
            let said = json!({
                "StdoutRedirectPath": format!("cos://b-1.cosgz.myqcloud.com/{folder}/"),
                "StdoutRedirectFileName": file,
            });
            let code = to_objects(Some(Fields::of(said)), task).unwrap_err().code;
            assert_eq!(code, "InvalidParameterValue.RemoteStoragePath", "{folder} {file}");
        }
        let bad = json!({ "StdoutRedirectPath": "cfs://1.2.3.4/a" });
        let code = to_objects(Some(Fields::of(bad)), "t").unwrap_err().code;
        assert_eq!(code, "InvalidParameterValue.RemoteStorageSchemeType");
        let bad = json!({ "StdoutRedirectFileName": "../x" });
        assert_eq!(
            to_objects(Some(Fields::of(bad)), "t").unwrap_err().code,
            "InvalidParameterValue"
        );
    }

    #[test]
    fn a_local_file_keeps_its_variables_and_nothing_else_of_a_shell() {
        let file = LocalFile { folder: "/a b".into(), name: "$(x)'${BATCH_JOB_ID}.o".into() };
        assert_eq!(in_shell(&file), r#"'/a b/$(x)'\'''"${BATCH_JOB_ID}"'.o'"#);
        assert_eq!(filled(&file.name, "job-1", "t", 0), "$(x)'job-1.o");
        let bad = json!({ "StdoutLocalPath": "here" });
        assert_eq!(
            to_files(Some(Fields::of(bad))).unwrap_err().code,
            "InvalidParameterValue.LocalPath"
        );
    }
}
