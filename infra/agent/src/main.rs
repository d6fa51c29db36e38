//! The agent's start: settings, then one thread that does everything; or putting
//! itself in place, and nothing else.

use std::path::{Path, PathBuf};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use shared::agent::{INSTALL, exit_code};
use tarpon_agent::{Settings, live};

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [verb, file, folders @ ..] = arguments.as_slice()
        && verb.as_os_str() == INSTALL
    {
        std::process::exit(install(file, folders));
    }
    run();
}

fn install(file: &Path, folders: &[PathBuf]) -> i32 {
    match tarpon_agent::install(file, folders) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("tarpon-agent: cannot be put in place: {error}");
            exit_code::FAULT
        }
    }
}

fn run() -> ! {
    // The environment has the token: the user's process may not look at it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(bad) => {
            eprintln!("tarpon-agent: {bad}");
            std::process::exit(exit_code::FAULT);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(live(&settings)),
        Err(error) => {
            eprintln!("tarpon-agent: cannot start: {error}");
            exit_code::FAULT
        }
    };
    // At once: a thread that still reads a disk that hangs is not waited for.
    std::process::exit(code);
}
