//! What the clients of all AWS APIs have in common: where they connect to, as
//! whom, and how long they wait.
//!
//! The environment decides, by the variables that Lambda sets and every AWS
//! tool knows: `AWS_REGION`, the three of the credentials, and `AWS_ENDPOINT_URL`,
//! or `AWS_ENDPOINT_URL_DYNAMODB` and the like, for whoever is not at AWS.
//! Profiles, metadata services and sign-ins are left to tools for people: what
//! finds them is a third of a function's program.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn},
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{
    SdkConfig,
    region::Region,
    sdk_config::SharedCredentialsProvider,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use super::meter::Meter;

pub use aws_sdk_dynamodb::config::Credentials;

/// How often a call is tried, the first time included.
const TRIES: u32 = 4;

/// The longest pause before the first repetition; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const CONNECT: Duration = Duration::from_secs(2);

/// Up to an answer's head: for one try, and for all of them. What stalls after
/// that, the SDKs notice.
#[derive(Clone, Copy)]
struct Patience {
    attempt: Duration,
    operation: Duration,
}

/// For calls whose requests and answers are small.
const FOR_SMALL: Patience =
    Patience { attempt: Duration::from_secs(6), operation: Duration::from_secs(20) };

/// For calls that carry parts of objects.
const FOR_PARTS: Patience =
    Patience { attempt: Duration::from_mins(1), operation: Duration::from_secs(200) };

/// A variable of the environment without which nothing can be called.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set")]
pub struct Unset(&'static str);

/// The ways to AWS's APIs. A client is made when it is first asked for.
pub struct Aws {
    sdk: SdkConfig,
    connector: LazyConnector,
    endpoint: Option<String>,
    path_style: bool,
    meter: Option<Meter>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
}

impl Aws {
    /// As the environment says.
    pub fn from_env() -> Result<Self, Unset> {
        let required = |name| variable(name).ok_or(Unset(name));
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID")?,
            required("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or(Unset("AWS_REGION"))?;
        let aws = Aws::new(region, credentials, variable("AWS_ENDPOINT_URL"));
        let is_elsewhere = aws.path_style || variable("AWS_ENDPOINT_URL_S3").is_some();
        Ok(Aws { path_style: is_elsewhere, ..aws })
    }

    /// In `region`, by these credentials; at `endpoint`, if that is not AWS's.
    pub fn new(region: String, credentials: Credentials, endpoint: Option<String>) -> Self {
        let connector = LazyConnector::default();
        let shared = connector.clone();
        let client = http_client_fn(move |_, _| shared.get().clone());
        let retries = RetryConfig::standard()
            .with_max_attempts(TRIES)
            .with_initial_backoff(FIRST_PAUSE)
            .with_max_backoff(LONGEST_PAUSE);
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .service_config(Environment)
            .http_client(client)
            .retry_config(retries)
            .timeout_config(timeouts(FOR_SMALL));
        // S3 has a host for each bucket at AWS only.
        let path_style = endpoint.is_some();
        sdk.set_endpoint_url(endpoint);
        Aws {
            sdk: sdk.build(),
            connector,
            endpoint: None,
            path_style,
            meter: None,
            dynamodb: OnceLock::new(),
            s3: OnceLock::new(),
        }
    }

    /// The same, but DynamoDB and S3 are at this address, whatever the environment says.
    #[must_use]
    pub fn at(self, endpoint: &str) -> Self {
        Aws { endpoint: Some(endpoint.to_owned()), path_style: true, ..self.without_clients() }
    }

    /// The same, with every call noted in `meter`.
    #[must_use]
    pub fn metered(self, meter: &Meter) -> Self {
        Aws { meter: Some(meter.clone()), ..self.without_clients() }
    }

    fn without_clients(self) -> Self {
        Aws { dynamodb: OnceLock::new(), s3: OnceLock::new(), ..self }
    }

    /// What a client of any other API is to be made from.
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// What all calls go by.
    pub(super) fn connector(&self) -> LazyConnector {
        self.connector.clone()
    }

    /// What notes the calls, if anything does.
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// The client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let make = || {
            let mut config = aws_sdk_dynamodb::config::Builder::from(&self.sdk);
            if let Some(endpoint) = &self.endpoint {
                config = config.endpoint_url(endpoint);
            }
            if let Some(meter) = &self.meter {
                config = config.interceptor(meter.clone());
            }
            aws_sdk_dynamodb::Client::from_conf(config.build())
        };
        self.dynamodb.get_or_init(make).clone()
    }

    /// The client of S3.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let make = || {
            let mut config = aws_sdk_s3::config::Builder::from(&self.sdk)
                .timeout_config(timeouts(FOR_PARTS))
                .force_path_style(self.path_style);
            if let Some(endpoint) = &self.endpoint {
                config = config.endpoint_url(endpoint);
            }
            if let Some(meter) = &self.meter {
                config = config.interceptor(meter.clone());
            }
            aws_sdk_s3::Client::from_conf(config.build())
        };
        self.s3.get_or_init(make).clone()
    }
}

/// What connects, for all clients: made at the first call, since it reads the
/// machine's certificates, and only once.
#[derive(Clone, Default)]
pub(super) struct LazyConnector(Arc<OnceLock<SharedHttpConnector>>);

impl LazyConnector {
    pub(super) fn get(&self) -> &SharedHttpConnector {
        self.0.get_or_init(|| {
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT);
            let connector = Connector::builder()
                .connector_settings(settings.build())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build();
            SharedHttpConnector::new(connector)
        })
    }
}

/// Endpoints of single services.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        variable(&format!("{}_{service}", key.env()))
    }
}

fn timeouts(Patience { attempt, operation }: Patience) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
