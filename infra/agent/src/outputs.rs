//! Which paths are meant by the outputs that were asked for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};

/// Where a pattern is not looked for: what is there is nobody's output.
const PASSED_BY: [&str; 3] = ["/proc", "/sys", "/dev"];

/// `*` and `?` stay within a name, `**` does not.
const AS_IN_A_SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The paths that outputs stand for, and the outputs that stand for none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// What is there.
    pub paths: Vec<PathBuf>,
    /// Patterns that match nothing.
    pub missing: Vec<PathBuf>,
}

/// Tells paths and patterns apart, and looks for what the patterns match.
///
/// Something that is there under the very name is meant by it, whatever
/// characters it has.
pub fn find(outputs: &[String], foreign: &[PathBuf]) -> Outputs {
    let mut found = Outputs::default();
    for output in outputs {
        let is_pattern = output.contains(['*', '?', '[']);
        if !is_pattern || fs::symlink_metadata(output).is_ok() {
            found.paths.push(output.into());
            continue;
        }
        let before = found.paths.len();
        if let Ok(pattern) = Pattern::new(output) {
            search(root(output), &pattern, foreign, &mut found.paths);
        }
        if found.paths.len() == before {
            found.missing.push(output.into());
        }
    }
    found
}

/// The folder that all matches of a pattern are in.
pub fn root(pattern: &str) -> PathBuf {
    let special = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let slash = pattern[..special].rfind('/').unwrap_or(0);
    PathBuf::from(if slash == 0 { "/" } else { &pattern[..slash] })
}

/// A folder that matches is taken whole, so it is not looked into. Links are
/// not followed.
fn search(root: PathBuf, pattern: &Pattern, foreign: &[PathBuf], found: &mut Vec<PathBuf>) {
    // No recursion: folders may be in folders as deep as paths are long.
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if foreign.contains(&path) || PASSED_BY.iter().any(|passed| path == Path::new(passed)) {
                continue;
            }
            if pattern.matches_with(&path.to_string_lossy(), AS_IN_A_SHELL) {
                found.push(path);
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(root: &Path, pattern: &str) -> Vec<String> {
        let pattern = format!("{}/{pattern}", root.display());
        let outputs = find(&[pattern], &[root.join("foreign")]);
        let mut names: Vec<_> = outputs
            .paths
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(names.is_empty(), outputs.missing.len() == 1);
        names
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path();
        for name in
            ["a.csv", "b.csv", "b[1].csv", "x/c.csv", "x/y/d.csv", "{e}.csv", "foreign/f.csv"]
        {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        assert_eq!(found(root, "*.csv"), ["a.csv", "b.csv", "b[1].csv", "{e}.csv"]);
        assert_eq!(found(root, "?.csv"), ["a.csv", "b.csv"]);
        assert_eq!(found(root, "[b-z].csv"), ["b.csv"]);
        assert_eq!(found(root, "x/**/*.csv"), ["x/c.csv", "x/y/d.csv"]);
        assert_eq!(found(root, "x*"), ["x"]);
        assert_eq!(found(root, "b[1].csv"), ["b[1].csv"]);
        assert_eq!(found(root, "{e}.cs?"), ["{e}.csv"]);
        assert_eq!(found(root, "f*/f.csv"), Vec::<String>::new());
        assert_eq!(found(root, "[.csv"), Vec::<String>::new());
        assert_eq!(found(root, "gone/*"), Vec::<String>::new());
    }

    #[test]
    fn a_plain_path_is_taken_as_it_is_also_when_nothing_is_there() {
        let outputs = find(&["/no/such".to_owned()], &[]);
        assert_eq!(outputs.paths, [Path::new("/no/such")]);
    }

    proptest! {
        #[test]
        fn any_pattern_stays_in_the_folder_that_it_names(
            pattern in prop_oneof!["[abc.*?\\[\\]{}!/-]{0,30}", "(\\*a){0,12}b"],
        ) {
            let folder = tempfile::TempDir::new().unwrap();
            for name in ["a", "b/a", "b/c/a.b", "b/aaaaaaaaaaaaaaaaaaaaaaaa", "[a]"] {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let output = format!("{}/{pattern}", folder.path().display());
            let found = find(std::slice::from_ref(&output), &[]);
            let within = |path: &PathBuf| path.starts_with(folder.path());
            prop_assert!(found.paths.iter().chain(&found.missing).all(within));
            prop_assert!(!found.paths.is_empty() || found.missing == [PathBuf::from(output)]);
        }
    }
}
