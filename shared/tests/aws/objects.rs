//! The objects on S3 are objects, and what else they promise.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use bytes::Bytes;
use shared::{
    conformance::objects::{Call, Caller, Subject},
    platform::{Grant, GrantMethod, ObjectKey, Range, SignedUrl},
};

use super::world;

/// Sends a request as it is: whoever tidied up its path would break the signature.
struct Client(Connector);

#[async_trait]
impl Caller for Client {
    async fn call(&self, call: Call) -> (u16, Bytes) {
        let Call { method, url, range, body } = call;
        let mut request = http::Request::builder().method(method).uri(&url.url);
        for (name, value) in &url.headers {
            request = request.header(name, value);
        }
        if let Some(Range { start, end }) = range {
            let last = end.map(|end| (end - 1).to_string()).unwrap_or_default();
            request = request.header("range", format!("bytes={start}-{last}"));
        }
        let request = request.body(SdkBody::from(body)).unwrap();
        let answer = self.0.call(HttpRequest::try_from(request).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = aws_sdk_s3::primitives::ByteStream::new(answer.into_body());
        (status, body.collect().await.unwrap().into_bytes())
    }
}

/// What whoever has the URL gets.
pub async fn get(url: &SignedUrl) -> (u16, Bytes) {
    let call = Call { method: "GET", url: url.clone(), range: None, body: Bytes::new() };
    Client(Connector::builder().build_http()).call(call).await
}

async fn subject() -> (Box<Subject>, ()) {
    let objects = Arc::new(world::objects(&world::aws()).await);
    let caller = Arc::new(Client(Connector::builder().build_http()));
    (Box::new(Subject { objects, caller }), ())
}

shared::objects_suite!(subject);

#[tokio::test]
async fn a_url_for_nothing_takes_nothing_else() {
    let (subject, ()) = subject().await;
    let Subject { objects, caller } = *subject;
    let key = ObjectKey::stored("a");
    let expires_at = world::clock().now() + jiff::SignedDuration::from_mins(5);
    let method = GrantMethod::Put { if_absent: true, length: Some(0) };
    let url = objects.sign(&Grant { method, key: key.clone(), expires_at }).await.unwrap();
    let mut longer = url.clone();
    longer.headers.retain(|(name, _)| name != "content-length");
    for (url, body, expected) in [(longer, "x", 403), (url, "", 200)] {
        let call = Call { method: "PUT", url, range: None, body: body.into() };
        assert_eq!(caller.call(call).await.0, expected, "{body:?}");
    }
    assert_eq!(objects.info(&key).await.unwrap().unwrap().size, 0);
}
