//! What clients ask, one after the other, and what comes of it.

mod callbacks;
mod faults;
mod jobs;
mod lists;
mod queues;
mod templates;
