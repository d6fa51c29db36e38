//! `tarpon images`: names for images, with what it takes to pull them.

use std::{io, path::PathBuf};

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    session::Session,
    table::{Table, ago},
    views::{Image, Images},
};

/// Register images under names of your own
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon images
  tarpon images put worker registry.example.org/team/worker:3
  pass registry | tarpon images put worker registry.example.org/team/worker:3 \\
      --username robot --password-file -
  tarpon images rm worker")]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    #[command(flatten)]
    pub common: Common,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List them
    Ls,
    /// Register an image under a name, or change it
    Put {
        /// The name that jobs use
        name: String,

        /// `[host/]path[:tag][@digest]`
        reference: String,

        /// The registry's user
        #[arg(long, value_name = "USER", requires = "password_file")]
        username: Option<String>,

        /// The file that holds the registry's password (`-` is standard input)
        #[arg(long, value_name = "FILE", requires = "username")]
        password_file: Option<PathBuf>,
    },
    /// Forget a name
    Rm {
        /// The name
        name: String,
    },
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Put { name, reference, username, password_file } => {
            let mut body = json!({ "reference": reference });
            if let (Some(username), Some(file)) = (username, password_file) {
                body["username"] = username.into();
                body["password"] = password(&file)?.into();
            }
            let request = session.client.request(Method::PUT, &["v1", "images", &name])?;
            let put = session.client.json::<Image>(request.json(&body), Repeat::Safe).await?;
            if session.json {
                return session.screen.json(&put.json);
            }
            session.screen.line(&format!("{} is {}", put.value.name, put.value.reference))
        }
        Action::Rm { name } => {
            session.client.delete(&["v1", "images", &name]).await?;
            session.screen.note(&format!("{name} is forgotten"));
            Ok(())
        }
    }
}

/// A password without the newline that editors and pipes put after it.
fn password(file: &std::path::Path) -> Result<String, Failure> {
    let (text, name) = if file.as_os_str() == "-" {
        (io::read_to_string(io::stdin()), "standard input".to_owned())
    } else {
        (std::fs::read_to_string(file), file.display().to_string())
    };
    let text = text.map_err(|error| Failure::file(format!("{name} cannot be read"), error))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "images"])?;
    let list = session.client.json::<Images>(request, Repeat::Safe).await?.value;
    let mut table = Table::new(&["NAME", "REFERENCE", "USER", "CHANGED"]);
    for image in &list.images {
        if session.json {
            session.screen.json(image)?;
            continue;
        }
        let image =
            Image::deserialize(image).map_err(|error| Failure::Answer(error.to_string()))?;
        table.row([
            image.name,
            image.reference,
            image.username.unwrap_or_default(),
            image.updated_at.map(|at| ago(at, session.now)).unwrap_or_default(),
        ]);
    }
    match (session.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => {
            session.screen.note("no images are registered");
            Ok(())
        }
        (false, false) => session.screen.print(table.render().as_bytes()),
    }
}
