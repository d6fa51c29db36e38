//! A deployment on AWS, or on its stand-in, as the operator sees it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Credentials, http};

/// A deployment, which the environment tells of.
#[derive(Clone, Debug)]
pub(crate) struct Deployed {
    /// Where its API is.
    pub url: String,
    /// The name by which tasks know the probe's image.
    pub probe: String,
    stack: String,
    bucket: String,
    /// Where all of AWS is.
    aws: String,
}

/// The stand-in lets its built-in user in without looking at the signature.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/SERVICE/aws4_request, \
     SignedHeaders=host, Signature=0";

impl Deployed {
    /// The one of this environment.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn found() -> Self {
        let told = |name: &str| {
            let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
            value.unwrap_or_else(|| panic!("no {name}: `make test-aws` sets it"))
        };
        Deployed {
            url: told("TARPON_TEST_URL"),
            probe: told("TARPON_TEST_PROBE"),
            stack: told("TARPON_TEST_STACK"),
            bucket: told("TARPON_TEST_BUCKET"),
            aws: told("AWS_ENDPOINT_URL"),
        }
    }

    /// Makes a project, and gives its first key.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub async fn project(&self, name: &str) -> Credentials {
        let path = format!("2015-03-31/functions/{}-create-project/invocations", self.stack);
        let request = self.request(Method::POST, "lambda", &path).json(&json!({ "name": name }));
        Credentials::read(&answer(request).await.expect("the stand-in answers"))
    }

    /// How many objects a project has.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub async fn objects(&self, project: &str) -> usize {
        let path = format!("{}?list-type=2&prefix={project}/", self.bucket);
        let answer = self.request(Method::GET, "s3", &path).send().await;
        let listed = answer.expect("the stand-in answers").text().await;
        let listed = listed.expect("the answer comes to its end");
        assert!(listed.contains("ListBucketResult"), "{listed}");
        listed.matches("<Key>").count()
    }

    /// What its functions have logged of late.
    pub async fn log(&self) -> String {
        let mut wanted = json!({ "logGroupName": format!("/tarpon/{}/functions", self.stack) });
        let mut lines = Vec::new();
        loop {
            let request = self
                .request(Method::POST, "logs", "")
                .header("content-type", "application/x-amz-json-1.1")
                .header("x-amz-target", "Logs_20140328.FilterLogEvents")
                .body(wanted.to_string());
            let found = match answer(request).await {
                Ok(found) => found,
                Err(why) => return format!("the log cannot be read: {why}"),
            };
            let events = found["events"].as_array().map_or(&[][..], Vec::as_slice);
            let texts = events.iter().filter_map(|event| event["message"].as_str());
            lines.extend(texts.filter(|text| is_ours(text)).map(str::to_owned));
            if found["nextToken"].is_null() {
                return lines.join("\n");
            }
            wanted["nextToken"] = found["nextToken"].clone();
        }
    }

    fn request(&self, method: Method, service: &str, path: &str) -> RequestBuilder {
        let authorization = AUTHORIZATION.replace("SERVICE", service);
        http()
            .request(method, format!("{}/{path}", self.aws))
            .header("authorization", authorization)
    }
}

/// Whether a line tells more than that a function was invoked.
fn is_ours(line: &str) -> bool {
    line.starts_with('{') && !line.contains("CloudWatchMetrics")
}

async fn answer(request: RequestBuilder) -> Result<Value, reqwest::Error> {
    request.send().await?.json().await
}
