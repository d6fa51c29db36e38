//! What the tests have in common: the stand-in, a clock, and tables of their own.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use bytes::Bytes;
use jiff::Timestamp;
use shared::{
    aws::{
        config::Aws,
        objects::S3Objects,
        table::{DynamoTable, INDEXES, KEY},
    },
    platform::Clock,
};

/// The suites' expiries are by the system's time.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the suites say when something expires by it")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes)
            .expect("the system has random bytes");
    }
}

/// Where time stands still.
pub struct At(pub Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        SystemClock.fill_random(bytes);
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The stand-in's clients.
pub fn aws() -> Aws {
    assert!(
        std::env::var_os("TARPON_TEST_AWS").is_some(),
        "no stand-in for AWS is running: run `make test-aws`, or a command of your own with \
         infra/aws/stand-ins/run.sh in front"
    );
    Aws::from_env().unwrap()
}

/// A name that nothing has yet.
pub fn fresh(what: &str) -> String {
    let random: [u8; 8] = clock().random();
    format!("{what}-{:016x}", u64::from_be_bytes(random))
}

/// Bytes that do not compress.
pub fn noise(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    clock().fill_random(&mut bytes);
    bytes.into()
}

/// A table of its own.
pub async fn table(aws: &Aws) -> DynamoTable {
    open_table(aws, &new_table(aws).await)
}

pub fn open_table(aws: &Aws, name: &str) -> DynamoTable {
    DynamoTable::new(aws.dynamodb(), name, clock())
}

/// Makes a table as the platform's template does, and tells its name.
pub async fn new_table(aws: &Aws) -> String {
    let name = fresh("table");
    let attribute = |name: &str| {
        let text = AttributeDefinition::builder().attribute_name(name);
        text.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let indexes = INDEXES.map(|index| {
        GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .set_key_schema(Some(schema(index.key)))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
            .build()
            .unwrap()
    });
    let keys = INDEXES.into_iter().flat_map(|index| index.key).chain(KEY);
    aws.dynamodb()
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(keys.map(attribute).collect()))
        .set_key_schema(Some(schema(KEY)))
        .set_global_secondary_indexes(Some(indexes.to_vec()))
        .send()
        .await
        .unwrap();
    name
}

/// A bucket of its own.
pub async fn objects(aws: &Aws) -> S3Objects {
    open_objects(aws, &new_bucket(aws).await)
}

pub fn open_objects(aws: &Aws, bucket: &str) -> S3Objects {
    S3Objects::new(aws.s3(), bucket, clock())
}

/// Makes a bucket, and tells its name.
pub async fn new_bucket(aws: &Aws) -> String {
    let name = fresh("bucket");
    aws.s3().create_bucket().bucket(&name).send().await.unwrap();
    name
}

fn schema([partition, sort]: [&str; 2]) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        })
        .into()
}
