//! What Lambda's event sources do elsewhere: invokes the reactions when
//! something calls for them.
//!
//! Everything here may be lost at any time. It only decides *when* an op is
//! called; what the op then does is read off the table.

mod dispatcher;
mod driver;
mod herald;
mod line;
mod performer;
mod sweeper;

pub use driver::{Driver, start};
