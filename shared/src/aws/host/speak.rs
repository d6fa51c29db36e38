//! Hosting a dialect: at a URL of its own, with answers that are streamed.
//!
//! Its clients know nothing of redirects to where a large answer is stored, so
//! none is sent: up to 200 MB go through a function's URL that streams.

use std::sync::Arc;

use futures::StreamExt;
use http::header;
use lambda_runtime::{
    Diagnostic, Error, LambdaEvent, MetadataPrelude, Runtime, StreamResponse, service_fn,
};
use serde_json::Value;
use tracing::{Instrument, info_span};

use super::{
    invocation::Invocation,
    metrics::Outcome,
    serve::seconds,
    start::{self, Host, Ports},
};
use crate::{
    dialect::{self, Dialect},
    function::said,
    platform::ByteStream,
    wire::{Problem, Reply, Request},
};

/// Answers whatever comes to the dialect's URL, for as long as Lambda has
/// anything.
pub async fn serve_dialect<D: Dialect>(dialect: D) -> Result<(), Error> {
    let host = Host::start(D::NAME, Ports::STORES).await?;
    let (host, dialect) = (Arc::new(host), Arc::new(dialect));
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (host, dialect) = (Arc::clone(&host), Arc::clone(&dialect));
        let span = info_span!("invocation", request.id = event.context.request_id);
        async move { Ok::<_, Diagnostic>(invoke(&host, dialect.as_ref(), event).await) }
            .instrument(span)
    });
    Runtime::new(handler).run().await
}

async fn invoke<D: Dialect>(
    host: &Host,
    dialect: &D,
    event: LambdaEvent<Value>,
) -> StreamResponse<ByteStream> {
    let began = host.now();
    let LambdaEvent { payload, context, .. } = event;
    let reply = match host.service().await {
        Ok(service) => {
            let mut service = service.clone();
            service.config.longest_wait_seconds =
                seconds(start::until(&context, began, true), began);
            dialect::answer(dialect, &service, asked(payload)).await
        }
        Err(problem) => {
            said(D::NAME, &problem);
            dialect.fault(&problem)
        }
    };
    host.measure(&context.request_id, began, Outcome::of_status(reply.status), 0);
    streamed(reply)
}

fn asked(payload: Value) -> Result<Request, Problem> {
    Invocation::read(payload)?.unrouted()
}

/// As a URL that streams takes it. How long the body is, Lambda does not tell
/// the client.
fn streamed(mut reply: Reply) -> StreamResponse<ByteStream> {
    reply.headers.remove(header::CONTENT_LENGTH);
    let metadata_prelude =
        MetadataPrelude { status_code: reply.status, headers: reply.headers, cookies: Vec::new() };
    StreamResponse { metadata_prelude, stream: reply.body.into_stream().boxed() }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::{platform::collect, wire::Body};

    #[test]
    fn whatever_the_path_and_method_are_the_request_is_the_dialects() {
        let mut event: Value =
            serde_json::from_str(include_str!("events/function-url.json")).unwrap();
        event["requestContext"]["http"]["method"] = "PUT".into();
        event["rawPath"] = "/any/%2Fpath".into();
        event["rawQueryString"] = "a=1+2&b&a=%C3%A9".into();
        let request = asked(event).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/any/%2Fpath"));
        assert_eq!(request.query_text, "a=1+2&b&a=%C3%A9");
        let said: Vec<_> = request.query.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(said, [("a", "1 2"), ("b", ""), ("a", "é")]);
        assert!(matches!(asked(json!({})), Err(Problem::NoRoute(_))));
    }

    #[tokio::test]
    async fn a_reply_keeps_its_status_headers_and_bytes() {
        let reply = Reply::new(StatusCode::ACCEPTED, Body::Bytes("x".into()))
            .with(header::CONTENT_TYPE, "application/octet-stream")
            .with(header::CONTENT_LENGTH, "1");
        let StreamResponse { metadata_prelude, stream } = streamed(reply);
        assert_eq!(metadata_prelude.status_code, StatusCode::ACCEPTED);
        assert_eq!(metadata_prelude.headers.len(), 1);
        assert_eq!(collect(stream).await.unwrap(), "x");
    }
}
