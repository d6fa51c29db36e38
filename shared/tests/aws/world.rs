//! What the tests have in common: the stand-in, a clock, and tables of their own.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
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

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The stand-in's clients.
pub async fn aws() -> Aws {
    assert!(
        std::env::var_os("TARPON_TEST_AWS").is_some(),
        "no stand-in for AWS is running: run `make test-aws`, or a command of your own with \
         infra/aws/stand-ins/run.sh in front"
    );
    Aws::from_env().await
}

/// A name that nothing has yet.
pub fn fresh(what: &str) -> String {
    let random: [u8; 8] = clock().random();
    format!("{what}-{:016x}", u64::from_be_bytes(random))
}

/// A table of its own, as the platform's template makes it.
pub async fn table(aws: &Aws) -> DynamoTable {
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
    DynamoTable::new(aws.dynamodb(), name, clock())
}

/// A bucket of its own.
pub async fn objects(aws: &Aws) -> S3Objects {
    let name = fresh("bucket");
    aws.s3().create_bucket().bucket(&name).send().await.unwrap();
    S3Objects::new(aws.s3(), name, clock())
}

fn schema([partition, sort]: [&str; 2]) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        })
        .into()
}
