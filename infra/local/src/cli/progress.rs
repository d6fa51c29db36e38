//! Progress on standard error: drawn for a person, lines for a log, or none.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    screen::{Manner, Screen},
    table::bytes,
};

/// Transfers below this pass too quickly to be worth a line in a log.
const WORTH_A_LINE: u64 = 1 << 20;

/// What is going on, in a few words that change.
pub struct Status<'a> {
    screen: &'a Screen,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    bar: Option<ProgressBar>,
    said: String,
    hushed: bool,
}

impl<'a> Status<'a> {
    /// Nothing, so far.
    pub fn new(screen: &'a Screen) -> Self {
        Status { screen, now: Mutex::default() }
    }

    /// Says what is going on now; the same words again are not repeated.
    pub fn say(&self, text: &str) {
        let mut now = self.now();
        if now.said == text {
            return;
        }
        text.clone_into(&mut now.said);
        match self.screen.manner {
            Manner::Drawn if !now.hushed => {
                let bar = now.bar.get_or_insert_with(|| spinner(self.screen));
                bar.set_message(text.to_owned());
            }
            Manner::Drawn | Manner::Lines => self.screen.note(text),
            Manner::Quiet => {}
        }
    }

    /// Takes the spinner off the screen for good: from now on the screen is
    /// somebody else's, whose lines need not be whole.
    pub fn hush(&self) {
        self.now().hushed = true;
        self.clear();
    }

    /// Takes the spinner off the screen.
    pub fn clear(&self) {
        if let Some(bar) = self.now().bar.take() {
            bar.finish_and_clear();
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Status<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner(screen: &Screen) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = screen.bars.add(ProgressBar::new_spinner().with_style(style));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Bytes on their way.
pub struct Transfer<'a> {
    screen: &'a Screen,
    bar: ProgressBar,
    what: String,
}

impl<'a> Transfer<'a> {
    /// Starts to tell of `what`, such as `uploading a.csv`.
    pub fn new(screen: &'a Screen, what: impl Into<String>, total: Option<u64>) -> Self {
        let what = what.into();
        screen.fresh_line();
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            None => "{spinner} {msg} {bytes} {bytes_per_sec}",
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = match (screen.manner, total) {
            (Manner::Drawn, Some(total)) => screen.bars.add(ProgressBar::new(total)),
            (Manner::Drawn, None) => screen.bars.add(ProgressBar::no_length()),
            (Manner::Lines | Manner::Quiet, _) => ProgressBar::hidden(),
        };
        Transfer { screen, bar: bar.with_style(style).with_message(what.clone()), what }
    }

    /// `count` more bytes have gone.
    pub fn add(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    /// A handle for a body that counts as it is read.
    pub fn counter(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Back to the start: the same bytes go once more.
    pub fn restart(&self) {
        self.bar.set_position(0);
    }

    /// All bytes have gone.
    pub fn finish(self) {
        let moved = self.bar.position();
        if self.screen.manner == Manner::Lines && moved >= WORTH_A_LINE {
            self.screen.note(&format!("{}: {}", self.what, bytes(moved)));
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
