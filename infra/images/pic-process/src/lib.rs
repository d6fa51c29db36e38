//! Processes one picture by a line of rules, as the `pic-process` image does.
//!
//! [`Rules`] are parsed first and on their own, so a bad rule is refused
//! before any picture is read.

mod process;

mod rules;

mod crop;
mod number;
mod thumbnail;

mod jpeg;
mod picture;

mod apply;
mod blur;
mod samples;
mod turn;

mod write;

mod info;
mod problem;

#[cfg(test)]
mod testing;

pub use crate::{
    info::{Info, Original, Outcome},
    picture::{Format, MAX_INPUT_BYTES},
    problem::{BadPicture, BadRule, Problem},
    process::{Processed, process},
    rules::Rules,
};

/// The rule notation, as `--help` prints it.
pub const NOTATION: &str = include_str!("notation.txt");
