//! The AWS platform: DynamoDB, S3, ECS, SQS; and the Lambda host.

pub mod config;
pub mod host;
pub mod meter;
pub mod objects;
pub mod outbox;
pub mod registry;
pub mod runtime;
pub mod signed;
pub mod table;

mod doubt;
mod pace;

#[cfg(test)]
mod pretend;
