//! Reads of the table: strong ones, unless half the price will do; and the many
//! at a time.

use aws_sdk_dynamodb::{Client, types::KeysAndAttributes};

use super::{layout::Item, refused::unavailable};
use crate::{aws::pace::Pace, platform::TableError};

/// Items that one call may ask for.
const MOST_AT_ONCE: usize = 100;

/// Where to read, and how to wait when it is busy.
pub(super) struct Reader<'a> {
    pub(super) client: &'a Client,
    pub(super) table: &'a str,
}

impl Reader<'_> {
    /// The item with this key: as of the latest write, or of some recent one.
    pub(super) async fn get(&self, key: Item, latest: bool) -> Result<Option<Item>, TableError> {
        let call = self.client.get_item().table_name(self.table).set_key(Some(key));
        let found = call.consistent_read(latest).send().await.map_err(unavailable)?;
        Ok(found.item)
    }

    /// The items with these keys, in any order. What is not there is left out.
    pub(super) async fn get_all(
        &self,
        keys: Vec<Item>,
        mut pace: Pace<'_>,
    ) -> Result<Vec<Item>, TableError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut wanted = keys;
        while !wanted.is_empty() {
            let later = wanted.split_off(wanted.len().min(MOST_AT_ONCE));
            let (items, mut left) = self.get_some(wanted).await?;
            if items.is_empty() && !left.is_empty() && !pace.wait().await {
                return Err(unavailable("the table is busy"));
            }
            found.extend(items);
            left.extend(later);
            wanted = left;
        }
        Ok(found)
    }

    /// Some of the items, and the keys that are still to be asked for.
    async fn get_some(&self, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), TableError> {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let keys = keys.map_err(unavailable)?;
        let call = self.client.batch_get_item().request_items(self.table, keys);
        let answer = call.send().await.map_err(unavailable)?;
        // There is but one table.
        let items = answer.responses.into_iter().flatten().flat_map(|(_, items)| items).collect();
        let left = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, keys)| keys.keys);
        Ok((items, left.collect()))
    }
}
