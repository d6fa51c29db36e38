//! What no table of DynamoDB's can do, told before it is asked.

use crate::platform::{Key, Mark, Op, Source, TableError};

/// Bytes of a key's part.
const LONGEST_PART: usize = 512;

/// Bytes of a row's value.
const LARGEST_BODY: usize = 1 << 20;

/// Changes of a commit, and items that they may touch.
pub(super) const MOST_OPS: usize = 100;

/// Why a call was not even tried.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None, or too many.
    #[error("a commit has 1 to 100 changes")]
    Count,
    /// Two of the same key.
    #[error("a commit's changes are each on another key")]
    Twice,
    /// Too long, or with NUL inside.
    #[error("a key's part has up to 512 bytes without NUL")]
    Part,
    /// A value that no row can have.
    #[error("a row has at most 1 MiB")]
    Body,
    /// A row that is still too large when it is compressed.
    #[error("the row {0} does not fit 400 kB")]
    Row(Key),
    /// Text that is no cursor of this table.
    #[error("the cursor is not one of this table")]
    Cursor,
}

impl From<Refused> for TableError {
    fn from(refused: Refused) -> Self {
        TableError::Refused(refused.into())
    }
}

pub(super) fn unavailable(source: impl Into<Source>) -> TableError {
    TableError::Unavailable(source.into())
}

pub(super) fn check_ops(ops: &[Op]) -> Result<(), Refused> {
    if ops.is_empty() || ops.len() > MOST_OPS {
        return Err(Refused::Count);
    }
    for op in ops {
        check_key(op.key())?;
        match op {
            Op::Put(_, _, wanted) => {
                if wanted.body.len() > LARGEST_BODY {
                    return Err(Refused::Body);
                }
                for Mark { partition, sort } in wanted.marks.values() {
                    check_part(partition)?;
                    check_part(sort)?;
                }
            }
            Op::Join { member, .. } | Op::Leave { member, .. } => check_part(member)?,
            Op::Delete(..) | Op::Check(..) => {}
        }
    }
    let mut keys: Vec<&Key> = ops.iter().map(Op::key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refused::Twice);
    }
    Ok(())
}

pub(super) fn check_key(key: &Key) -> Result<(), Refused> {
    check_part(&key.partition)?;
    check_part(&key.sort)
}

/// NUL is what separates texts that are stored as one.
pub(super) fn check_part(part: &str) -> Result<(), Refused> {
    if part.len() > LONGEST_PART || part.contains('\0') {
        return Err(Refused::Part);
    }
    Ok(())
}
