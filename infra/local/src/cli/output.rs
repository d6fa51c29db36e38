//! `tarpon output`: what a job brought home.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    Common,
    download::{Destination, Download, save},
    extract::{Place, Unpacked, unpack_download},
    problem::Failure,
    progress::Transfer,
    session::Session,
    table::bytes,
    tail::Selector,
};

/// Fetch what a job brought home
///
/// The archive is a tar: `Stdout`, `Stderr`, every output under its path
/// without the leading slash, and `manifest.json`. It is saved as JOB.tar. A
/// broken connection is taken up where it broke. Of a job of several tasks or
/// instances all archives come as one, each in its folder: TASK/INSTANCE/.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon output job-0198c5…
  tarpon output job-0198c5… --extract results
  tarpon output job-0198c5… --member tmp/result -o result
  tarpon output job-0198c5… -o - | tar tv")]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    pub job: String,

    /// One file out of the archive, by its name there, such as tmp/result or
    /// Stdout; it is saved under its last name
    #[arg(long, short, value_name = "PATH")]
    pub member: Option<String>,

    /// Unpack the archive into this folder. Nothing is written outside it;
    /// links that lead outside are left out
    #[arg(long, short = 'x', value_name = "DIR", conflicts_with_all = ["member", "save_as"])]
    pub extract: Option<PathBuf>,

    /// Where to save it; `-` is standard output
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub save_as: Option<PathBuf>,

    #[command(flatten)]
    pub selector: Selector,

    #[command(flatten)]
    pub common: Common,
}

/// Fetches it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    if let Some(folder) = &args.extract {
        return extract(session, &args, folder).await;
    }
    let name = match &args.member {
        None => format!("{}.tar", args.job),
        Some(member) => last_name(member)?.to_owned(),
    };
    let to = Destination::of(args.save_as.as_deref(), &name);
    if to == Destination::Stdout && args.member.is_none() && session.screen.out_is_terminal {
        return Err(Failure::Usage(
            "a tar is not for a terminal: save it with -o FILE, or pipe it on".into(),
        ));
    }
    let download = fetch(session, &args.job, &args.selector, args.member.as_deref()).await?;
    let count = save(session, download, &name, &to).await?;
    let Destination::File(path) = to else { return Ok(()) };
    if session.json {
        return session.screen.json(&json!({
            "job_id": args.job,
            "path": path.display().to_string(),
            "bytes": count,
        }));
    }
    session.screen.note(&format!("saved {} ({})", path.display(), bytes(count)));
    Ok(())
}

async fn extract(session: &Session, args: &Args, folder: &Path) -> Result<(), Failure> {
    let download = fetch(session, &args.job, &args.selector, None).await?;
    let root = folder.to_owned();
    let unpacked = unpack(session, download, move |member: &Path, _: bool| {
        Some(Place { root: root.clone(), relative: member.to_owned() })
    })
    .await?;
    if session.json {
        return session.screen.json(&json!({
            "job_id": args.job,
            "path": folder.display().to_string(),
            "files": unpacked.files,
            "bytes": unpacked.bytes,
            "left_out": unpacked.left_out,
        }));
    }
    let (files, size) = (unpacked.files, bytes(unpacked.bytes));
    session.screen.note(&format!("unpacked {files} files ({size}) into {}", folder.display()));
    Ok(())
}

/// A job's archive, or a member of it.
pub async fn fetch<'a>(
    session: &'a Session,
    job: &str,
    selector: &Selector,
    member: Option<&str>,
) -> Result<Download<'a>, Failure> {
    let mut query = selector.query();
    query.extend(member.map(|member| ("member".to_owned(), member.to_owned())));
    Download::start(&session.client, &["v1", "jobs", job, "output"], &query, 0).await
}

/// Unpacks an archive as it comes, and tells what was left out.
pub async fn unpack(
    session: &Session,
    download: Download<'_>,
    place: impl Fn(&Path, bool) -> Option<Place> + Send + 'static,
) -> Result<Unpacked, Failure> {
    let transfer = Transfer::new(&session.screen, "fetching the outputs", download.total());
    let unpacked = unpack_download(download, transfer, place).await?;
    for left_out in &unpacked.left_out {
        session.screen.warn(&format!("left out {}", super::table::clean(left_out)));
    }
    Ok(unpacked)
}

/// The name to save a member or an object under.
pub fn last_name(path: &str) -> Result<&str, Failure> {
    match path.rsplit('/').next() {
        Some(name) if !matches!(name, "" | "." | "..") => Ok(name),
        _ => Err(Failure::Usage(format!("`{path}` is no file's name: say where to save it"))),
    }
}
