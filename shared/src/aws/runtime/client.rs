//! The SDK's client, as we want it.

use std::time::Duration;

use aws_config::{ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// How long a connection may take, one try, and all tries.
const CONNECT: Duration = Duration::from_secs(3);
const TRY: Duration = Duration::from_secs(10);
const ALL: Duration = Duration::from_secs(40);

/// How often a call is tried, with waits that grow from up to this one.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_millis(250);

/// The configuration that `loader` finds, with our transport, timeouts and
/// retries. Where services are is for the SDK to find out.
pub async fn load(loader: ConfigLoader) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(TRY)
        .operation_timeout(ALL);
    let retries = RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(WAIT);
    loader.http_client(http).timeout_config(timeouts.build()).retry_config(retries).load().await
}
