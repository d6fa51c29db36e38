//! The `pic-process` command: a picture in, the rules carried out, a picture out.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use tarpon_image_pic_process::{
    BadRule, MAX_INPUT_BYTES, NOTATION, Problem, Processed, Rules, process,
};

/// Process a picture by imageMogr2 rules.
#[derive(Parser)]
#[command(name = "pic-process", after_help = NOTATION)]
struct Arguments {
    /// What to do, such as imageMogr2/thumbnail/300x/rotate/90
    rules: String,
    /// Read the picture from this file, not from stdin
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Write the result to this file, not to stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write what there is to know about original and result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    info: Option<PathBuf>,
}

/// Why the command ends without a result.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Process(#[from] Problem),
    #[error("cannot {what}: {source}")]
    Transfer { what: String, source: io::Error },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let rules: Rules = arguments.rules.parse().map_err(|bad: BadRule| Problem::from(bad))?;
    let input = read(arguments.input.as_deref())?;
    let Processed { file, info, notes } = process(&rules, &input)?;
    for note in notes {
        tell(&note);
    }
    write(arguments.output.as_deref(), &file)?;
    if let Some(path) = &arguments.info {
        let json = serde_json::to_vec(&info).expect("info holds nothing that JSON does not");
        write(Some(path), &json)?;
    }
    Ok(())
}

/// Reads one byte more than is allowed at most, so that too much is noticed.
fn read(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = match path {
        Some(path) => File::open(path).and_then(|file| read_some(file, &mut bytes)),
        None => read_some(io::stdin().lock(), &mut bytes),
    };
    read.map_err(|source| Failure::Transfer {
        what: format!("read {}", named(path, "stdin")),
        source,
    })?;
    Ok(bytes)
}

fn read_some(source: impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    source.take(MAX_INPUT_BYTES as u64 + 1).read_to_end(bytes)
}

fn write(path: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    let written = match path {
        Some(path) => fs::write(path, bytes),
        None => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
    };
    written.map_err(|source| Failure::Transfer {
        what: format!("write {}", named(path, "stdout")),
        source,
    })
}

fn named(path: Option<&Path>, stream: &str) -> String {
    path.map_or_else(|| stream.to_owned(), |path| path.display().to_string())
}

/// Says something to people. A closed stderr is let pass: there is nobody left to tell.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "pic-process: {line}");
}

impl Failure {
    /// The exit codes that the notation's last lines promise.
    fn code(&self) -> u8 {
        match self {
            Self::Transfer { .. } => 1,
            Self::Process(Problem::Rule(_)) => 2,
            Self::Process(Problem::Picture(_)) => 3,
        }
    }
}
