//! Objects on one machine: an index and small objects in the store's file,
//! large ones in files of their own, and URLs that the gateway honours.

mod blobs;
mod files;
mod index;
mod loose;
mod news;
mod sign;

pub use files::FileObjects;
pub use news::NewsId;
pub use sign::{NotPermitted, Signer};
