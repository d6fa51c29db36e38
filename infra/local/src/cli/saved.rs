//! What is saved under a name, as JSON: templates and triggers.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    client::{Answer, Repeat},
    problem::Failure,
    session::Session,
};

/// What to do with what is saved under a name.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List them
    #[command(visible_alias = "list")]
    Ls,
    /// Save one, or replace it
    Put {
        /// Its name
        name: String,

        /// The file that it is in, as JSON (`-` is standard input)
        file: PathBuf,
    },
    /// Print one as JSON
    Show {
        /// Its name
        name: String,
    },
    /// Forget one
    Rm {
        /// Its name
        name: String,
    },
}

/// Saves what a file says as this one of `kind`, its part of the path.
pub async fn put<T: DeserializeOwned>(
    session: &Session,
    kind: &str,
    name: &str,
    file: &Path,
) -> Result<Answer<T>, Failure> {
    let body = object(file)?;
    let request = session.client.request(Method::PUT, &["v1", kind, name])?;
    session.client.json(request.json(&body), Repeat::Safe).await
}

/// Prints one as JSON: on one line for programs.
pub async fn show(session: &Session, kind: &str, name: &str) -> Result<(), Failure> {
    let request = session.client.get(&["v1", kind, name])?;
    let shown = session.client.json::<Value>(request, Repeat::Safe).await?.value;
    if session.json {
        return session.screen.json(&shown);
    }
    session.screen.print(format!("{shown:#}\n").as_bytes())
}

/// Forgets one.
pub async fn forget(session: &Session, kind: &str, name: &str) -> Result<(), Failure> {
    session.client.delete(&["v1", kind, name]).await?;
    session.screen.note(&format!("{name} is forgotten"));
    Ok(())
}

/// The JSON object in a file.
fn object(file: &Path) -> Result<Map<String, Value>, Failure> {
    let (text, name) = if file.as_os_str() == "-" {
        (std::io::read_to_string(std::io::stdin()), "standard input".to_owned())
    } else {
        (std::fs::read_to_string(file), file.display().to_string())
    };
    let text = text.map_err(|error| Failure::file(format!("{name} cannot be read"), error))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("{name} is no JSON object: {error}")))
}
