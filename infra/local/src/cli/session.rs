//! What a command works with.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Common, client::Client, problem::Failure, screen::Screen};

/// The server, and where to write.
pub struct Session {
    /// The server.
    pub client: Client,
    /// Where to write.
    pub screen: Arc<Screen>,
    /// Whether results are wanted as JSON.
    pub json: bool,
    /// What time it is, for ages and durations.
    pub now: Timestamp,
}

impl Session {
    /// Prepares to speak to the server; nothing is sent yet.
    pub fn open(common: &Common, screen: Arc<Screen>) -> Result<Self, Failure> {
        let client = Client::new(common.connection.target(&screen)?)?;
        Ok(Session { client, screen, json: common.json, now: now() })
    }
}

#[expect(clippy::disallowed_methods, reason = "a client has no platform: its clock is this one")]
fn now() -> Timestamp {
    Timestamp::now()
}
