//! What happened, line by line: for whoever replays a seed.

use jiff::Timestamp;

/// What is noted of a world.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    kept: Option<Vec<String>>,
}

impl Trace {
    /// Nothing is noted.
    pub fn none() -> Self {
        Trace { kept: None }
    }

    /// Everything is.
    pub fn whole() -> Self {
        Trace { kept: Some(Vec::new()) }
    }

    pub(crate) fn add(&mut self, now: Timestamp, line: impl FnOnce() -> String) {
        if let Some(kept) = &mut self.kept {
            kept.push(format!("{} {}", now.strftime("%d %H:%M:%S%.3f"), line()));
        }
    }

    /// What was noted.
    pub fn lines(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }
}
