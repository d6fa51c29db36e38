//! Finding the user's program, and saying clearly why it does not start.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use shared::job::Cause;

use crate::Unstarted;

/// Where programs are looked for when nobody says.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const EXECUTABLE: u32 = 0o111;

/// What the kernel says of a program that it will not run, or of arguments
/// that it does not take: `ENOENT`, `E2BIG`, `ENOEXEC`, `EACCES`, `ENOTDIR`,
/// `EISDIR`, `EINVAL`, `ETXTBSY`, `ENAMETOOLONG`, `ELOOP`, `ELIBBAD`, `EPERM`.
const USERS: [i32; 12] = [2, 7, 8, 13, 20, 21, 22, 26, 36, 40, 80, 1];

/// The file that `name` stands for, as `execvp` would find it. Relative names
/// are meant from the current folder, which is the process's already.
pub fn find(name: &str, path: Option<&str>) -> Result<PathBuf, Unstarted> {
    let fail = |why: String| Unstarted::because(Cause::StartFailed, why);
    if name.is_empty() {
        return Err(fail("there is no program to start".to_owned()));
    }
    if name.contains('/') {
        return match fs::metadata(name) {
            Ok(_) => Ok(name.into()),
            Err(error) => Err(fail(format!("cannot start {name}: {}", plain(&error)))),
        };
    }
    let path = path.unwrap_or(DEFAULT_PATH);
    let mut unusable = None;
    for folder in path.split(':') {
        let candidate = Path::new(if folder.is_empty() { "." } else { folder }).join(name);
        match fs::metadata(&candidate) {
            Ok(file) if file.is_file() && file.permissions().mode() & EXECUTABLE != 0 => {
                return Ok(candidate);
            }
            Ok(_) => unusable = Some(candidate),
            Err(_) => {}
        }
    }
    Err(fail(match unusable {
        Some(file) => format!("cannot start {name}: {} is not executable", file.display()),
        None => format!("cannot start {name}: there is no such program in {path}"),
    }))
}

/// Why the kernel did not start `program`.
pub fn not_started(program: &Path, error: &io::Error) -> Unstarted {
    let shown = program.display();
    let is_users = error
        .raw_os_error()
        .map_or(error.kind() == io::ErrorKind::InvalidInput, |code| USERS.contains(&code));
    if !is_users {
        return Unstarted::fault(format!("cannot start {shown}: {}", plain(error)));
    }
    let why = match error.raw_os_error() {
        // It was there a moment ago: what is missing is what runs it.
        Some(2) => "the interpreter or loader that it names is missing".to_owned(),
        Some(8) => {
            "it is no program for this machine, nor a script that names its interpreter".to_owned()
        }
        Some(7) => "its arguments and environment are too long".to_owned(),
        Some(_) | None => plain(error),
    };
    Unstarted::because(Cause::StartFailed, format!("cannot start {shown}: {why}"))
}

/// The error's text, without the number.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would() {
        assert!(find("sh", None).unwrap().ends_with("sh"));
        assert_eq!(find("/bin/sh", Some("/nowhere")).unwrap(), Path::new("/bin/sh"));
        let why = find("no-such-program", Some("/bin")).unwrap_err();
        assert_eq!(why.cause, Cause::StartFailed);
        assert_eq!(why.message, "cannot start no-such-program: there is no such program in /bin");
        let why = find("/no/such", None).unwrap_err();
        assert_eq!(why.message, "cannot start /no/such: no such file or directory");
        let why = find("passwd", Some("/etc")).unwrap_err();
        assert_eq!(why.message, "cannot start passwd: /etc/passwd is not executable");
        assert_eq!(find("", None).unwrap_err().message, "there is no program to start");
    }

    #[test]
    fn a_machine_that_is_out_of_processes_is_not_the_users_fault() {
        let program = Path::new("/bin/x");
        assert_eq!(not_started(program, &io::Error::from_raw_os_error(11)).cause, Cause::AgentLost);
        assert_eq!(
            not_started(program, &io::Error::from_raw_os_error(8)).cause,
            Cause::StartFailed
        );
    }
}
