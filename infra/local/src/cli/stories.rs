//! The commands, typed against a server.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Common,
    client::Client,
    entry::Session,
    testing::{Fake, FakeJob, Fault, Spoken, archive, offline, view},
};
