//! Where a command writes: results to standard output, all else to standard
//! error, both handed in so that a test can read them.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::problem::Failure;

type Pipe = Mutex<Box<dyn Write + Send>>;

/// The two streams, and the progress drawn over the second.
pub struct Screen {
    out: Pipe,
    err: Pipe,
    /// Whether a person reads standard output.
    pub out_is_terminal: bool,
    /// How much to say beside the results.
    pub manner: Manner,
    /// The bars and spinners being drawn.
    pub bars: MultiProgress,
    /// Whether the terminal's cursor stands behind an unfinished line.
    mid_line: AtomicBool,
}

/// How much a command says beside its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Bars and spinners: a person looks at standard error.
    Drawn,
    /// A line where something changes.
    Lines,
    /// Nothing but errors and warnings.
    Quiet,
}

impl Screen {
    /// The process's own streams.
    pub fn own(quiet: bool) -> Self {
        let manner = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Manner::Quiet,
            (false, true) => Manner::Drawn,
            (false, false) => Manner::Lines,
        };
        let mut screen = Screen::new(Box::new(io::stdout()), Box::new(io::stderr()), manner);
        screen.out_is_terminal = io::stdout().is_terminal();
        screen
    }

    /// Streams of the caller's, no terminals.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, manner: Manner) -> Self {
        let target = match manner {
            Manner::Drawn => ProgressDrawTarget::stderr(),
            Manner::Lines | Manner::Quiet => ProgressDrawTarget::hidden(),
        };
        Screen {
            out: Mutex::new(out),
            err: Mutex::new(err),
            out_is_terminal: false,
            manner,
            bars: MultiProgress::with_draw_target(target),
            mid_line: AtomicBool::new(false),
        }
    }

    /// Bytes to standard output.
    pub fn print(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(&self.out, bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::file("standard output cannot be written", error),
        })?;
        if self.out_is_terminal {
            self.mid_line.store(!bytes.ends_with(b"\n"), Relaxed);
        }
        Ok(())
    }

    /// A line to standard output.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        self.print(format!("{text}\n").as_bytes())
    }

    /// JSON as one line of standard output.
    pub fn json(&self, value: &serde_json::Value) -> Result<(), Failure> {
        self.line(&value.to_string())
    }

    /// Bytes to standard error; whether anybody reads them is not our concern.
    pub fn print_aside(&self, bytes: &[u8]) {
        let _ = self.write(&self.err, bytes);
        self.mid_line.store(!bytes.ends_with(b"\n"), Relaxed);
    }

    /// Ends the line that a job has left unfinished on the terminal, so that
    /// what we say stands on its own.
    pub fn fresh_line(&self) {
        if self.mid_line.swap(false, Relaxed) && self.manner == Manner::Drawn {
            let _ = self.write(&self.err, b"\n");
        }
    }

    /// A line for people, unless they want quiet.
    pub fn note(&self, text: &str) {
        if self.manner != Manner::Quiet {
            self.warn(text);
        }
    }

    /// A line that people have to see.
    pub fn warn(&self, text: &str) {
        self.fresh_line();
        self.print_aside(format!("{text}\n").as_bytes());
    }

    fn write(&self, pipe: &Pipe, bytes: &[u8]) -> io::Result<()> {
        let write = || {
            let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
            pipe.write_all(bytes)?;
            pipe.flush()
        };
        match self.manner {
            Manner::Drawn => self.bars.suspend(write),
            Manner::Lines | Manner::Quiet => write(),
        }
    }
}
