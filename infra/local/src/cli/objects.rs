//! `tarpon objects`: files kept with the service, for jobs to read.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use super::{
    Common,
    client::Repeat,
    download::{Destination, Download, save},
    output::last_name,
    problem::Failure,
    session::Session,
    table::{Table, ago, bytes},
    upload::{Payload, send},
    values,
    views::{Object, Objects},
};

/// Store and fetch objects
///
/// An object is named BUCKET/KEY; no bucket has to be made first. A job reads
/// it with `--input BUCKET/KEY:/PATH`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon objects put data/2026/a.csv a.csv
  zcat dump.gz | tarpon objects put data/dump
  tarpon objects ls data/2026/
  tarpon objects get data/2026/a.csv - | head
  tarpon objects rm data/2026/a.csv")]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,

    #[command(flatten)]
    pub common: Common,
}

/// What to do with objects.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Store a file, or standard input; replaces what is there
    Put {
        /// The object
        #[arg(value_name = "BUCKET/KEY", value_parser = values::object)]
        object: (String, String),

        /// The file; standard input without, or as `-`
        file: Option<PathBuf>,
    },
    /// Fetch one; a broken connection is taken up where it broke
    Get {
        /// The object
        #[arg(value_name = "BUCKET/KEY", value_parser = values::object)]
        object: (String, String),

        /// Where to save it: under its last name without, `-` is standard
        /// output
        file: Option<PathBuf>,
    },
    /// List those of a bucket
    Ls {
        /// The bucket, and what their keys start with
        #[arg(value_name = "BUCKET[/PREFIX]", value_parser = values::bucket)]
        place: (String, String),
    },
    /// Delete some; one that is not there is fine
    Rm {
        /// The objects
        #[arg(required = true, value_name = "BUCKET/KEY", value_parser = values::object)]
        objects: Vec<(String, String)>,
    },
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Put { object, file } => put(session, &object, file.as_deref()).await,
        Action::Get { object, file } => get(session, &object, file.as_deref()).await,
        Action::Ls { place: (bucket, prefix) } => list(session, &bucket, &prefix).await,
        Action::Rm { objects } => {
            for object in &objects {
                session.client.delete(&path(object)).await?;
                session.screen.note(&format!("{} is deleted", name(object)));
            }
            Ok(())
        }
    }
}

fn name((bucket, key): &(String, String)) -> String {
    format!("{bucket}/{key}")
}

fn path((bucket, key): &(String, String)) -> Vec<&str> {
    ["v1", "objects", bucket].into_iter().chain(key.split('/')).collect()
}

async fn put(
    session: &Session,
    object: &(String, String),
    file: Option<&Path>,
) -> Result<(), Failure> {
    // A name that no URL can say could be stored and never fetched.
    session.client.url(&path(object))?;
    let payload = match file {
        Some(file) if file.as_os_str() != "-" => Payload::open(file).await?,
        _ => Payload::stdin(&session.screen).await?,
    };
    let name = name(object);
    let count = payload.length();
    let asked = json!({ "object": name, "bytes": count });
    send(session, &name, payload, asked).await?;
    if session.json {
        return session.screen.json(&json!({ "object": name, "bytes": count }));
    }
    session.screen.note(&format!("stored {name} ({})", bytes(count)));
    Ok(())
}

async fn get(
    session: &Session,
    object: &(String, String),
    file: Option<&Path>,
) -> Result<(), Failure> {
    let to = match file {
        Some(file) => Destination::of(Some(file), last_name(&object.1).unwrap_or("object")),
        None => Destination::of(None, last_name(&object.1)?),
    };
    let name = name(object);
    let download = Download::start(&session.client, &path(object), &[], 0).await?;
    let count = save(session, download, &name, &to).await?;
    let Destination::File(saved) = to else { return Ok(()) };
    if session.json {
        let saved = saved.display().to_string();
        return session.screen.json(&json!({ "object": name, "path": saved, "bytes": count }));
    }
    session.screen.note(&format!("saved {} ({})", saved.display(), bytes(count)));
    Ok(())
}

async fn list(session: &Session, bucket: &str, prefix: &str) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    let mut table = Table::new(&["KEY", "SIZE", "CHANGED"]);
    loop {
        let mut query = vec![("limit", "1000".to_owned())];
        if !prefix.is_empty() {
            query.push(("prefix", prefix.to_owned()));
        }
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let request = session.client.get(&["v1", "objects", bucket])?.query(&query);
        let page = session.client.json::<Objects>(request, Repeat::Safe).await?.value;
        for object in &page.objects {
            if session.json {
                session.screen.json(object)?;
                continue;
            }
            let object =
                Object::deserialize(object).map_err(|error| Failure::Answer(error.to_string()))?;
            let changed = object.modified_at.map(|at| ago(at, session.now)).unwrap_or_default();
            table.row([object.key, bytes(object.size), changed]);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    match (session.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => {
            session.screen.note("no objects");
            Ok(())
        }
        (false, false) => session.screen.print(table.render().as_bytes()),
    }
}
