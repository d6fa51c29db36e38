//! The commands, typed against a server.

mod fetching;
mod managing;
mod running;
mod submitting;
