//! What a container runs: the image's own `/bin/sh` is told where in its job it
//! is, and is given the command.

use crate::{
    faults::Fault,
    fields::Fields,
    submit::{
        paths::Remote,
        streams::{LocalFile, in_shell, quote},
    },
};

/// The variables that this API promises, by those that every process has.
const VARIABLES: &str = "export BATCH_JOB_ID=\"$TARPON_JOB_ID\" \
     BATCH_TASK_NAME=\"$TARPON_TASK_NAME\" \
     BATCH_TASK_INSTANCE_NUM=\"$TARPON_INSTANCE_COUNT\" \
     BATCH_TASK_INSTANCE_INDEX=\"$TARPON_INSTANCE_INDEX\"";

/// Where a package is put, and unpacked.
const PACKAGES: &str = "/tmp/.batch";

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// For each instance its own, or one for all.
    commands: Vec<String>,
    /// The archive that is unpacked first, and how.
    package: Option<(Remote, &'static str)>,
}

impl Command {
    /// What an `Application` says, its `Docker` aside.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Fault> {
        let form = fields.text("DeliveryForm")?;
        let form = fields.needed("DeliveryForm", form)?;
        let one = fields.text("Command")?.filter(|command| !command.is_empty());
        let path = fields.path("PackagePath");
        let package = fields.text("PackagePath")?.filter(|path| !path.is_empty());
        let mut several = Vec::new();
        for mut line in fields.objects("Commands")? {
            several.push(line.said("Command")?);
            line.end()?;
        }
        let commands = match (one, several.is_empty()) {
            (Some(one), true) => vec![one],
            (None, false) => several,
            (Some(_), false) | (None, true) => {
                let rule = "Exactly one of `Command` and `Commands` is given.";
                return Err(Fault::combination(rule));
            }
        };
        if commands.iter().any(|command| command.contains('\0')) {
            return Err(Fault::value(&fields.path("Command"), "it contains a NUL character"));
        }
        let package = match (form.as_str(), package) {
            ("LOCAL", None) => None,
            ("PACKAGE", Some(text)) => Some(self::package(&path, &text)?),
            ("PACKAGE", None) => return Err(Fault::missing(&path)),
            // Clients send it along; it has no meaning there.
            ("LOCAL", Some(_)) => None,
            _ => {
                let rule = "it is LOCAL or PACKAGE";
                return Err(Fault::value(&fields.path("DeliveryForm"), rule));
            }
        };
        Ok(Command { commands, package })
    }

    /// How many instances it is for; any number where they all run the same.
    pub(crate) fn instances(&self) -> Option<u32> {
        (self.commands.len() > 1).then(|| u32::try_from(self.commands.len()).unwrap_or(u32::MAX))
    }

    /// The package that is an input, and where it goes.
    pub(crate) fn package(&self) -> Option<(&Remote, String)> {
        self.package.as_ref().map(|(remote, _)| (remote, packed(remote)))
    }

    /// The entry point and its arguments. `folders` are made first; the streams
    /// are written to `files` as well.
    pub(crate) fn words(
        self,
        folders: &[String],
        files: &[Option<LocalFile>; 2],
    ) -> (Vec<String>, Vec<String>) {
        let mut script = vec![VARIABLES.to_owned()];
        for folder in folders {
            script.push(format!("mkdir -p {} || exit 126", quote(folder)));
        }
        if let Some((remote, unpack)) = &self.package {
            let (place, file) = (quote(&format!("{PACKAGES}/package")), quote(&packed(remote)));
            script.push(format!("mkdir -p {place} && cd {place} && {unpack} {file} || exit 126"));
        }
        if self.commands.len() > 1 {
            script.push("shift \"$TARPON_INSTANCE_INDEX\"".to_owned());
        }
        script.extend(run(files));
        let words = ["/bin/sh".to_owned(), "-c".to_owned(), script.join("\n"), "sh".to_owned()];
        (words.into(), self.commands)
    }
}

/// The command takes the shell's place; where its streams are copied, the shell
/// waits until those who copy them are done.
fn run(files: &[Option<LocalFile>; 2]) -> Vec<String> {
    const RUN: &str = "/bin/sh -c \"$1\"";
    if files.iter().all(Option::is_none) {
        return vec![format!("exec {RUN}")];
    }
    let mut lines = vec![format!("mkdir -p {PACKAGES} || exit 126")];
    let mut run = vec![RUN.to_owned()];
    for (place, file) in files.iter().enumerate() {
        let Some(file) = file else { continue };
        let (number, to) = (place + 1, if place == 0 { "" } else { " >&2" });
        let pipe = format!("{PACKAGES}/{number}");
        lines.push(format!("mkdir -p {} && mkfifo {pipe} || exit 126", quote(&file.folder)));
        lines.push(format!("tee {} <{pipe}{to} &", in_shell(file)));
        run.push(format!("{number}>{pipe}"));
    }
    lines.push(run.join(" "));
    lines.extend(["code=$?", "wait", "exit \"$code\""].map(str::to_owned));
    lines
}

/// How a package is unpacked, by its name.
fn package(path: &str, text: &str) -> Result<(Remote, &'static str), Fault> {
    const KINDS: [(&str, &str); 4] =
        [(".tgz", "tar -xzf"), (".tar.gz", "tar -xzf"), (".tar", "tar -xf"), (".zip", "unzip -q")];
    let remote = Remote::parse(path, text)?;
    let kind = KINDS.iter().find(|(end, _)| remote.file_name().ends_with(end));
    let (_, unpack) = kind.ok_or_else(|| {
        let message = format!("`{path}`: a package is a .tgz, .tar.gz, .tar or .zip file.");
        Fault::new("InvalidParameterValue.RemoteStoragePath", message)
    })?;
    Ok((remote, unpack))
}

fn packed(remote: &Remote) -> String {
    format!("{PACKAGES}/{}", remote.file_name())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Command, Fault> {
        let mut fields = Fields::of(value);
        let command = Command::read(&mut fields)?;
        fields.end()?;
        Ok(command)
    }

    fn code(value: Value) -> &'static str {
        read(value).unwrap_err().code
    }

    #[test]
    fn a_command_takes_the_shells_place() {
        let command = read(json!({ "DeliveryForm": "LOCAL", "Command": "echo 'it'" })).unwrap();
        let (entrypoint, arguments) = command.words(&[], &[None, None]);
        assert_eq!(entrypoint[..2], ["/bin/sh", "-c"]);
        assert!(entrypoint[2].ends_with("\nexec /bin/sh -c \"$1\""), "{}", entrypoint[2]);
        assert_eq!(arguments, ["echo 'it'"]);
    }

    #[test]
    fn each_instance_may_have_a_command_of_its_own() {
        let lines = json!([{ "Command": "a" }, { "Command": "b" }]);
        let command = read(json!({ "DeliveryForm": "LOCAL", "Commands": lines })).unwrap();
        assert_eq!(command.instances(), Some(2));
        let (entrypoint, arguments) = command.words(&[], &[None, None]);
        assert!(entrypoint[2].contains("shift \"$TARPON_INSTANCE_INDEX\""));
        assert_eq!(arguments, ["a", "b"]);
    }

    #[test]
    fn a_package_is_unpacked_first_by_what_it_is() {
        let said = json!({
            "DeliveryForm": "PACKAGE", "Command": "./run",
            "PackagePath": "cos://b-1.cosgz.myqcloud.com/apps/run.tgz",
        });
        let command = read(said).unwrap();
        assert_eq!(command.package().unwrap().1, "/tmp/.batch/run.tgz");
        let (entrypoint, _) = command.words(&["/data".into()], &[None, None]);
        assert!(entrypoint[2].contains("mkdir -p '/data' || exit 126\n"), "{}", entrypoint[2]);
        assert!(entrypoint[2].contains("tar -xzf '/tmp/.batch/run.tgz' || exit 126\n"));
    }

    #[test]
    fn what_says_not_what_to_run_is_refused() {
        let combination = "InvalidParameter.InvalidParameterCombination";
        let both = json!([{ "Command": "b" }]);
        assert_eq!(code(json!({ "DeliveryForm": "LOCAL" })), combination);
        let said = json!({ "DeliveryForm": "LOCAL", "Command": "a", "Commands": both });
        assert_eq!(code(said), combination);
        assert_eq!(code(json!({ "Command": "a" })), "MissingParameter");
        assert_eq!(code(json!({ "DeliveryForm": "AIR", "Command": "a" })), "InvalidParameterValue");
        assert_eq!(code(json!({ "DeliveryForm": "PACKAGE", "Command": "a" })), "MissingParameter");
        let said = json!({
            "DeliveryForm": "PACKAGE", "Command": "a",
            "PackagePath": "cos://b-1.cosgz.myqcloud.com/a.rar",
        });
        assert_eq!(code(said), "InvalidParameterValue.RemoteStoragePath");
        let said = json!({
            "DeliveryForm": "PACKAGE", "Command": "a", "PackagePath": "http://example.com/a.tgz",
        });
        assert_eq!(code(said), "InvalidParameterValue.RemoteStorageSchemeType");
    }
}
