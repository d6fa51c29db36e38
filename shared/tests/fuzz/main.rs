//! Every parser of bytes from outside, given what nobody would send.
//!
//! None panics; what is refused is refused as a bad request, never as a fault of
//! ours; what is accepted and can be written reads back as it was. Some parsers
//! have such tests beside their code, where what they look at is private: cron
//! expressions, templates, ids.
//!
//! `PROPTEST_CASES=10000 cargo test -p shared --test fuzz` looks longer.

#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod agents;
mod any;
mod archives;
mod events;
mod jobs;
mod names;
mod requests;
mod tokens;
