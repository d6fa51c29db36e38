//! Putting the agent in place: what it does in a container of its own image
//! that runs before the job's and shares volumes with it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Copies this program to `file`, and lets everybody write to `folders`: new
/// volumes belong to root, and jobs run as whom they like.
pub fn install(file: &Path, folders: &[PathBuf]) -> io::Result<()> {
    // Whoever starts it finds all of it or nothing.
    let partial = file.with_extension("partial");
    fs::copy("/proc/self/exe", &partial)?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o755))?;
    fs::rename(&partial, file)?;
    for folder in folders {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_copied_whole_and_the_folders_are_opened() {
        let place = tempfile::tempdir().unwrap();
        let (file, folder) = (place.path().join("agent"), place.path().join("scratch"));
        fs::create_dir(&folder).unwrap();
        for _ in 0..2 {
            install(&file, std::slice::from_ref(&folder)).unwrap();
        }
        assert!(fs::read(&file).unwrap() == fs::read("/proc/self/exe").unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&file), mode(&folder)), (0o755, 0o1777));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_fault() {
        let place = tempfile::tempdir().unwrap();
        let absent = place.path().join("absent");
        assert!(install(&place.path().join("agent"), &[absent]).is_err());
    }
}
