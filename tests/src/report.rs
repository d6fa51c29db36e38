//! The table that is printed: a figure a line, its baseline, its aim.

use std::{
    fmt, fs,
    io::{Stdout, Write, stdout},
    time::Instant,
};

/// What a number counts.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// So many a second.
    PerSecond,
    /// Thousandths of a second.
    Milliseconds,
    /// 2^20 bytes.
    Mebibytes,
    /// 10^6 bytes.
    Megabytes,
    /// 2^20 bytes a second.
    MebibytesPerSecond,
    /// One number over another.
    Times,
}

/// A number and what it counts.
#[derive(Clone, Copy, Debug)]
pub struct Quantity(pub f64, pub Unit);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quantity(number, unit) = *self;
        // Three digits tell all that a measurement knows.
        let digits = match number {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        let text = match unit {
            Unit::PerSecond => format!("{number:.digits$}/s"),
            Unit::Milliseconds => format!("{number:.digits$} ms"),
            Unit::Mebibytes => format!("{number:.digits$} MiB"),
            Unit::Megabytes => format!("{number:.digits$} MB"),
            Unit::MebibytesPerSecond => format!("{number:.digits$} MiB/s"),
            Unit::Times => format!("{number:.2} ×"),
        };
        f.pad(&text)
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    what: String,
    measured: Quantity,
    beside: String,
    aim: Option<Aim>,
}

impl Figure {
    /// What was measured, without a baseline or an aim so far.
    pub fn new(what: impl Into<String>, number: f64, unit: Unit) -> Self {
        let measured = Quantity(number, unit);
        Figure { what: what.into(), measured, beside: String::new(), aim: None }
    }

    /// The same beside a baseline.
    #[must_use]
    pub fn beside(self, what: impl fmt::Display, baseline: Quantity) -> Self {
        Figure { beside: format!("{what} {baseline}"), ..self }
    }

    /// The same, which should be this or more.
    #[must_use]
    pub fn at_least(self, number: f64) -> Self {
        Figure { aim: Some(Aim::AtLeast(number)), ..self }
    }

    /// The same, which should be this or less.
    #[must_use]
    pub fn at_most(self, number: f64) -> Self {
        Figure { aim: Some(Aim::AtMost(number)), ..self }
    }
}

/// Prints lines as they come, and counts which aims were met.
pub struct Report {
    out: Stdout,
    started: Instant,
    met: usize,
    missed: Vec<String>,
}

impl Report {
    /// Says what machine this is: figures of another cannot be held against these.
    pub fn start() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("unknown").to_owned();
        let started = Instant::now();
        let mut report = Report { out: stdout(), started, met: 0, missed: Vec::new() };
        report.line(&format!("{cpus} CPUs, load average {load} before the start"));
        report
    }

    /// Begins a part.
    pub fn part(&mut self, title: impl fmt::Display) {
        self.line(&format!("\n{title}"));
    }

    /// Prints a figure.
    pub fn figure(&mut self, figure: Figure) {
        let Figure { what, measured, beside, aim } = figure;
        let aim = aim.map_or(String::new(), |aim| self.judged(&what, measured, aim));
        self.line(&format!("  {what:<44} {measured:>12}   {beside:<52} {aim}"));
    }

    /// Prints a line of a part that has columns of its own.
    pub fn row(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// Says something that is no figure.
    pub fn note(&mut self, text: impl fmt::Display) {
        self.line(&format!("  ({text})"));
    }

    /// Says how many aims were met.
    pub fn end(mut self) {
        let seconds = self.started.elapsed().as_secs();
        let (met, missed) = (self.met, std::mem::take(&mut self.missed));
        let aims = met + missed.len();
        self.line(&format!("\n{met} of {aims} aims met, in {seconds} s"));
        for missed in missed {
            self.line(&format!("  missed: {missed}"));
        }
    }

    fn line(&mut self, text: &str) {
        // Whoever closes the pipe has read enough.
        let _ = writeln!(self.out, "{}", text.trim_end());
    }

    fn judged(&mut self, what: &str, measured: Quantity, aim: Aim) -> String {
        let Quantity(number, unit) = measured;
        let (is_met, aim) = match aim {
            Aim::AtLeast(least) => (number >= least, format!("≥ {}", Quantity(least, unit))),
            Aim::AtMost(most) => (number <= most, format!("≤ {}", Quantity(most, unit))),
        };
        if is_met {
            self.met += 1;
            return format!("aim {aim}: met");
        }
        self.missed.push(format!("{what}: {measured}, aim {aim}"));
        format!("aim {aim}: MISSED")
    }
}
