//! Which files become objects, and under which paths.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::OFlags;
use shared::{
    agent::{Kept, MOST_OBJECTS, ObjectUpload, PlanObject, Stream},
    archive::{Gathering, MAX_NOTES, Note, Oddity},
};

use crate::{outputs, program::plain, streams::Spool};

/// `O_NOFOLLOW` and `O_NONBLOCK`: what has become a link or a named pipe
/// meanwhile is not followed, nor waited for.
const AS_IT_IS: i32 = (OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits()).cast_signed();

/// What is to become one object.
#[derive(Debug)]
pub struct Piece {
    /// Which one, as the service is told.
    pub object: ObjectUpload,
    /// How it is called.
    pub shown: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    Spool(Arc<Spool>),
}

impl Piece {
    /// Its bytes as they are now, and how many.
    pub fn open(&self) -> io::Result<(Arc<File>, u64)> {
        match &self.content {
            Content::Spool(spool) => Ok((spool.file(), spool.length())),
            Content::File(path) => {
                let file = OpenOptions::new().read(true).custom_flags(AS_IT_IS).open(path)?;
                let length = file.metadata()?.len();
                Ok((Arc::new(file), length))
            }
        }
    }
}

/// Looks for what is to be put.
#[derive(Debug)]
pub struct Find {
    /// What becomes objects.
    pub objects: Vec<PlanObject>,
    /// The plan's outputs.
    pub outputs: Vec<String>,
    /// Folders that no output may come from.
    pub foreign: Vec<PathBuf>,
    /// Standard output and standard error.
    pub spools: [Arc<Spool>; 2],
    /// Whether it is a failure that the one file of an output is not there.
    pub all_must_be: bool,
}

impl Find {
    /// All of it; fails with one line for people.
    pub fn all(&self) -> Result<Vec<Piece>, String> {
        let gathered = self.gathered();
        let files: BTreeSet<_> = gathered.files().collect();
        let mut pieces = Vec::new();
        for PlanObject { of, many } in &self.objects {
            match of {
                Kept::Stream(stream) => pieces.push(self.stream(*stream)),
                Kept::Output(place) => {
                    let path = self.outputs.get(*place as usize);
                    let path = path.ok_or("the plan has no such output")?;
                    let kept = Archived { files: &files, notes: gathered.notes() };
                    let mut output = Output { of: *of, path, kept, pieces: &mut pieces };
                    let found = if *many { self.many(&mut output) } else { self.one(&mut output) };
                    found.map_err(|why| format!("output {path}: {why}"))?;
                }
            }
        }
        Ok(pieces)
    }

    /// What the archive has of the outputs: no other file becomes an object.
    fn gathered(&self) -> Gathering {
        let mut gathering = Gathering::new(self.foreign.clone());
        if self.objects.iter().any(|object| matches!(object.of, Kept::Output(_))) {
            gathering.outputs(outputs::find(&self.outputs, &self.foreign).paths);
        }
        gathering
    }

    fn stream(&self, stream: Stream) -> Piece {
        let [stdout, stderr] = &self.spools;
        let (spool, shown) = match stream {
            Stream::Stdout => (stdout, "stdout"),
            Stream::Stderr => (stderr, "stderr"),
        };
        Piece {
            object: ObjectUpload { of: Kept::Stream(stream), path: None },
            shown: shown.to_owned(),
            content: Content::Spool(Arc::clone(spool)),
        }
    }

    /// The one file at the output's path.
    fn one(&self, output: &mut Output<'_>) -> Result<(), String> {
        match fs::symlink_metadata(output.path) {
            Ok(metadata) if metadata.is_file() => {
                let path = Path::new(output.path);
                let file = output.kept.within(path)?.next();
                output.add(file.ok_or("it is left out of the archive, which says why")?, None)
            }
            Ok(metadata) if metadata.is_dir() => {
                Err("it is a folder, which becomes many objects: `to` has to end in `/`".to_owned())
            }
            Ok(_) => Err("it is not a file".to_owned()),
            Err(error) if self.all_must_be => Err(plain(&error)),
            Err(_) => Ok(()),
        }
    }

    /// Every file in the folder, or that the pattern matches; none is fine.
    fn many(&self, output: &mut Output<'_>) -> Result<(), String> {
        let path = Path::new(output.path);
        let (base, paths) = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => (path.to_owned(), vec![path.to_owned()]),
            Ok(metadata) if metadata.is_file() => {
                (path.parent().unwrap_or(path).to_owned(), vec![path.to_owned()])
            }
            Ok(_) => return Err("it is neither a file nor a folder".to_owned()),
            Err(_) => {
                let found = outputs::find(&[output.path.to_owned()], &self.foreign);
                (outputs::root(output.path), found.paths)
            }
        };
        for path in paths {
            for file in output.kept.within(&path)? {
                let below = file.strip_prefix(&base).ok().and_then(Path::to_str);
                let below =
                    below.ok_or_else(|| format!("the name of {} is no text", file.display()))?;
                output.add(file, Some(below.to_owned()))?;
            }
        }
        Ok(())
    }
}

/// What the archive has of all outputs, and what is odd about them.
#[derive(Clone, Copy)]
struct Archived<'a> {
    files: &'a BTreeSet<PathBuf>,
    notes: &'a [Note],
}

impl<'a> Archived<'a> {
    /// Its files at this path, or below it. What cannot be read there, nobody
    /// would miss in time.
    fn within(self, path: &Path) -> Result<impl Iterator<Item = &'a Path> + use<'a>, String> {
        let lost = || self.notes.iter().filter(|note| note.what == Oddity::Unreadable);
        if let Some(lost) = lost().find(|note| Path::new(&note.path).starts_with(path)) {
            return Err(format!("{} cannot be read", lost.path));
        }
        if lost().count() >= MAX_NOTES {
            return Err(format!("{MAX_NOTES} files of other outputs cannot be read, or more"));
        }
        let path = path.to_owned();
        let from = self.files.range(path.clone()..);
        Ok(from.take_while(move |file| file.starts_with(&path)).map(PathBuf::as_path))
    }
}

/// An output, and what has been found of it and of those before it.
struct Output<'a> {
    of: Kept,
    path: &'a str,
    kept: Archived<'a>,
    pieces: &'a mut Vec<Piece>,
}

impl Output<'_> {
    fn add(&mut self, file: &Path, path: Option<String>) -> Result<(), String> {
        if self.pieces.len() >= MOST_OBJECTS {
            return Err(format!("there are more than {MOST_OBJECTS} files to become objects"));
        }
        let shown = format!("output {}", file.display());
        let object = ObjectUpload { of: self.of, path };
        self.pieces.push(Piece { object, shown, content: Content::File(file.to_owned()) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is found of an output in a folder with some files, by its path.
    fn found(of: impl Fn(&str) -> (String, bool)) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::TempDir::new().unwrap();
        let root = folder.path();
        for name in ["a.csv", "x/b.csv", "x/y/c.csv", "x/y/d.txt", "foreign/e.csv"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), name).unwrap();
        }
        symlink("a.csv", root.join("x/link.csv")).unwrap();
        symlink("y", root.join("x/z")).unwrap();
        let text = root.to_str().unwrap();
        let (output, many) = of(text);
        let spool = |stream| Arc::new(Spool::create(root, stream).unwrap());
        let find = Find {
            objects: vec![PlanObject { of: Kept::Output(0), many }],
            outputs: vec![output, format!("{text}/x/z"), "/proc/self/environ".to_owned()],
            foreign: vec![root.join("foreign")],
            spools: [spool(Stream::Stdout), spool(Stream::Stderr)],
            all_must_be: true,
        };
        let mut found: Vec<_> = find
            .all()?
            .into_iter()
            .map(|piece| {
                let (file, length) = piece.open().unwrap();
                let text = io::read_to_string(&*file).unwrap();
                assert_eq!(text.len() as u64, length);
                (piece.object.path.unwrap_or_default(), text)
            })
            .collect();
        found.sort();
        Ok(found)
    }

    fn names(output: &str) -> Vec<String> {
        let found = found(|root| (format!("{root}/{output}"), true)).unwrap();
        found.into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn files_have_the_path_below_the_folder_or_the_fixed_part_of_the_pattern() {
        assert_eq!(names("x"), ["b.csv", "y/c.csv", "y/d.txt"]);
        assert_eq!(names("x/y/"), ["c.csv", "d.txt"]);
        assert_eq!(names("x/**/*.csv"), ["b.csv", "y/c.csv"]);
        assert_eq!(names("*"), ["a.csv", "x/b.csv", "x/y/c.csv", "x/y/d.txt"]);
        assert_eq!(names("a.csv"), ["a.csv"]);
        assert_eq!(names("gone"), Vec::<String>::new());
        assert_eq!(names("gone/*"), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_read_is_missed_at_once() {
        let files = BTreeSet::from([PathBuf::from("/a/x"), PathBuf::from("/b/x")]);
        let lost = |count: usize| -> Vec<_> {
            let note = |n| Note { path: format!("/a/{n}"), what: Oddity::Unreadable };
            (0..count).map(note).collect()
        };
        let within = |count, path: &str| {
            let notes = lost(count);
            let kept = Archived { files: &files, notes: &notes };
            kept.within(Path::new(path)).map(|found| found.map(Path::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(within(0, "/a").unwrap(), [Path::new("/a/x")]);
        assert_eq!(within(1, "/a").unwrap_err(), "/a/0 cannot be read");
        assert_eq!(within(MAX_NOTES - 1, "/b").unwrap(), [Path::new("/b/x")]);
        // There may be more of them than are noted, and these anywhere.
        assert!(within(MAX_NOTES, "/b").unwrap_err().ends_with("or more"));
    }

    #[test]
    fn one_object_is_one_file() {
        let one = |name: &'static str| found(move |root| (format!("{root}/{name}"), false));
        assert_eq!(one("x/b.csv").unwrap(), [(String::new(), "x/b.csv".to_owned())]);
        assert!(one("x").unwrap_err().ends_with("`to` has to end in `/`"));
        assert!(one("x/link.csv").unwrap_err().ends_with("x/link.csv: it is not a file"));
        // What is behind a link that is kept is not, and so becomes no object.
        assert!(one("x/z/c.csv").unwrap_err().ends_with("left out of the archive, which says why"));
        assert!(one("../../proc/self/environ").is_err());
        assert!(one("gone").unwrap_err().ends_with("gone: no such file or directory"));
    }
}
