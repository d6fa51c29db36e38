//! The objects port on S3: an object of the port is one of the bucket, under
//! the same name.

mod body;
mod list;
mod outcome;
mod parts;
mod read;
mod s3;
mod sign;
mod write;

pub use outcome::Refused;
pub use s3::S3Objects;
