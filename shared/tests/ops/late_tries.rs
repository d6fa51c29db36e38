//! Whoever takes so long over telling a caller that another is faster.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use shared::{
    conformance::memory::{MemoryTable, Reception, World},
    ops::callbacks,
    platform::{Key, Op, Page, Platform, Query, Row, Table, TableError},
    service::Service,
};
use tokio::sync::Notify;

/// A table that keeps whoever wants to read a callback waiting.
struct Slow {
    table: Arc<MemoryTable>,
    asked: Notify,
    answered: Notify,
}

#[async_trait]
impl Table for Slow {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        if key.sort.starts_with("callback#") {
            self.asked.notify_one();
            self.answered.notified().await;
        }
        self.table.get(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.table.query(query).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.table.commit(ops).await
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        self.table.members(key).await
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        self.table.changed(key, seen, patience).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_that_another_has_followed_is_not_made() {
    let world = World::new().await;
    world.memory.outbox.receive(&[Reception::Answer(410)]);
    let json = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
    let job = world.submit(json).await.id;
    world.run(job, 0, &[("Stdout", "")]).await;
    let key = world.of(job);
    let table = Arc::new(Slow {
        table: Arc::clone(&world.memory.table),
        asked: Notify::new(),
        answered: Notify::new(),
    });
    let platform = Platform { table: table.clone(), ..world.service.platform.clone() };
    let service = Service { platform, ..world.service.clone() };
    let late = tokio::spawn(async move { callbacks::deliver(&service, &[], key).await });
    table.asked.notified().await;
    tokio::time::advance(Duration::from_secs(20)).await;
    world.tell().await;
    table.answered.notify_one();
    late.await.unwrap().unwrap();
    assert_eq!(world.memory.outbox.told().len(), 1, "who is gone was told again");
    let (_, kept) = callbacks::list(&world.service, key).await.unwrap();
    let numbers: Vec<u32> = kept[0].tries.iter().map(|made| made.number).collect();
    assert_eq!(numbers, [1, 2]);
}
