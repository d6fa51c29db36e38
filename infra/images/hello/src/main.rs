//! Keeps what it reads, and says hello: the smallest job with an input and an output.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

const FOLDER: &str = "/tmp";
const RESULT: &str = "result";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            // The message has nowhere else to go, so a closed stderr is let pass.
            let _ = writeln!(io::stderr(), "hello: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    keep(&mut io::stdin().lock(), Path::new(FOLDER))?;
    let arguments: Vec<_> =
        env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    writeln!(io::stdout(), "hello world").map_err(|e| format!("cannot write to stdout: {e}"))?;
    writeln!(io::stderr(), "{}", arguments.join(" "))
        .map_err(|e| format!("cannot write to stderr: {e}"))
}

/// Copies `input` to its end into the result file, however long it is.
///
/// An image built from nothing has no `/tmp`, hence the folder is made first.
fn keep(input: &mut impl io::Read, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let path = folder.join(RESULT);
    let mut result =
        File::create(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    io::copy(input, &mut result)
        .map_err(|e| format!("cannot copy stdin to {}: {e}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_kept_in_a_folder_made_for_it() {
        let folder = env::temp_dir().join(format!("tarpon-hello-{}", std::process::id()));
        let input: Vec<u8> = (0..=255).cycle().take(100_000).collect();

        keep(&mut input.as_slice(), &folder.join("made")).unwrap();

        assert_eq!(fs::read(folder.join("made").join(RESULT)).unwrap(), input);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let told = keep(&mut io::empty(), Path::new("/dev/null/inside")).unwrap_err();
        assert!(told.starts_with("cannot make /dev/null/inside: "), "{told}");
    }
}
