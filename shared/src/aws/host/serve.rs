//! Hosting an action.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tracing::{Instrument, Span, field::Empty, info_span};

use super::{
    http_event::HttpResponse,
    invocation::Invocation,
    metrics::Outcome,
    send::{Sent, send},
    start::{self, Host, Ports},
};
use crate::{
    function::{Action, answer, said},
    service::Service,
    wire::{Problem, Reply, Request},
};

/// How long before the last moment waiting for a job ends, so that what there
/// is to say of it can be sent.
const SENDING_SECONDS: i64 = 2;

/// Answers invocations of the action, for as long as Lambda has any. There are
/// no objects: see [`serve_with_objects`].
pub async fn serve<A: Action>(action: A) -> Result<(), Error> {
    host(action, Ports::TABLE).await
}

/// The same for an action that tells everybody the same: it needs no answer from
/// outside, and so is there when everything else is out of reach.
pub async fn serve_open<A: Action>(action: A) -> Result<(), Error> {
    host(action, Ports::NONE).await
}

/// The same for an action that stores objects, reads, signs or removes them.
pub async fn serve_with_objects<A: Action>(action: A) -> Result<(), Error> {
    host(action, Ports::STORES).await
}

/// The same for an action that asks about images, or of what can be run.
pub async fn serve_with_runtime<A: Action>(action: A) -> Result<(), Error> {
    host(action, Ports::RUNTIME).await
}

async fn host<A: Action>(action: A, ports: Ports) -> Result<(), Error> {
    let host = Host::start(A::NAME, ports).await?;
    let (host, action) = (Arc::new(host), Arc::new(action));
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (host, action) = (Arc::clone(&host), Arc::clone(&action));
        let span = info_span!(
            "invocation",
            request.id = event.context.request_id,
            job.id = Empty,
            attempt.id = Empty,
        );
        async move { invoke(&host, action.as_ref(), event).await }.instrument(span)
    });
    Runtime::new(handler).run().await
}

async fn invoke<A: Action>(
    host: &Host,
    action: &A,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    let began = host.now();
    let LambdaEvent { payload, context, .. } = event;
    let invocation = Invocation::read(payload);
    let is_straight = matches!(invocation, Ok(Invocation::Straight(_)));
    let handled = match (host.service().await, invocation) {
        (Ok(service), Ok(invocation)) => handle(service, action, invocation, &context, began).await,
        (Err(problem), _) | (_, Err(problem)) => Err(problem),
    };
    let sent = handled.unwrap_or_else(|problem| {
        said(A::NAME, &problem);
        whole(problem.reply())
    });
    host.measure(&context.request_id, began, Outcome::of_status(sent.reply.status), 0);
    if is_straight { plain(&sent) } else { enveloped(&sent) }
}

async fn handle<A: Action>(
    service: &Service,
    action: &A,
    invocation: Invocation,
    context: &Context,
    now: Timestamp,
) -> Result<Sent, Problem> {
    let until = start::until(context, now, invocation.is_patient());
    let mut service = service.clone();
    service.config.longest_wait_seconds = seconds(until, now);
    let request = invocation.request(&A::ROUTE);
    let method = request.as_ref().map_or(Method::GET, |request| request.method.clone());
    request.iter().for_each(name_subject);
    let reply = answer(action, &service, request).await;
    send(&service, &method, reply, until).await
}

/// Every line of the log says what the request is about.
fn name_subject(request: &Request) {
    for (parameter, field) in [("job", "job.id"), ("attempt", "attempt.id")] {
        if let Some(id) = request.parameters.get(parameter) {
            Span::current().record(field, id.as_str());
        }
    }
}

/// How long a request may wait.
pub(super) fn seconds(until: Timestamp, now: Timestamp) -> u32 {
    let left = until.duration_since(now) - SignedDuration::from_secs(SENDING_SECONDS);
    u32::try_from(left.as_secs().max(0)).unwrap_or(u32::MAX)
}

/// A reply that is known to be small, as it is.
fn whole(mut reply: Reply) -> Sent {
    let bytes = match std::mem::take(&mut reply.body) {
        crate::wire::Body::Bytes(bytes) => bytes,
        crate::wire::Body::Empty
        | crate::wire::Body::Stream { .. }
        | crate::wire::Body::Pieces(_) => Bytes::new(),
    };
    Sent { reply, bytes }
}

/// As an HTTP source takes it.
fn enveloped(sent: &Sent) -> Result<Value, Diagnostic> {
    let response = HttpResponse::new(&sent.reply, &sent.bytes);
    serde_json::to_value(response).map_err(|error| diagnostic("response", &error.to_string()))
}

/// As who invokes the function straight takes it: the JSON alone, or the
/// problem as the function's error.
fn plain(sent: &Sent) -> Result<Value, Diagnostic> {
    let json: Value = serde_json::from_slice(&sent.bytes).unwrap_or_default();
    if sent.reply.status.is_success() {
        return Ok(json);
    }
    let said = |name: &str| json[name].as_str().unwrap_or_default();
    Err(diagnostic(said("code"), said("detail")))
}

fn diagnostic(code: &str, detail: &str) -> Diagnostic {
    Diagnostic { error_type: code.to_owned(), error_message: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::{
        conformance::memory::World,
        function::Route,
        wire::{Body, Caller},
    };

    /// Says what it was given.
    struct Mirror;

    impl Action for Mirror {
        const NAME: &'static str = "mirror";
        const ROUTE: Route = Route::post("/v1/jobs");

        async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
            if request.caller == Caller::Operator {
                return Ok(Reply::json(StatusCode::CREATED, &json!({ "made": true })));
            }
            let bytes = request.bytes("the body", service.limits.body_bytes).await?;
            let wait = request.wait_seconds(service.config.longest_wait_seconds)?;
            let reply = Reply::new(StatusCode::OK, Body::Bytes(bytes));
            Ok(reply.with(http::header::AGE, wait.to_string()))
        }
    }

    async fn invoked(payload: Value) -> Result<Sent, Problem> {
        let world = World::new().await;
        let now = world.service.platform.clock.now();
        let mut context = Context::default();
        context.deadline = (now.as_millisecond() + 900_000).unsigned_abs();
        let invocation = Invocation::read(payload)?;
        handle(&world.service, &Mirror, invocation, &context, now).await
    }

    fn posted() -> Value {
        serde_json::from_str(include_str!("events/http-api-binary.json")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_go_in_and_come_out_as_they_are() {
        let sent = invoked(posted()).await.unwrap();
        let response = enveloped(&sent).unwrap();
        assert_eq!(response["statusCode"], 200);
        assert_eq!(
            (&response["body"], &response["isBase64Encoded"]),
            (&"AP9oZWxsbw==".into(), &true.into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_at_the_api_is_answered_before_it_gives_up() {
        let mut event = posted();
        event["headers"]["prefer"] = "wait=3600".into();
        let by_api = enveloped(&invoked(event.clone()).await.unwrap()).unwrap();
        assert_eq!(by_api["headers"]["age"], "26");
        event["requestContext"]["routeKey"] = "$default".into();
        event["requestContext"]["stage"] = "$default".into();
        event["rawPath"] = "/v1/jobs".into();
        let by_url = enveloped(&invoked(event).await.unwrap()).unwrap();
        assert_eq!(by_url["headers"]["age"], "896");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_request_is_answered_with_a_problem() {
        let mut event = posted();
        event["requestContext"]["http"]["method"] = "PUT".into();
        let response = enveloped(&invoked(event).await.unwrap()).unwrap();
        assert_eq!(response["statusCode"], 405);
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
        assert!(response["body"].as_str().unwrap().contains("no_route"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_invokes_straight_gets_the_json_alone_or_the_functions_error() {
        let sent = invoked(json!({ "name": "team" })).await.unwrap();
        assert_eq!(plain(&sent).unwrap(), json!({ "made": true }));
        let refused = plain(&whole(Problem::invalid("name", "it is too long").reply()));
        let Diagnostic { error_type, error_message } = refused.unwrap_err();
        assert_eq!(
            (error_type.as_str(), error_message.as_str()),
            ("invalid_field", "`name`: it is too long")
        );
    }
}
