//! The local table is a table, and what else it promises.

use std::sync::Arc;

use jiff::Timestamp;
use shared::platform::{Clock, Table};
use tarpon::table::RedbTable;
use tempfile::TempDir;

const CACHE: usize = 8 << 20;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }
}

async fn table() -> (Arc<dyn Table>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    (Arc::new(table), folder)
}

fn open(folder: &TempDir) -> RedbTable {
    RedbTable::open(&folder.path().join("state.redb"), CACHE, Arc::new(SystemClock)).unwrap()
}

shared::table_suite!(table);
