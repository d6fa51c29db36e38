//! Calls to AWS services of which we need one or two operations: signed JSON,
//! with what the SDKs bring along anyway. A whole SDK for each would make every
//! function larger and every build longer.

use std::{fmt, sync::Arc, time::Duration};

use ::http::{Request, StatusCode, header};
use aws_sdk_dynamodb::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::config::{Aws, LazyConnector};
use crate::platform::{Clock, Source};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried while the service is in trouble.
const TRIES: u32 = 3;

/// How long an answer may be.
const LONGEST: usize = 1 << 20;

/// What a service is called in all the ways it takes.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// In signatures.
    pub name: &'static str,
    /// In host names.
    pub host: &'static str,
    /// Before each operation.
    pub target: &'static str,
    /// The version of its JSON.
    pub json: &'static str,
}

/// Secrets Manager.
pub(super) const SECRETS: Service = Service {
    name: "secretsmanager",
    host: "secretsmanager",
    target: "secretsmanager",
    json: "1.1",
};

/// Simple Queue Service.
pub const SQS: Service = Service { name: "sqs", host: "sqs", target: "AmazonSQS", json: "1.0" };

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service refused it, for a reason with this name.
    #[error("{code}: {message}")]
    Refused {
        /// The reason's name.
        code: String,
        /// In words.
        message: String,
    },
    /// The service is in trouble, or out of reach.
    #[error("the service did not answer")]
    Away(#[source] Source),
}

/// Who signs.
#[derive(Clone)]
pub struct SignedCalls {
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: Option<String>,
    clock: Arc<dyn Clock>,
    connector: LazyConnector,
}

impl fmt::Debug for SignedCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCalls").field("region", &self.region).finish_non_exhaustive()
    }
}

impl SignedCalls {
    /// Calls of the user, and in the region, that `aws` knows.
    pub fn new(aws: &Aws, clock: Arc<dyn Clock>) -> Self {
        let sdk = aws.sdk();
        SignedCalls {
            credentials: sdk.credentials_provider().expect("it is made with credentials"),
            region: sdk.region().expect("it is made with a region").to_string(),
            endpoint: sdk.endpoint_url().map(str::to_owned),
            clock,
            connector: aws.connector(),
        }
    }

    /// Where we are.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Calls an operation in `region`, a few times if need be.
    pub async fn call(
        &self,
        service: Service,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let mut tried = 1;
        loop {
            let called =
                tokio::time::timeout(PATIENCE, self.once(service, region, operation, body));
            let called = called.await.unwrap_or_else(|late| Err(CallError::Away(late.into())));
            match called {
                Err(CallError::Away(_)) if tried < TRIES => {
                    tokio::time::sleep(self.pause(tried)).await;
                    tried += 1;
                }
                settled => return settled,
            }
        }
    }

    /// Longer each time, and never the same.
    fn pause(&self, tried: u32) -> Duration {
        let [chance] = self.clock.random::<1>();
        Duration::from_millis((50 << tried) + 2 * u64::from(chance))
    }

    async fn once(
        &self,
        service: Service,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let away = |error: Source| CallError::Away(error);
        let url = self.endpoint.clone().unwrap_or_else(|| {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{}.{region}.amazonaws.com{suffix}", service.host)
        });
        let body = body.to_string();
        let mut request = Request::builder()
            .method("POST")
            .uri(format!("{}/", url.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, format!("application/x-amz-json-{}", service.json))
            .header("x-amz-target", format!("{}.{operation}", service.target))
            .body(body.clone())
            .map_err(|error| away(error.into()))?;
        self.sign(&mut request, service.name, region).await.map_err(away)?;
        let request = request.map(SdkBody::from).try_into().map_err(|error| {
            let error: aws_smithy_runtime_api::http::HttpError = error;
            away(error.into())
        })?;
        let response =
            self.connector.get().call(request).await.map_err(|error| away(error.into()))?;
        let response = response.try_into_http1x().map_err(|error| away(error.into()))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(away)?.to_bytes();
        let said = serde_json::from_slice(&body).map_err(|error| away(error.into()));
        answer(head.status, said)
    }

    async fn sign(
        &self,
        request: &mut Request<String>,
        service: &str,
        region: &str,
    ) -> Result<(), Source> {
        let identity = self.credentials.provide_credentials().await?.into();
        let settings = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(self.clock.now().try_into()?)
            .settings(SigningSettings::default())
            .build()?;
        let headers = request.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let url = request.uri().to_string();
        let body = SignableBody::Bytes(request.body().as_bytes());
        let signable = SignableRequest::new("POST", url, headers, body)?;
        let (signed, _) = sign(signable, &settings.into())?.into_parts();
        signed.apply_to_request_http1x(request);
        Ok(())
    }
}

/// What a JSON service's answer means.
fn answer(status: StatusCode, said: Result<Value, CallError>) -> Result<Value, CallError> {
    if status.is_success() {
        return said;
    }
    let said = said.unwrap_or_default();
    let text = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| said[*name].as_str());
        found.unwrap_or_default().to_owned()
    };
    let code = text(["__type", "code"]);
    // Some put a name space before it.
    let code = code.rsplit('#').next().unwrap_or_default().to_owned();
    if status.is_server_error() || code.contains("Throttl") || code.is_empty() {
        return Err(CallError::Away(format!("status {status} {code}").into()));
    }
    Err(CallError::Refused { code, message: text(["message", "Message"]) })
}
