//! What goes over the wire: requests, replies, problems, pages, and the native
//! API's shapes. Domain types never serialise themselves into a reply.

mod body;
pub mod callback;
mod cursor;
mod event;
pub mod openapi;
mod problem;
mod ranged;
mod reply;
mod request;
pub mod submit;
pub mod templates;
pub mod triggers;
pub mod views;
mod xml;

pub use body::{Body, Stored};
pub use cursor::Cursor;
pub use problem::{OutOfTime, Problem};
pub use ranged::{RangeAsked, Ranged};
pub use reply::Reply;
pub use request::{
    Caller, Request, SMALL_BODY_BYTES, decoded, is_passing, parse_json, query_pairs,
};
pub use xml::{fit_for_xml, is_xml};
