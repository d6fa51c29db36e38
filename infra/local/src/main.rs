//! `tarpon`: the server and its command line.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
use tarpon::{cli, operator, serve};
use tracing_subscriber::EnvFilter;

/// Container jobs behind one HTTP call: image, command and input in; one tar
/// of stdout, stderr and output files out.
#[derive(Parser)]
#[command(name = "tarpon", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log on standard error, such as `info` or `tarpon=debug`.
    #[arg(long, global = true, default_value = "info,bollard=warn", env = "TARPON_LOG")]
    log: String,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(Box<serve::ServeOptions>),
    /// Make projects: for the operator of this machine's server.
    Project(operator::ProjectOptions),
    #[command(flatten)]
    Client(Box<cli::Command>),
}

fn main() -> ExitCode {
    let Cli { command, log } = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse_lossy(&log))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = tokio::runtime::Builder::new_multi_thread().enable_all().build().map(|tokio| {
        tokio.block_on(async {
            match command {
                Command::Serve(options) => settled(serve::serve(*options).await),
                Command::Project(options) => settled(operator::run(options).await),
                Command::Client(command) => cli::execute(*command).await,
            }
        })
    });
    done.unwrap_or_else(|error| settled(Err(error.into())))
}

/// Says what went wrong, whole, and that something did.
fn settled(done: Result<(), serve::Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tarpon: {}", shared::ops::duties::chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}
