//! The redb tables that a commit touches, each opened when it first is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::{Error, ReadableTable, Table, TableDefinition, Value, WriteTransaction};
use shared::platform::{Index, Mark, SetSize, Wanted};

use super::rows;

type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;
type Entries<'t> = Table<'t, &'static [u8], ()>;
type Sizes<'t> = Table<'t, &'static [u8], u32>;
type Weights<'t> = Table<'t, &'static [u8], (u64, u64)>;

/// A row that is about to be replaced or removed.
pub(super) struct Old {
    pub(super) version: u64,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) marks: BTreeMap<Index, Mark>,
}

impl Old {
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    rows: Option<Rows<'t>>,
    indexes: [Option<Entries<'t>>; Index::ALL.len()],
    expiries: Option<Entries<'t>>,
    members: Option<Entries<'t>>,
    sizes: Option<Sizes<'t>>,
    weights: Option<Weights<'t>>,
}

impl<'t> Tables<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Self {
        Tables {
            transaction,
            rows: None,
            indexes: [None, None, None],
            expiries: None,
            members: None,
            sizes: None,
            weights: None,
        }
    }

    /// Opens every table, so that readers find them.
    pub(super) fn create_all(mut self) -> Result<(), Error> {
        self.rows()?;
        self.expiries()?;
        self.members()?;
        self.sizes()?;
        self.weights()?;
        Index::ALL.into_iter().try_for_each(|index| self.index(index).map(drop))
    }

    pub(super) fn look_up(&mut self, place: &[u8]) -> Result<Option<Old>, Error> {
        let Some(bytes) = self.rows()?.get(place)? else { return Ok(None) };
        let rows::Stored { version, expires_at, marks, .. } = rows::unpack(bytes.value())?;
        Ok(Some(Old { version, expires_at, marks }))
    }

    /// Writes a row over the one that was there.
    pub(super) fn put(
        &mut self,
        place: &[u8],
        old: Option<&Old>,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        let version = old.map_or(0, |old| old.version).saturating_add(1);
        self.rows()?.insert(place, &rows::pack(version, wanted)[..])?;
        for index in Index::ALL {
            let new = wanted.marks.get(&index);
            let old = old.and_then(|old| old.marks.get(&index));
            if new == old {
                continue;
            }
            if let Some(mark) = old {
                self.index(index)?.remove(&rows::entry(mark, place)[..])?;
            }
            if let Some(mark) = new {
                self.index(index)?.insert(&rows::entry(mark, place)[..], ())?;
            }
        }
        let expired = old.and_then(|old| old.expires_at);
        if expired != wanted.expires_at {
            if let Some(at) = expired {
                self.expiries()?.remove(&rows::expiry(at, place)[..])?;
            }
            if let Some(at) = wanted.expires_at {
                self.expiries()?.insert(&rows::expiry(at, place)[..], ())?;
            }
        }
        Ok(())
    }

    /// Removes the row that was there, and all that leads to it.
    pub(super) fn remove(&mut self, place: &[u8], old: &Old) -> Result<(), Error> {
        self.rows()?.remove(place)?;
        for (index, mark) in &old.marks {
            self.index(*index)?.remove(&rows::entry(mark, place)[..])?;
        }
        if let Some(at) = old.expires_at {
            self.expiries()?.remove(&rows::expiry(at, place)[..])?;
        }
        Ok(())
    }

    /// What the set holds, and whether `member` is in it.
    pub(super) fn look_for(
        &mut self,
        place: &[u8],
        member: &str,
    ) -> Result<(SetSize, bool), Error> {
        let members = self.sizes()?.get(place)?.map_or(0, |size| size.value());
        let weights = self.weights()?.get(place)?.map_or((0, 0), |weights| weights.value());
        let is_member = self.members()?.get(&rows::member(place, member)[..])?.is_some();
        Ok((SetSize { members: members.into(), weights: weights.into() }, is_member))
    }

    pub(super) fn resize(&mut self, place: &[u8], old: SetSize, new: SetSize) -> Result<(), Error> {
        if new.members == 0 {
            self.sizes()?.remove(place)?;
        } else {
            self.sizes()?.insert(place, u32::try_from(new.members).unwrap_or(u32::MAX))?;
        }
        match new.weights {
            weights if weights == old.weights => {}
            [0, 0] => drop(self.weights()?.remove(place)?),
            [a, b] => drop(self.weights()?.insert(place, (a, b))?),
        }
        Ok(())
    }

    pub(super) fn members(&mut self) -> Result<&mut Entries<'t>, Error> {
        opened(&mut self.members, self.transaction, rows::MEMBERS)
    }

    pub(super) fn expiries(&mut self) -> Result<&mut Entries<'t>, Error> {
        opened(&mut self.expiries, self.transaction, rows::EXPIRIES)
    }

    fn rows(&mut self) -> Result<&mut Rows<'t>, Error> {
        opened(&mut self.rows, self.transaction, rows::ROWS)
    }

    fn weights(&mut self) -> Result<&mut Weights<'t>, Error> {
        opened(&mut self.weights, self.transaction, rows::WEIGHTS)
    }

    fn sizes(&mut self) -> Result<&mut Sizes<'t>, Error> {
        opened(&mut self.sizes, self.transaction, rows::SIZES)
    }

    fn index(&mut self, index: Index) -> Result<&mut Entries<'t>, Error> {
        opened(&mut self.indexes[index as usize], self.transaction, rows::index_table(index))
    }
}

fn opened<'s, 't, V: Value + 'static>(
    slot: &'s mut Option<Table<'t, &'static [u8], V>>,
    transaction: &'t WriteTransaction,
    definition: TableDefinition<'_, &'static [u8], V>,
) -> Result<&'s mut Table<'t, &'static [u8], V>, Error> {
    Ok(match slot {
        Some(table) => table,
        None => slot.insert(transaction.open_table(definition)?),
    })
}
