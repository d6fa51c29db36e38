//! The job's life, told in tests.

mod any;
mod walk;
mod wide;

mod callbacks;
mod chunks;
mod deadlines;
mod endings;
mod figures;
mod graphs;
mod images;
mod model;
mod recalls;
mod retries;
mod runs;
mod slots;
mod spent;
mod stops;
mod table;
