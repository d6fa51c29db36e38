//! What an installation keeps its state in, made on the stand-in for AWS.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The stand-in lets its built-in user in without looking at the signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/SERVICE/aws4_request, \
     SignedHeaders=host, Signature=0";

/// The stand-in.
#[derive(Clone, Debug)]
pub(crate) struct Aws {
    /// Where it is.
    pub url: String,
    http: reqwest::Client,
}

/// A place in the table's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    arn: String,
    iterator: String,
}

impl Aws {
    pub fn at(url: String) -> Self {
        Aws { url, http: tests::http() }
    }

    /// A table as the template has it, and its stream from the start.
    pub async fn table(&self, name: &str) -> Stream {
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let schema = |partition: &str, sort: &str| {
            json!([
                { "AttributeName": partition, "KeyType": "HASH" },
                { "AttributeName": sort, "KeyType": "RANGE" },
            ])
        };
        let index = |name: &str, partition: &str, sort: &str| {
            json!({
                "IndexName": name,
                "KeySchema": schema(partition, sort),
                "Projection": { "ProjectionType": "KEYS_ONLY" },
            })
        };
        let indexes =
            [index("due", "dp", "ds"), index("queue", "qp", "qs"), index("open", "op", "os")];
        let attributes = ["p", "s", "dp", "ds", "qp", "qs", "op", "os"].map(attribute);
        let wanted = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes,
            "KeySchema": schema("p", "s"),
            "GlobalSecondaryIndexes": indexes,
            "StreamSpecification":
                { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        let made = self.call("dynamodb", "DynamoDB_20120810", "CreateTable", &wanted).await;
        let arn = made["TableDescription"]["LatestStreamArn"].as_str();
        let arn = arn.unwrap_or_else(|| panic!("no stream: {made}")).to_owned();
        let shards = self.stream("DescribeStream", &json!({ "StreamArn": arn })).await;
        let shard = &shards["StreamDescription"]["Shards"][0]["ShardId"];
        let asked =
            json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let start = self.stream("GetShardIterator", &asked).await;
        let iterator = start["ShardIterator"].as_str();
        let iterator = iterator.unwrap_or_else(|| panic!("no start: {start}")).to_owned();
        Stream { arn, iterator }
    }

    /// What has changed since it was asked last, as Lambda is told.
    pub async fn changes(&self, stream: &mut Stream) -> Vec<Value> {
        let asked = json!({ "ShardIterator": stream.iterator, "Limit": 100 });
        let page = self.stream("GetRecords", &asked).await;
        if let Some(next) = page["NextShardIterator"].as_str() {
            next.clone_into(&mut stream.iterator);
        }
        let mut records = page["Records"].as_array().cloned().unwrap_or_default();
        for record in &mut records {
            record["eventSource"] = "aws:dynamodb".into();
            record["eventSourceARN"] = stream.arn.as_str().into();
        }
        records
    }

    pub async fn bucket(&self, name: &str) {
        let made = self.request(Method::PUT, "s3", &format!("/{name}")).send().await;
        assert!(made.expect("the stand-in answers").status().is_success(), "no bucket");
    }

    /// A secret, and its ARN.
    pub async fn secret(&self, name: &str, text: &str) -> String {
        let asked = json!({ "Name": name, "SecretString": text });
        let made = self.call("secretsmanager", "secretsmanager", "CreateSecret", &asked).await;
        made["ARN"].as_str().unwrap_or_else(|| panic!("no secret: {made}")).to_owned()
    }

    async fn stream(&self, operation: &str, request: &Value) -> Value {
        self.call("dynamodb", "DynamoDBStreams_20120810", operation, request).await
    }

    async fn call(&self, service: &str, api: &str, operation: &str, request: &Value) -> Value {
        let request = self
            .request(Method::POST, service, "/")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{api}.{operation}"))
            .body(request.to_string());
        let answer = request.send().await.expect("the stand-in answers").text().await;
        let answer = answer.expect("the answer comes to its end");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{operation}: {answer}"))
    }

    fn request(&self, method: Method, service: &str, path: &str) -> RequestBuilder {
        let authorization = AUTHORIZATION.replace("SERVICE", service);
        self.http
            .request(method, format!("{}{path}", self.url))
            .header("authorization", authorization)
    }
}
