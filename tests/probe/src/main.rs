//! A program that does as it is told: `probe STEP [then STEP]…`.
//!
//! | step | does |
//! |---|---|
//! | `exit CODE` | ends at once |
//! | `sleep SECONDS` | waits; fractions are fine |
//! | `await FILE` | waits until there is such a file |
//! | `say TEXT [--stderr]` | writes a line |
//! | `spew BYTES [--stderr]` | writes the pattern, as fast as it is read |
//! | `write PATH TEXT` | writes a file; its folder is made |
//! | `fill PATH BYTES` | writes a file of the pattern |
//! | `link TARGET PATH` | makes a symbolic link |
//! | `pipe PATH` | makes a named pipe |
//! | `read PATH` | writes a file to stdout |
//! | `mode PATH` | says a file's permission bits |
//! | `cat` | copies stdin to stdout |
//! | `keep PATH` | copies stdin to a file |
//! | `trap FILE [--ignore]` | says `started`, and on TERM `TERM seen`, to stdout and FILE; then goes on to the next step, or stays |
//! | `eat MIB` | takes memory, and touches it |
//! | `segv`, `abort` | dies by that signal |
//! | `orphan SECONDS` | leaves a child behind that holds stdout for so long |
//! | `env`, `args`, `id` | says its environment; its arguments; user, group, working directory |
//! | `dial ADDRESS` | says whether a connection comes about |
//! | `stamp FILE LABEL` | adds a line to a file: nanoseconds since 1970, and the label |

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match tests_probe::steps(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("probe: {failed}");
            ExitCode::from(99)
        }
    }
}
