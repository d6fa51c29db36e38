//! What the clients of all AWS APIs have in common: where they connect to, as
//! whom, and how long they wait.
//!
//! The environment decides, by the SDK's own variables: `AWS_REGION`, the
//! credentials, and `AWS_ENDPOINT_URL` or `AWS_ENDPOINT_URL_DYNAMODB` and the
//! like for whoever is not at AWS.

use std::{sync::OnceLock, time::Duration};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use super::meter::Meter;

/// How often a call is tried, the first time included.
const TRIES: u32 = 4;

/// The longest pause before the first repetition; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const CONNECT: Duration = Duration::from_secs(2);

/// For an answer's first byte, for one try, and for all of them.
#[derive(Clone, Copy)]
struct Patience {
    read: Duration,
    attempt: Duration,
    operation: Duration,
}

/// For calls whose requests and answers are small.
const FOR_SMALL: Patience = Patience {
    read: Duration::from_secs(5),
    attempt: Duration::from_secs(6),
    operation: Duration::from_secs(20),
};

/// For calls that carry parts of objects.
const FOR_PARTS: Patience = Patience {
    read: Duration::from_mins(1),
    attempt: Duration::from_mins(1),
    operation: Duration::from_secs(200),
};

/// The ways to AWS's APIs. A client is made when it is first asked for.
pub struct Aws {
    sdk: SdkConfig,
    endpoint: Option<String>,
    path_style: bool,
    meter: Option<Meter>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
}

impl Aws {
    /// As the environment says.
    pub async fn from_env() -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(TRIES)
            .with_initial_backoff(FIRST_PAUSE)
            .with_max_backoff(LONGEST_PAUSE);
        let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https)
            .retry_config(retries)
            .timeout_config(timeouts(FOR_SMALL))
            .load()
            .await;
        Aws {
            sdk,
            endpoint: None,
            path_style: is_elsewhere(),
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

fn timeouts(Patience { read, attempt, operation }: Patience) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(read)
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}

/// Whether S3 is not at AWS, where each bucket has a host of its own.
fn is_elsewhere() -> bool {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
        .into_iter()
        .any(|variable| std::env::var_os(variable).is_some_and(|url| !url.is_empty()))
}
