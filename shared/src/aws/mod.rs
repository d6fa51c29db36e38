//! The AWS platform: DynamoDB, S3, ECS; and the Lambda host.

pub mod registry;
pub mod runtime;
