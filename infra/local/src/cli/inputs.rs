//! Files that go to a job: of this machine, or objects that are there already.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    client::{PATIENCE, Repeat},
    problem::Failure,
    session::Session,
    upload::Payload,
    values,
};

/// What all inline inputs of a job may take together; the rest is uploaded.
pub const INLINE_ROOM: u64 = 2 << 20;

/// `SOURCE:/PATH`: where bytes come from, and where they go in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    source: InputSource,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum InputSource {
    File(PathBuf),
    Object(String),
    /// A file if there is one of that name, else an object.
    Either(String),
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not FILE:/PATH or BUCKET/KEY:/PATH");
        let (source, rest) = text.rsplit_once(":/").ok_or_else(wrong)?;
        let source = match (source.strip_prefix("file:"), source.strip_prefix("object:")) {
            (Some(file), _) => InputSource::File(file.into()),
            (None, Some(object)) => {
                if !is_folder(object) {
                    values::object(object)?;
                }
                InputSource::Object(object.to_owned())
            }
            (None, None) => InputSource::Either(source.to_owned()),
        };
        let named = match &source {
            InputSource::File(path) => !path.as_os_str().is_empty(),
            InputSource::Object(name) | InputSource::Either(name) => !name.is_empty(),
        };
        if !named || rest.is_empty() {
            return Err(wrong());
        }
        Ok(Input { source, path: format!("/{rest}") })
    }
}

impl Input {
    /// The input as the API takes it. A file of this machine is sent now.
    pub async fn request(&self, session: &Session, room: &mut u64) -> Result<Value, Failure> {
        match &self.source {
            InputSource::File(file) => self.of_file(session, file, room).await,
            InputSource::Object(name) => Ok(self.of_object(name)),
            InputSource::Either(name) if Path::new(name).exists() => {
                self.of_file(session, Path::new(name), room).await
            }
            InputSource::Either(name) if is_folder(name) => Ok(self.of_object(name)),
            InputSource::Either(name) => {
                object_exists(session, name).await?;
                Ok(self.of_object(name))
            }
        }
    }

    async fn of_file(
        &self,
        session: &Session,
        file: &Path,
        room: &mut u64,
    ) -> Result<Value, Failure> {
        let payload = Payload::open(file).await?;
        let name = file.display().to_string();
        let source = payload.source(session, &name, room).await?;
        let mut input = json!({ "path": self.path, "source": source });
        // A program stays one.
        let mode = file.metadata().map_or(0, |about| about.permissions().mode());
        if mode & 0o111 != 0 {
            input["mode"] = format!("{:04o}", mode & 0o777).into();
        }
        Ok(input)
    }

    fn of_object(&self, name: &str) -> Value {
        let kind = if is_folder(name) { "folder" } else { "object" };
        json!({ "path": self.path, "source": { kind: name } })
    }
}

/// Whether it is the start of the names of many objects, `bucket/prefix/`.
fn is_folder(name: &str) -> bool {
    name.ends_with('/') && !name.starts_with(['/', '.'])
}

/// A mistyped file name looks like an object's: better told now than by a job
/// that fails.
async fn object_exists(session: &Session, name: &str) -> Result<(), Failure> {
    let neither = || Failure::Usage(format!("`{name}` is neither a file here nor an object"));
    if name.starts_with(['/', '.']) {
        return Err(neither());
    }
    let (bucket, key) = values::object(name).map_err(|_| neither())?;
    let mut path = vec!["v1", "objects", bucket.as_str()];
    path.extend(key.split('/'));
    let request = session.client.request(Method::HEAD, &path)?;
    match session.client.send(request, Repeat::Safe, Some(PATIENCE)).await {
        Err(failure) if failure.status() == Some(404) => Err(neither()),
        Err(failure) => Err(failure),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_split_where_its_path_starts() {
        let input: Input = "a:b/c.csv:/in/x".parse().unwrap();
        assert_eq!(input.source, InputSource::Either("a:b/c.csv".into()));
        assert_eq!(input.path, "/in/x");
        let file: Input = "file:b/c:/x".parse().unwrap();
        assert_eq!(file.source, InputSource::File("b/c".into()));
        let object: Input = "object:b/c:/x".parse().unwrap();
        assert_eq!(object.source, InputSource::Object("b/c".into()));
        let folder: Input = "object:b/:/x".parse().unwrap();
        assert_eq!(folder.of_object("b/"), json!({"path": "/x", "source": {"folder": "b/"}}));
        assert_eq!(object.of_object("b/c"), json!({"path": "/x", "source": {"object": "b/c"}}));
    }

    #[test]
    fn what_is_no_input_is_refused() {
        for text in ["", "a", "a:b", ":/x", "file::/x", "object:b:/x", "a:/"] {
            assert!(text.parse::<Input>().is_err(), "{text}");
        }
    }
}
