//! A job as the native API is given one, and the rules it has to keep.
//!
//! A job of one task may be written flat, with the task's fields beside the
//! job's. Everything here is checked before anything is stored.

mod edit;
mod from_template;
mod job;
mod outputs;
mod query;
mod rules;
mod shapes;
mod sources;
mod task;

pub use edit::edited;
pub use from_template::{FromTemplate, FromTemplateRequest, OVER_A_TEMPLATE};
pub use job::{Submission, TasksRequest};
pub use outputs::{OutputBody, OutputRequest, OutputToObject};
pub use query::{FIELDS as QUERY_FIELDS, from_query, in_query};
pub use rules::{
    check_client_token, check_object_key, check_text, parse_name, parse_object, within,
};
pub use shapes::{
    AfterRequest, FlatJobRequest, IndexRequest, InputRequest, JobBody, JobRequest, NetworkRequest,
    ResourcesRequest, RetryRequest, SourceRequest, TaskRequest,
};
pub use task::STANDARD as STANDARD_RESOURCES;
