//! The table on DynamoDB is a table, and what else it promises.

use std::sync::Arc;

use shared::platform::Table;

use super::world;

async fn table() -> (Arc<dyn Table>, ()) {
    (Arc::new(world::table(&world::aws().await).await), ())
}

shared::table_suite!(table);
