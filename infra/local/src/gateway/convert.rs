//! From the network's requests to ours, and from our replies to the network's.

use std::collections::BTreeMap;

use axum::extract::RawPathParams;
use futures::{StreamExt, TryStreamExt};
use http::header;
use shared::{
    function::Route,
    wire::{Body, Caller, Problem, Reply, Request},
};

/// A request as functions take it.
pub(super) fn request(
    route: &Route,
    caller: Caller,
    parameters: &RawPathParams,
    request: axum::extract::Request,
) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let named: BTreeMap<&str, &str> = parameters.iter().collect();
    let parameters = route.parameters().filter_map(|name| {
        let value = named.get(name)?;
        Some((name, (*value).to_owned()))
    });
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let chunked = parts.headers.contains_key(header::TRANSFER_ENCODING);
    let body = if chunked || length.is_some_and(|length| length > 0) {
        let stream = body.into_data_stream().map_err(std::io::Error::other).boxed();
        Body::Stream { stream, length }
    } else {
        Body::Empty
    };
    Ok(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        parameters: parameters.collect(),
        query: query(parts.uri.query().unwrap_or_default())?,
        headers: parts.headers,
        body,
        caller,
    })
}

/// The pairs of a query, decoded; what is not UTF-8 is refused.
pub(super) fn query(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let decode = |part: &str| {
        let plus = part.replace('+', " ");
        percent_encoding::percent_decode_str(&plus)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| Problem::Malformed("the query is not UTF-8".into()))
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

/// A reply as the network takes it.
pub(super) fn response(reply: Reply) -> axum::response::Response {
    let length = reply.body.length();
    let body = match reply.body {
        Body::Empty => axum::body::Body::empty(),
        Body::Bytes(bytes) => axum::body::Body::from(bytes),
        Body::Stream { stream, .. } => axum::body::Body::from_stream(stream),
    };
    let mut response = axum::response::Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    if let Some(length) = length.filter(|_| reply.status != http::StatusCode::NO_CONTENT) {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_pair_by_pair() {
        let pairs = query("a=1&b=x+y&b=%C3%A4&c").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("a", "1"), pair("b", "x y"), pair("b", "ä"), pair("c", "")]);
        assert!(query("a=%FF").is_err());
    }
}
