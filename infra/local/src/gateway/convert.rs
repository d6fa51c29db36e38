//! From the network's requests to ours, and from our replies to the network's.

use std::collections::BTreeMap;

use axum::extract::RawPathParams;
use futures::{StreamExt, TryStreamExt};
use http::header;
use shared::{
    function::Route,
    wire::{Body, Caller, Problem, Reply, Request, query_pairs},
};

/// A request as functions take it.
pub(super) fn request(
    route: &Route,
    caller: Caller,
    parameters: &RawPathParams,
    request: axum::extract::Request,
) -> Result<Request, Problem> {
    let named: BTreeMap<&str, &str> = parameters.iter().collect();
    let parameters = route.parameters().filter_map(|name| {
        let value = named.get(name)?;
        Some((name, (*value).to_owned()))
    });
    Ok(Request { parameters: parameters.collect(), caller, ..unrouted(request)? })
}

/// A request of the outside that is of no route.
pub(super) fn unrouted(request: axum::extract::Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
    let body = if chunked || length.is_some_and(|length| length > 0) {
        let stream = body.into_data_stream().map_err(std::io::Error::other).boxed();
        Body::Stream { stream, length, stored: None }
    } else {
        Body::Empty
    };
    Ok(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        parameters: BTreeMap::new(),
        query: query_pairs(parts.uri.query().unwrap_or_default())?,
        query_text: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        caller: Caller::Outside,
    })
}

/// A reply as the network takes it.
pub(super) fn response(reply: Reply) -> axum::response::Response {
    let length = reply.body.length();
    let body = match reply.body {
        Body::Empty => axum::body::Body::empty(),
        Body::Bytes(bytes) => axum::body::Body::from(bytes),
        Body::Stream { stream, .. } | Body::Pieces(stream) => axum::body::Body::from_stream(stream),
    };
    let mut response = axum::response::Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if let Some(length) = length.filter(|_| reply.status != http::StatusCode::NO_CONTENT) {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}
