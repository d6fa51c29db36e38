//! The `tarpon` program.

use std::process::ExitCode;

use clap::Parser;
use tarpon::cli;

/// Container jobs behind one HTTP call.
#[derive(Parser)]
#[command(name = "tarpon", version)]
struct Tarpon {
    #[command(subcommand)]
    command: cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::execute(Tarpon::parse().command).await
}
