//! `tarpon keys`: the project's access keys.

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    session::Session,
    table::{Table, ago},
    views::{Key, Keys},
};

/// List, make and disable access keys
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon keys
  tarpon keys create --note 'the build server'
  tarpon keys create --note 'old client' --api ucloud-ugc
  tarpon keys disable tp1abc…")]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    #[command(flatten)]
    pub common: Common,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List them
    Ls,
    /// Make a key; its secret is shown this once
    Create {
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// An API that it is good for, `native` or a dialect's name such as
        /// `ucloud-ugc`; may be repeated; all without
        #[arg(long = "api", value_name = "NAME")]
        apis: Vec<String>,
    },
    /// Refuse a key from now on, for good
    Disable {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Create { note, apis } => create(session, note, apis).await,
        Action::Disable { id } => {
            let path = ["v1", "keys", id.as_str(), "disable"];
            let request = session.client.request(Method::POST, &path)?;
            let key = session.client.json::<Key>(request, Repeat::Safe).await?;
            if session.json {
                return session.screen.json(&key.json);
            }
            session.screen.line(&format!("{} is disabled", key.value.id))
        }
    }
}

async fn create(session: &Session, note: Option<String>, apis: Vec<String>) -> Result<(), Failure> {
    let mut body = Map::new();
    if let Some(note) = note {
        body.insert("note".into(), Value::String(note));
    }
    if !apis.is_empty() {
        body.insert("apis".into(), apis.into());
    }
    let request = session.client.request(Method::POST, &["v1", "keys"])?.json(&body);
    // A second try would make a second key.
    let key = session.client.json::<Key>(request, Repeat::Never).await?;
    if session.json {
        return session.screen.json(&key.json);
    }
    let Key { id, secret, .. } = key.value;
    session.screen.line(&format!("TARPON_ACCESS_KEY_ID={id}"))?;
    let secret = secret.unwrap_or_default();
    session.screen.line(&format!("TARPON_SECRET_ACCESS_KEY={secret}"))?;
    session.screen.note("the secret is not shown again");
    Ok(())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "keys"])?;
    let list = session.client.json::<Keys>(request, Repeat::Safe).await?.value;
    let mut table = Table::new(&["ID", "STATE", "APIS", "CREATED", "NOTE"]);
    for key in &list.keys {
        if session.json {
            session.screen.json(key)?;
            continue;
        }
        let key = Key::deserialize(key).map_err(|error| Failure::Answer(error.to_string()))?;
        table.row([
            key.id,
            if key.disabled_at.is_some() { "disabled" } else { "active" }.to_owned(),
            if key.apis.is_empty() { "all".to_owned() } else { key.apis.join(",") },
            key.created_at.map(|at| ago(at, session.now)).unwrap_or_default(),
            key.note.unwrap_or_default(),
        ]);
    }
    if session.json { Ok(()) } else { session.screen.print(table.render().as_bytes()) }
}
