//! The local table is a table, and what else it promises.

use std::sync::Arc;

use common::{CACHE, SystemClock};
use shared::platform::Table;
use tarpon::table::RedbTable;
use tempfile::TempDir;

mod common;

async fn table() -> (Arc<dyn Table>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    (Arc::new(table), folder)
}

fn open(folder: &TempDir) -> RedbTable {
    RedbTable::open(&folder.path().join("state.redb"), CACHE, Arc::new(SystemClock)).unwrap()
}

shared::table_suite!(table);
