//! Where a job's outputs are saved on this machine.

use std::{
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use globset::{GlobBuilder, GlobMatcher};

use serde_json::{Value, json};
use shared::archive::RESERVED;

use super::{extract::Place, problem::Failure, values};

/// `PATH[:LOCAL][=BUCKET/KEY]`: what to keep, where to save it, and the object
/// that it becomes as well. A path that has a `=` in it is written with one more
/// at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The path or pattern in the container.
    pub path: String,
    /// Its place on this machine, if it was said.
    pub local: Option<PathBuf>,
    /// The object that it becomes, or with `/` at its end the start of the names
    /// of many.
    pub to: Option<String>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kept, to) = object_of(text)?;
        let (path, local) = match kept.split_once(':') {
            Some((path, local)) => (path, Some(local)),
            None => (kept, None),
        };
        if !path.starts_with('/') || local == Some("") {
            return Err(format!("`{text}` is not /PATH, /PATH:LOCAL or /PATH=BUCKET/KEY"));
        }
        Ok(Output { path: path.to_owned(), local: local.map(PathBuf::from), to })
    }
}

impl Output {
    /// `PATH[=BUCKET/KEY]`, of a job whose outputs are not saved here.
    pub fn left_there(text: &str) -> Result<Self, String> {
        let (path, to) = object_of(text)?;
        Ok(Output { path: path.to_owned(), local: None, to })
    }

    /// The output that a job's JSON has, in either of its forms.
    pub fn written(output: &Value) -> Option<Self> {
        let path = output.as_str().or_else(|| output["path"].as_str())?;
        Some(Output { path: path.to_owned(), local: None, to: None })
    }

    /// The output as the API takes it.
    pub fn request(&self) -> Value {
        match &self.to {
            Some(to) => json!({ "path": self.path, "to": to }),
            None => json!(self.path),
        }
    }
}

/// What comes before the last `=`, and the object after it, if there is one.
fn object_of(text: &str) -> Result<(&str, Option<String>), String> {
    match text.rsplit_once('=') {
        None => Ok((text, None)),
        Some((kept, "")) => Ok((kept, None)),
        Some((kept, to)) => {
            values::bucket(to).ok().filter(|_| to.contains('/')).ok_or_else(|| {
                format!(
                    "`{to}` is not BUCKET/KEY, nor BUCKET/PREFIX/ for many; if the path has a \
                     `=`, write one more at its end"
                )
            })?;
            Ok((kept, Some(to.to_owned())))
        }
    }
}

/// Which member of an archive is saved where.
pub struct Mapping {
    rules: Vec<Rule>,
    into: PathBuf,
}

struct Rule {
    /// The member, or for a pattern the folder that all its matches are in.
    base: PathBuf,
    /// For a pattern.
    matcher: Option<GlobMatcher>,
    local: Option<PathBuf>,
    /// Whether `local` was written with a `/` at its end.
    inside: bool,
}

impl Mapping {
    /// The mapping for these outputs; `into` takes those without a place of
    /// their own. Two that would be saved under one name are refused.
    pub fn new(outputs: &[Output], into: &Path) -> Result<Self, Failure> {
        let rules: Vec<Rule> = outputs.iter().map(Rule::of).collect();
        let mut taken: Vec<(PathBuf, &str)> = Vec::new();
        for (rule, output) in rules.iter().zip(outputs) {
            let Some(place) = rule.place(&rule.base, true, into) else { continue };
            let target = place.root.join(place.relative);
            let same = taken.iter().find(|(other, _)| rule.matcher.is_none() && *other == target);
            if let Some((_, other)) = same {
                return Err(Failure::Usage(format!(
                    "`{other}` and `{}` would both be saved as {}: give one a place of its own, \
                     PATH:LOCAL",
                    output.path,
                    target.display()
                )));
            }
            if rule.matcher.is_none() {
                taken.push((target, &output.path));
            }
        }
        Ok(Mapping { rules, into: into.to_owned() })
    }

    /// Where a member goes; `None` for what is no output.
    pub fn place(&self, member: &Path, is_folder: bool) -> Option<Place> {
        if RESERVED.iter().any(|name| member == Path::new(name)) {
            return None;
        }
        // What was named outright is meant before what a pattern happens to match.
        let (patterns, names): (Vec<_>, Vec<_>) =
            self.rules.iter().partition(|rule| rule.matcher.is_some());
        let found = names
            .into_iter()
            .chain(patterns)
            .find_map(|rule| rule.place(member, is_folder, &self.into));
        let whole = || Place { root: self.into.clone(), relative: member.to_owned() };
        Some(found.unwrap_or_else(whole))
    }
}

impl Rule {
    fn of(output: &Output) -> Self {
        let parts: Vec<&str> =
            output.path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let inside = output.local.as_ref().is_some_and(|local| {
            let text = local.as_os_str().as_encoded_bytes();
            text.ends_with(b"/")
                || matches!(
                    local.components().next_back(),
                    Some(Component::ParentDir | Component::CurDir)
                )
        });
        let matcher = matcher(&parts.join("/"));
        let plain = match &matcher {
            None => parts.len(),
            Some(_) => parts.iter().take_while(|part| !part.contains(SPECIAL)).count(),
        };
        Rule { base: parts[..plain].iter().collect(), matcher, local: output.local.clone(), inside }
    }

    fn place(&self, member: &Path, is_folder: bool, into: &Path) -> Option<Place> {
        let rest = member.strip_prefix(&self.base).ok()?;
        if let Some(matcher) = &self.matcher {
            // A folder that matches is kept whole.
            let matches = member.ancestors().any(|path| matcher.is_match(path));
            let root = self.local.as_deref().unwrap_or(into).to_owned();
            return matches.then(|| Place { root, relative: rest.to_owned() });
        }
        let name = Path::new(self.base.file_name()?);
        let Some(local) = &self.local else {
            return Some(Place { root: into.to_owned(), relative: name.join(rest) });
        };
        let is_file = rest.as_os_str().is_empty() && !is_folder;
        if self.inside || (is_file && local.is_dir()) {
            return Some(Place { root: local.clone(), relative: name.join(rest) });
        }
        let root = local.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some(Place {
            root: root.unwrap_or(Path::new(".")).to_owned(),
            relative: Path::new(local.file_name()?).join(rest),
        })
    }
}

const SPECIAL: [char; 3] = ['*', '?', '['];

/// A pattern as the agent understands it: `*` and `?` stay within a name,
/// `**` does not, braces have no meaning.
fn matcher(path: &str) -> Option<GlobMatcher> {
    if !path.contains(SPECIAL) {
        return None;
    }
    let pattern = path.replace('{', "[{]").replace('}', "[}]");
    Some(GlobBuilder::new(&pattern).literal_separator(true).build().ok()?.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(words: &[&str]) -> Mapping {
        let outputs: Vec<Output> = words.iter().map(|word| word.parse().unwrap()).collect();
        Mapping::new(&outputs, Path::new("into")).unwrap()
    }

    fn target(words: &[&str], member: &str) -> Option<String> {
        let place = mapping(words).place(Path::new(member), false)?;
        Some(place.root.join(place.relative).to_str().unwrap().trim_end_matches('/').to_owned())
    }

    #[test]
    fn an_output_is_saved_under_its_last_name() {
        let words = &["/tmp/result"];
        assert_eq!(target(words, "tmp/result").as_deref(), Some("into/result"));
        assert_eq!(target(words, "tmp/result/a/b").as_deref(), Some("into/result/a/b"));
    }

    #[test]
    fn an_output_is_saved_where_it_was_told_to() {
        assert_eq!(target(&["/tmp/result:mine"], "tmp/result").as_deref(), Some("./mine"));
        assert_eq!(target(&["/tmp/result:a/b"], "tmp/result/x").as_deref(), Some("a/b/x"));
        assert_eq!(target(&["/tmp/result:a/"], "tmp/result").as_deref(), Some("a/result"));
        assert_eq!(target(&["/tmp/result:."], "tmp/result/x").as_deref(), Some("./result/x"));
        assert_eq!(target(&["/tmp/result:/x/y"], "tmp/result").as_deref(), Some("/x/y"));
    }

    #[test]
    fn a_file_goes_into_a_folder_that_is_there_and_a_folder_becomes_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let local = folder.path().display();
        let mapping = mapping(&[&format!("/tmp/result:{local}")]);
        let file = mapping.place(Path::new("tmp/result"), false).unwrap();
        assert_eq!(file.root.join(file.relative), folder.path().join("result"));
        // Fetched twice, a folder does not end up inside itself.
        let inner = mapping.place(Path::new("tmp/result/x"), false).unwrap();
        assert_eq!(inner.root.join(inner.relative), folder.path().join("x"));
    }

    #[test]
    fn what_a_pattern_matches_keeps_its_names_from_there_on() {
        let words = &["/out/*.csv", "/deep/**/x.txt:texts"];
        assert_eq!(target(words, "out/a.csv").as_deref(), Some("into/a.csv"));
        assert_eq!(target(words, "deep/a/b/x.txt").as_deref(), Some("texts/a/b/x.txt"));
        let two = &["/out/*.csv:tables", "/out/*.jpg:pictures"];
        assert_eq!(target(two, "out/a.csv").as_deref(), Some("tables/a.csv"));
        assert_eq!(target(two, "out/a.jpg").as_deref(), Some("pictures/a.jpg"));
    }

    #[test]
    fn a_name_is_meant_before_a_pattern() {
        let words = &["/out/*", "/out/a:mine"];
        assert_eq!(target(words, "out/a").as_deref(), Some("./mine"));
        assert_eq!(target(words, "out/b").as_deref(), Some("into/b"));
    }

    #[test]
    fn streams_and_manifest_are_no_outputs() {
        for member in ["Stdout", "Stderr", "manifest.json"] {
            assert_eq!(target(&["/x"], member), None);
        }
        assert_eq!(target(&["/x"], "odd/one").as_deref(), Some("into/odd/one"));
    }

    #[test]
    fn two_outputs_of_one_name_are_refused() {
        let outputs = ["/a/result", "/b/result"].map(|word| word.parse().unwrap());
        let refused = Mapping::new(&outputs, Path::new(".")).err().unwrap().to_string();
        assert!(refused.contains("both be saved as ./result"), "{refused}");
        assert!(mapping(&["/a/result", "/b/result:other"]).place(Path::new("x"), false).is_some());
    }

    #[test]
    fn an_output_becomes_an_object_where_it_says_so() {
        let request = |text: &str| text.parse::<Output>().unwrap().request();
        assert_eq!(request("/x"), json!("/x"));
        assert_eq!(request("/x=b/k"), json!({"path": "/x", "to": "b/k"}));
        assert_eq!(request("/x:here=b/"), json!({"path": "/x", "to": "b/"}));
        assert_eq!(request("/day=1/x="), json!("/day=1/x"));
        assert_eq!(request("/day=1=b/k"), json!({"path": "/day=1", "to": "b/k"}));
        let left = Output::left_there("/a:b=b/k").unwrap();
        assert_eq!(left.request(), json!({"path": "/a:b", "to": "b/k"}));
    }

    #[test]
    fn what_is_no_output_is_refused() {
        for text in ["", "tmp", ":x", "/x:", "=b/k", "/x=b", "/x=/k"] {
            assert!(text.parse::<Output>().is_err(), "{text}");
        }
    }
}
