//! The wall clock, for the times in the report. Durations are not taken from it.

use jiff::Timestamp;

/// Now.
#[expect(clippy::disallowed_methods, reason = "this is the agent's clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
