//! The API in front of the actions: a request becomes an event of payload
//! format 2.0, what comes of it an answer.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri},
    response::Response,
};
use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    installation::Programs,
    program::{Failed, now},
    template,
};

/// What leads to the functions.
struct Api {
    programs: Programs,
    routes: Vec<(Method, Vec<String>, template::Route)>,
}

/// Serves the API until the runtime ends.
pub(crate) fn serve(listener: TcpListener, programs: Programs) {
    let routes = template::routes().into_iter().map(|route| {
        let (method, path) = route.key.split_once(' ').expect("a route has a method and a path");
        let parts = path.split('/').map(str::to_owned).collect();
        (method.parse().expect("it is a method"), parts, route)
    });
    let mut routes: Vec<_> = routes.collect();
    // What is named goes before what stands for anything.
    routes.sort_by_key(|(_, parts, _): &(_, Vec<String>, _)| {
        parts.iter().filter(|part| part.starts_with('{')).count()
    });
    let api = Arc::new(Api { programs, routes });
    let routes = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(api);
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

async fn answer(
    State(api): State<Arc<Api>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let found = api.routes.iter().find(|(of, parts, _)| *of == method && is_of(parts, &path));
    let Some((_, _, route)) = found else { return plain(StatusCode::NOT_FOUND, "Not Found") };
    let event = event(&route.key, &method, &path, uri.query(), &headers, &body);
    told(api.programs[&route.function].invoke(event).await)
}

/// Serves a function's URL, where everything is for that function, until the
/// runtime ends.
pub(crate) fn serve_url(listener: TcpListener, programs: Programs, function: &'static str) {
    let at = Url { programs, function };
    let routes = Router::new().fallback(by_url).layer(DefaultBodyLimit::disable()).with_state(at);
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

/// What a URL leads to.
#[derive(Clone)]
struct Url {
    programs: Programs,
    function: &'static str,
}

async fn by_url(
    State(at): State<Url>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let event = event("$default", &method, uri.path(), uri.query(), &headers, &body);
    told(at.programs[at.function].invoke(event).await)
}

/// What comes of an invocation, as its caller is told.
fn told(outcome: Result<Value, Failed>) -> Response {
    let read = outcome.ok().and_then(|answer| response(&answer));
    read.unwrap_or_else(|| plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

fn is_of(parts: &[String], path: &str) -> bool {
    let mut segments = path.split('/');
    for part in parts {
        let Some(segment) = segments.next() else { return false };
        if part.ends_with("+}") {
            return !segment.is_empty();
        }
        if !part.starts_with('{') && part != segment {
            return false;
        }
    }
    segments.next().is_none()
}

fn event(
    key: &str,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Value {
    let headers: BTreeMap<&str, String> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    json!({
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": query.unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "http": { "method": method.as_str(), "path": path, "protocol": "HTTP/1.1" },
            "routeKey": key,
            "stage": "$default",
            "timeEpoch": now().as_millisecond(),
        },
        "body": BASE64.encode(body),
        "isBase64Encoded": true,
    })
}

fn response(answer: &Value) -> Option<Response> {
    let status = u16::try_from(answer["statusCode"].as_u64()?).ok()?;
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        BASE64.decode(text.as_bytes()).ok()?
    } else {
        text.as_bytes().to_vec()
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    for (name, value) in answer["headers"].as_object()? {
        let value = HeaderValue::from_str(value.as_str()?).ok()?;
        response.headers_mut().insert(name.parse::<HeaderName>().ok()?, value);
    }
    Some(response)
}

/// What the gateway says by itself.
fn plain(status: StatusCode, message: &str) -> Response {
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response
}
