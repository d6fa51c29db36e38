//! `tarpon run`: a job as if it were here.

use std::path::PathBuf;

use serde_json::Value;
use tokio::sync::watch as channel;

use super::{
    Common, connect,
    download::{Destination, save},
    interrupts::Interrupts,
    output,
    outputs::{Mapping, Output},
    problem::Failure,
    progress::Status,
    request::{JobArgs, Prepared},
    session::Session,
    show::counts,
    submit::post,
    table::bytes,
    tail::{Manner, Selector, Sink, follow_attempts},
    verdict::{self, EXIT_CODES},
    views::Job,
    watch::{Watch, cancel},
};

/// Run a job as if it were here: logs, outputs, exit code
///
/// Submits the job, shows where it stands, prints what it writes as it writes
/// it (its standard output to ours, its standard error to ours), saves its
/// outputs, and exits as its process did.
///
/// Ctrl-C cancels the job: its process gets TERM, and what it has written so
/// far is still fetched. A second Ctrl-C leaves at once; the job goes on being
/// cancelled. When the connection breaks, run takes up where it was.
///
/// The logs of a job of several containers are not mixed here: `tarpon logs`
/// prints each. Their outputs are saved under TASK/INSTANCE/.
#[derive(clap::Args, Debug)]
#[command(after_long_help = AFTER_HELP.as_str())]
pub struct Args {
    #[command(flatten)]
    pub job: JobArgs,

    /// A path or pattern in the container to keep, and where to save it. By
    /// default it is saved here under its last name: /tmp/result as ./result,
    /// what /out/*.csv matches each as ./NAME.csv. What is there is replaced;
    /// folders are merged. LOCAL is the new name, or with `/` at its end the
    /// folder to put it into. BUCKET/KEY is the object that it becomes as well,
    /// with `/` at its end the start of the names of many; a path that has a `=`
    /// is written with one more at its end. Can be repeated
    #[arg(long, short, value_name = "/PATH[:LOCAL][=BUCKET/KEY]", help_heading = "Files")]
    pub output: Vec<Output>,

    /// Where outputs go that have no LOCAL
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = "Files")]
    pub into: PathBuf,

    /// Save the archive as it is in place of unpacking it: stdout, stderr, all
    /// outputs and the manifest as one tar (`-` is standard output; the job's
    /// own then goes to standard error)
    #[arg(long, value_name = "FILE", help_heading = "Files", conflicts_with = "into")]
    pub archive: Option<PathBuf>,

    #[command(flatten)]
    pub common: Common,
}

static AFTER_HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "Examples:
  tarpon run hello
  tarpon run alpine:3.22 --output /tmp/result -- sh -c 'date > /tmp/result'
  tarpon run worker --stdin photo.jpg --output '/out/*.jpg:thumbs' --timeout 10m
  tarpon run worker --input a.csv:/in/a.csv --archive - > all.tar
  tarpon run --file job.json --json | jq -r 'select(.id) | .state'

{EXIT_CODES}

With --json, standard output is NDJSON: the job as it was accepted, what it
writes as {{\"stream\", \"offset\", \"data\" in base 64}}, and the job as it ended."
    )
});

/// Runs the job to its end.
pub async fn perform(
    session: &Session,
    args: Args,
    interrupts: Option<Interrupts>,
) -> Result<u8, Failure> {
    let mut interrupts = match interrupts {
        Some(interrupts) => interrupts,
        None => Interrupts::listen()?,
    };
    let to_stdout = args.archive.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if to_stdout && session.screen.out_is_terminal {
        return Err(Failure::Usage("a tar is not for a terminal: --archive FILE saves it".into()));
    }
    if to_stdout && session.json {
        return Err(Failure::Usage("--json and --archive - both want standard output".into()));
    }
    // Before anything runs: two outputs that want one place are a mistake.
    Mapping::new(&args.output, &args.into)?;
    let prepared = tokio::select! {
        prepared = args.job.prepare(session, &args.output, connect::environment) => prepared?,
        () = interrupts.next() => {
            return Err(Failure::Interrupted("interrupted; nothing was submitted".into()));
        }
    };
    let status = Status::new(&session.screen);
    let (job, cancelled) = submit(session, &prepared, &status, &mut interrupts).await?;
    let manner = match (session.json, to_stdout) {
        (true, _) => Manner::Json,
        (false, true) => Manner::Aside,
        (false, false) => Manner::Apart,
    };
    let ended = Course { session, job: &job, status: &status, manner }
        .accompany(&mut interrupts, cancelled)
        .await
        .inspect_err(|failure| {
            if failure.is_passing() {
                session.screen.warn(&format!("{id} goes on: tarpon wait {id}", id = job.id));
            }
        })?;
    status.clear();
    let code = verdict::exit_code(&ended.value);
    let fetched = tokio::select! {
        fetched = fetch(session, &args, &prepared.body, &ended.value) => fetched,
        () = interrupts.next() => Err(Failure::Interrupted(format!(
            "interrupted; the outputs are there: tarpon output {}", job.id
        ))),
    };
    if session.json {
        session.screen.json(&ended.json)?;
    }
    session.screen.note(&verdict::sentence(&ended.value));
    match fetched {
        Ok(()) => Ok(code),
        // The job's own failure says more than that of fetching what it left.
        Err(failure) if code != 0 => {
            session.screen.warn(&failure.told());
            Ok(code)
        }
        Err(failure) => Err(failure),
    }
}

/// Submits the job. An interrupt meanwhile cannot be obeyed before the answer
/// tells what to cancel; a second one does not wait for it.
async fn submit(
    session: &Session,
    prepared: &Prepared,
    status: &Status<'_>,
    interrupts: &mut Interrupts,
) -> Result<(Job, bool), Failure> {
    status.say("submitting");
    let mut posting = std::pin::pin!(post(session, prepared));
    let mut cancelled = false;
    let accepted = loop {
        tokio::select! {
            accepted = &mut posting => break accepted?,
            () = interrupts.next() => {
                if cancelled {
                    let what = "interrupted; the job may have been submitted: tarpon jobs";
                    return Err(Failure::Interrupted(what.into()));
                }
                cancelled = true;
            }
        }
    };
    if session.json {
        session.screen.json(&accepted.json)?;
    }
    session.screen.note(&accepted.value.id);
    Ok((accepted.value, cancelled))
}

/// A job on its way to its end.
struct Course<'a> {
    session: &'a Session,
    job: &'a Job,
    status: &'a Status<'a>,
    manner: Manner,
}

type Ended = super::client::Answer<Job>;

impl Course<'_> {
    /// Watches, prints and, when interrupted, cancels, until all is over.
    async fn accompany(
        &self,
        interrupts: &mut Interrupts,
        cancelled: bool,
    ) -> Result<Ended, Failure> {
        let (tell, over) = channel::channel(false);
        let mut end = std::pin::pin!(self.watch(&tell));
        let mut logs = std::pin::pin!(self.print(over));
        let mut ended = None;
        let mut printed = false;
        let mut cancelling = std::pin::pin!(self.cancel_when(cancelled));
        let mut asked = cancelled;
        let mut told = false;
        loop {
            tokio::select! {
                job = &mut end, if ended.is_none() => ended = Some(job?),
                () = &mut logs, if !printed => printed = true,
                () = &mut cancelling, if !told && asked => told = true,
                () = interrupts.next() => {
                    if asked {
                        let what = format!("left; {} goes on being cancelled", self.job.id);
                        return Err(Failure::Interrupted(what));
                    }
                    asked = true;
                    self.status.hush();
                    self.session.screen.note("cancelling; press Ctrl-C again to leave at once");
                    cancelling.set(self.cancel_when(true));
                }
            }
            if printed && let Some(ended) = ended.take() {
                return Ok(ended);
            }
        }
    }

    async fn cancel_when(&self, wanted: bool) {
        if wanted && let Err(failure) = cancel(self.session, &self.job.id).await {
            self.session.screen.warn(&failure.told());
        }
    }

    async fn watch(&self, over: &channel::Sender<bool>) -> Result<Ended, Failure> {
        let mut watch = Watch::new(self.session, &self.job.id, true);
        loop {
            let seen = watch.next().await?;
            if seen.value.is_over() {
                over.send_replace(true);
                return Ok(seen);
            }
            self.status.say(&standing(&seen.value));
        }
    }

    /// Logs that cannot be read spoil nothing: the job goes on, and its
    /// archive has them.
    async fn print(&self, over: channel::Receiver<bool>) {
        if !self.job.is_alone() {
            return;
        }
        let hush = || self.status.hush();
        let sink = Sink::new(&self.session.screen, self.manner, &hush);
        match follow_attempts(self.session, &self.job.id, &sink, over).await {
            // Nobody reads what it writes: it runs all the same.
            Ok(()) | Err(Failure::OutputClosed) => {}
            Err(failure) => self.session.screen.warn(&failure.told()),
        }
    }
}

fn standing(job: &Job) -> String {
    if job.is_alone() {
        return job.standing();
    }
    let tasks = job.tasks.iter().map(|task| format!("{} {}", task.name, counts(task.instances)));
    format!("{} ({})", job.standing(), tasks.collect::<Vec<_>>().join("; "))
}

/// Saves what the job brought home.
async fn fetch(session: &Session, args: &Args, request: &Value, job: &Job) -> Result<(), Failure> {
    if let Some(path) = &args.archive {
        let name = format!("{}.tar", job.id);
        let to = Destination::of(Some(path), &name);
        let download = output::fetch(session, &job.id, &Selector::default(), None).await?;
        let count = save(session, download, &name, &to).await?;
        if let Destination::File(path) = to {
            session.screen.note(&format!("saved {} ({})", path.display(), bytes(count)));
        }
        return Ok(());
    }
    if job.is_alone() {
        let outputs = wanted(args, request);
        if outputs.is_empty() {
            return Ok(());
        }
        return unpack(session, job, &Selector::default(), &outputs, args.into.clone()).await;
    }
    for (place, task) in job.tasks.iter().enumerate() {
        let outputs = request["tasks"].get(place).map_or_else(|| wanted(args, request), named);
        if outputs.is_empty() {
            continue;
        }
        let folder = output::last_name(&task.name)?;
        for instance in 0..task.instances.total() {
            let name = Some(task.name.clone());
            let selector = Selector { task: name, instance: Some(instance), attempt: None };
            let into = args.into.join(folder).join(instance.to_string());
            unpack(session, job, &selector, &outputs, into).await?;
        }
    }
    Ok(())
}

/// The outputs of a job of one task: with their places where the command line
/// named them, without where only the file did.
fn wanted(args: &Args, request: &Value) -> Vec<Output> {
    if args.output.is_empty() {
        return named(request["tasks"].get(0).unwrap_or(request));
    }
    args.output.clone()
}

fn named(task: &Value) -> Vec<Output> {
    task["outputs"].as_array().into_iter().flatten().filter_map(Output::written).collect()
}

async fn unpack(
    session: &Session,
    job: &Job,
    selector: &Selector,
    outputs: &[Output],
    into: PathBuf,
) -> Result<(), Failure> {
    let download = match output::fetch(session, &job.id, selector, None).await {
        Ok(download) => download,
        // What failed before it ran, or was skipped, brought nothing home.
        Err(failure) if failure.status() == Some(404) && job.state != "succeeded" => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let mapping = Mapping::new(outputs, &into)?;
    let place = move |member: &std::path::Path, is_folder| mapping.place(member, is_folder);
    let unpacked = output::unpack(session, download, place).await?;
    for top in &unpacked.tops {
        session.screen.note(&format!("saved {}", top.display()));
    }
    if unpacked.tops.is_empty() {
        session.screen.note("no outputs were left behind");
    }
    Ok(())
}
