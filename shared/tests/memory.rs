//! The adapters in memory are what they say.

use std::sync::Arc;

use jiff::Timestamp;
use shared::{
    conformance::memory::MemoryTable,
    platform::{Clock, Table},
};

/// The suite's expiries are by the system's time.
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the suite says when a row expires by this time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[expect(clippy::unused_async, reason = "the suite awaits what makes a table")]
async fn table() -> (Arc<dyn Table>, ()) {
    (Arc::new(MemoryTable::new(Arc::new(SystemClock))), ())
}

shared::table_suite!(table);
