//! The command line's client: every command speaks HTTP and nothing else.
//!
//! What a command prints for programs goes to standard output, all else to
//! standard error. Nothing is held whole that could be large.

mod connect;
mod entry;
mod problem;
mod screen;
mod session;
mod values;
mod views;

mod client;
mod download;
mod pages;
mod progress;
mod saved;
mod table;
mod upload;

mod attempts;
mod callbacks;
mod cancel;
mod delete;
mod dry_run;
mod extract;
mod filters;
mod images;
mod inputs;
mod interrupts;
mod jobs;
mod keys;
mod logs;
mod objects;
mod output;
mod outputs;
mod queues;
mod request;
mod retry;
mod run;
mod show;
mod submit;
mod tail;
mod templates;
mod token;
mod triggers;
mod verdict;
mod wait;
mod watch;

#[cfg(test)]
mod stories;
#[cfg(test)]
mod testing;

use clap::Subcommand;

pub use connect::{Common, Connection};
pub use entry::execute;

/// The commands that speak to a server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit a job, and leave it to itself
    Submit(submit::Args),
    /// Run a job as if it were here: logs, outputs, exit code
    Run(run::Args),
    /// Wait for jobs to end
    Wait(wait::Args),
    /// List jobs, newest first
    Jobs(jobs::Args),
    /// Show all that is known of a job
    Show(show::Args),
    /// List every attempt of a job
    Attempts(attempts::Args),
    /// Print what a job wrote, or writes
    Logs(logs::Args),
    /// Fetch what a job brought home
    Output(output::Args),
    /// Cancel jobs
    Cancel(cancel::Args),
    /// Run jobs that are over once more
    Retry(retry::Args),
    /// Delete ended jobs, with all they left
    Delete(delete::Args),
    /// Show who was told of a job, and tell them again
    Callbacks(callbacks::Args),
    /// List, make, change and remove queues
    Queues(queues::Args),
    /// Register images under names of your own
    Images(images::Args),
    /// Save jobs with parameters
    Templates(templates::Args),
    /// Submit jobs when something happens
    Triggers(triggers::Args),
    /// Store and fetch objects
    Objects(objects::Args),
    /// List, make and disable access keys
    Keys(keys::Args),
    /// Print an access token
    Token(token::Args),
}

impl Command {
    /// What this command has in common with the others.
    pub fn common(&self) -> &Common {
        match self {
            Command::Submit(args) => &args.common,
            Command::Run(args) => &args.common,
            Command::Wait(args) => &args.common,
            Command::Jobs(args) => &args.common,
            Command::Show(args) => &args.common,
            Command::Attempts(args) => &args.common,
            Command::Logs(args) => &args.common,
            Command::Output(args) => &args.common,
            Command::Cancel(args) => &args.common,
            Command::Retry(args) => &args.common,
            Command::Delete(args) => &args.common,
            Command::Callbacks(args) => &args.common,
            Command::Queues(args) => &args.common,
            Command::Images(args) => &args.common,
            Command::Templates(args) => &args.common,
            Command::Triggers(args) => &args.common,
            Command::Objects(args) => &args.common,
            Command::Keys(args) => &args.common,
            Command::Token(args) => &args.common,
        }
    }
}
