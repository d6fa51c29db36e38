//! Trying again to store something, for as long as that may help.

use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::{backoff::Backoff, service::CallError};

/// How often a store may refuse what the service has said it would take. A URL
/// may have come too late, and some refuse in passing what took too long: each
/// try asks for a new one.
const MOST_REFUSALS: u32 = 3;

/// What went wrong last, for when there is no more time.
pub type Last = Mutex<Option<String>>;

/// What became of a try.
#[derive(Debug)]
pub enum Failed {
    /// The service did not say where it may go.
    Grant(CallError),
    /// It was not stored there.
    Put(CallError),
}

/// The tries to store one thing.
#[derive(Debug)]
pub struct Tries<'a> {
    /// What comes before the reason, of what went wrong last.
    shown: String,
    bytes: u64,
    last: &'a Last,
    refusals: u32,
    backoff: Backoff,
}

impl<'a> Tries<'a> {
    /// None yet, to store so many bytes.
    pub fn new(shown: String, bytes: u64, last: &'a Last) -> Self {
        Tries { shown, bytes, last, refusals: 0, backoff: Backoff::default() }
    }

    /// How many bytes it is now.
    pub fn measured(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Waits until it may be tried again; fails with one line for people where
    /// that is of no use.
    pub async fn again(&mut self, failed: Failed) -> Result<(), String> {
        let error = match failed {
            Failed::Grant(CallError::Status(StatusCode::CONFLICT, why)) => {
                let superseded = || "the attempt no longer counts".to_owned();
                return Err(Some(why).filter(|why| !why.is_empty()).unwrap_or_else(superseded));
            }
            Failed::Grant(error) | Failed::Put(error) if is_too_large(&error) => {
                return Err(format!("{} bytes are too many", self.bytes));
            }
            Failed::Grant(error) if is_said_for_good(&error) => {
                return Err(format!("it may not be stored: {error}"));
            }
            Failed::Grant(error @ CallError::BadUrl(_))
            | Failed::Put(error @ CallError::BadUrl(_)) => return Err(error.to_string()),
            Failed::Put(error) if error.is_lasting() => {
                self.refusals += 1;
                if self.refusals >= MOST_REFUSALS {
                    return Err(format!("its store refuses it: {error}"));
                }
                error
            }
            Failed::Grant(error) | Failed::Put(error) => error,
        };
        let why = format!("{}{error}", self.shown);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.backoff.wait().await;
        Ok(())
    }
}

fn is_too_large(error: &CallError) -> bool {
    matches!(error, CallError::Status(StatusCode::PAYLOAD_TOO_LARGE, _))
}

/// Whether the service itself has said so, which stands. What else it may be
/// answered with is said by what is in front of a service that is away.
fn is_said_for_good(error: &CallError) -> bool {
    let said = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];
    matches!(error, CallError::Status(status, _) if said.contains(status))
}
