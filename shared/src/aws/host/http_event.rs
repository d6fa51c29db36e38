//! From Lambda's HTTP events to our requests, and from our replies to what
//! Lambda sends.
//!
//! HTTP APIs (payload format 2.0) and function URLs send the same shape, but
//! for the path: an HTTP API has decoded it, a function URL has not. Read here
//! rather than by `lambda_http`, which rebuilds a URL out of the decoded path
//! and panics over some.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};

use crate::{
    function::Route,
    wire::{Body, Caller, Problem, Reply, Request, decoded, query_pairs},
};

/// What both send for a route that was not named.
const DEFAULT: &str = "$default";

/// The longest text that is sent as text: one that is all escapes is six times
/// as long as it was.
const TEXT_BYTES: usize = 64 << 10;

/// An event, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpEvent {
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: RequestContext,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    http: HttpContext,
    #[serde(default)]
    route_key: Option<String>,
    #[serde(default)]
    stage: Option<String>,
}

#[derive(Debug, Deserialize)]
struct HttpContext {
    method: String,
}

impl HttpEvent {
    /// Whether it came through the function's own URL, which waits as long as
    /// the function may run, and not through the API, which does not.
    pub fn is_by_url(&self) -> bool {
        self.request_context.route_key.as_deref().is_none_or(|key| key == DEFAULT)
    }

    /// The request, if it is of this route.
    pub fn request(self, route: &Route) -> Result<Request, Problem> {
        let path = self.path().to_owned();
        let found = route.matched(&path).ok_or(Problem::NoRoute("no such path"))?;
        let method = self.method(route)?;
        let is_decoded = !self.is_by_url();
        let plain = |text: &str| {
            if is_decoded { Ok(text.to_owned()) } else { decoded("the path", text) }
        };
        let named = found.into_iter().map(|(name, text)| Ok((name, plain(text)?)));
        let parameters = named.collect::<Result<_, Problem>>()?;
        Ok(Request { method, parameters, ..self.unrouted()? })
    }

    /// The request, of whatever path and method.
    pub fn unrouted(self) -> Result<Request, Problem> {
        let said = self.request_context.http.method.as_str();
        Ok(Request {
            method: Method::try_from(said).map_err(|_| Problem::NoMethod)?,
            path: self.path().to_owned(),
            parameters: BTreeMap::new(),
            query: query_pairs(&self.raw_query_string)?,
            query_text: self.raw_query_string,
            headers: headers(self.headers, self.cookies)?,
            body: body(self.body, self.is_base64_encoded)?,
            caller: Caller::Outside,
        })
    }

    /// The method, if the route has it. A GET answers HEAD as well.
    fn method(&self, route: &Route) -> Result<Method, Problem> {
        let said = self.request_context.http.method.as_str();
        let method = Method::try_from(said).map_err(|_| Problem::NoMethod)?;
        let answers_head = method == Method::HEAD && route.method == Method::GET;
        if method == route.method || answers_head { Ok(method) } else { Err(Problem::NoMethod) }
    }

    /// The path, without the stage that an API's own address puts before it.
    fn path(&self) -> &str {
        let stage = self.request_context.stage.as_deref().filter(|stage| *stage != DEFAULT);
        let within = stage.and_then(|stage| {
            self.raw_path
                .strip_prefix('/')?
                .strip_prefix(stage)
                .filter(|rest| rest.starts_with('/'))
        });
        within.unwrap_or(&self.raw_path)
    }
}

fn headers(
    said: BTreeMap<String, String>,
    cookies: Option<Vec<String>>,
) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::with_capacity(said.len() + 1);
    let no_header = |name: &str| Problem::Malformed(format!("the header {name} cannot be read"));
    for (name, value) in said {
        let key = HeaderName::try_from(name.as_str()).map_err(|_| no_header(&name))?;
        let value = HeaderValue::try_from(value).map_err(|_| no_header(&name))?;
        headers.insert(key, value);
    }
    if let Some(cookies) = cookies.filter(|cookies| !cookies.is_empty()) {
        let value = HeaderValue::try_from(cookies.join("; ")).map_err(|_| no_header("cookie"))?;
        headers.insert(header::COOKIE, value);
    }
    Ok(headers)
}

fn body(body: Option<String>, is_base64: bool) -> Result<Body, Problem> {
    let Some(text) = body.filter(|text| !text.is_empty()) else { return Ok(Body::Empty) };
    if !is_base64 {
        return Ok(Body::Bytes(text.into()));
    }
    let bytes = BASE64.decode(text.as_bytes());
    let bytes = bytes.map_err(|error| Problem::Malformed(format!("its base 64: {error}")))?;
    Ok(Body::Bytes(bytes.into()))
}

/// What Lambda sends.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpResponse {
    status_code: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

impl HttpResponse {
    /// A reply whose body is all there: `bytes`.
    pub fn new(reply: &Reply, bytes: &Bytes) -> Self {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        let mut cookies = Vec::new();
        for (name, value) in &reply.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            if name == header::SET_COOKIE {
                cookies.push(value.into_owned());
                continue;
            }
            let said = headers.entry(name.as_str().to_owned()).or_default();
            let comma = if said.is_empty() { "" } else { ", " };
            said.push_str(comma);
            said.push_str(&value);
        }
        let (body, is_base64_encoded) = match text(reply, bytes) {
            Some(text) => (text.into_owned(), false),
            None => (BASE64.encode(bytes), true),
        };
        HttpResponse {
            status_code: reply.status.as_u16(),
            headers,
            cookies,
            body,
            is_base64_encoded,
        }
    }
}

/// The body as text, if it is some and is short.
fn text<'b>(reply: &Reply, bytes: &'b Bytes) -> Option<Cow<'b, str>> {
    let said = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_text = said.is_none_or(|said| said.starts_with("text/") || said.contains("json"));
    let short = bytes.len() <= TEXT_BYTES && is_text;
    short.then(|| std::str::from_utf8(bytes).ok()).flatten().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = include_str!("events/function-url.json");
    const API: &str = include_str!("events/http-api.json");
    const BINARY: &str = include_str!("events/http-api-binary.json");

    fn event(json: &str) -> HttpEvent {
        serde_json::from_str(json).unwrap()
    }

    fn pairs(request: &Request) -> Vec<(&str, &str)> {
        request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn a_function_urls_path_is_decoded_here_and_an_apis_was_decoded_there() {
        let route = Route::get("/v1/objects/{bucket}/{*key}");
        let by_url = event(URL).request(&route).unwrap();
        assert_eq!(by_url.parameters["key"], "a b/100%25.txt");
        assert_eq!(by_url.path, "/v1/objects/data/a%20b/100%2525.txt");
        let by_api = event(API).request(&route).unwrap();
        assert_eq!(by_api.parameters["key"], "a b/100%25.txt");
        assert!(event(URL).is_by_url() && !event(API).is_by_url());
    }

    #[test]
    fn repeated_query_names_cookies_and_headers_arrive() {
        let request = event(URL).request(&Route::get("/v1/objects/{bucket}/{*key}")).unwrap();
        assert_eq!(pairs(&request), [("tag", "a=1"), ("limit", "5"), ("tag", "b c")]);
        assert_eq!(request.header("cookie"), Some("one=1; two=2"));
        assert_eq!(request.header("authorization"), Some("Bearer token"));
        assert_eq!(request.header("prefer"), Some("wait=5,respond-async"));
        assert_eq!(request.caller, Caller::Outside);
    }

    #[test]
    fn a_body_in_base_64_is_bytes_and_a_stage_is_no_part_of_the_path() {
        let request = event(BINARY).request(&Route::post("/v1/jobs")).unwrap();
        assert_eq!(request.path, "/v1/jobs");
        let Body::Bytes(bytes) = request.body else { panic!("{:?}", request.body) };
        assert_eq!(bytes, Bytes::from_static(b"\x00\xffhello"));
    }

    #[test]
    fn another_path_or_method_is_no_request_of_the_route() {
        let of = |route| event(URL).request(&route).unwrap_err();
        assert!(matches!(of(Route::get("/v1/objects/{bucket}")), Problem::NoRoute(_)));
        assert!(matches!(of(Route::put("/v1/objects/{bucket}/{*key}")), Problem::NoMethod));
        let head = URL.replace("\"GET\"", "\"HEAD\"");
        let head = event(&head).request(&Route::get("/v1/objects/{bucket}/{*key}")).unwrap();
        assert_eq!(head.method, Method::HEAD);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let bad = |from: &str, to: &str| {
            let json = BINARY.replace(from, to);
            assert_ne!(json, BINARY);
            event(&json).request(&Route::post("/v1/jobs")).unwrap_err()
        };
        for problem in [
            bad("AP9oZWxsbw==", "AP9oZWxsbw="),
            bad("\"rawQueryString\": \"\"", "\"rawQueryString\": \"a=%FF\""),
            bad("\"content-type\"", "\"content type\""),
        ] {
            assert_eq!(problem.status(), 400, "{problem}");
        }
    }

    #[test]
    fn text_is_sent_as_text_and_other_bytes_in_base_64() {
        let sent = |content_type: &str, bytes: &'static [u8]| {
            let reply = Reply::new(http::StatusCode::OK, Body::Empty)
                .with(header::CONTENT_TYPE, content_type);
            let response = HttpResponse::new(&reply, &Bytes::from_static(bytes));
            (response.body, response.is_base64_encoded)
        };
        assert_eq!(sent("application/problem+json", b"{}"), ("{}".into(), false));
        assert_eq!(sent("text/plain; charset=utf-8", b"\xff"), ("/w==".into(), true));
        assert_eq!(sent("application/x-tar", b"abc"), ("YWJj".into(), true));
        let long = "\n".repeat(TEXT_BYTES + 1).leak();
        assert!(sent("text/plain", long.as_bytes()).1, "escapes must not make it longer");
    }

    #[test]
    fn a_response_has_the_shape_that_lambda_takes() {
        let mut reply = Reply::json(http::StatusCode::CREATED, &json!({ "a": 1 }));
        for cookie in ["a=1", "b=2"] {
            reply.headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
            reply.headers.append(header::VARY, HeaderValue::from_static(cookie));
        }
        let response = HttpResponse::new(&reply, &Bytes::from_static(b"{\"a\":1}"));
        assert_eq!(
            serde_json::to_value(response).unwrap(),
            json!({
                "statusCode": 201,
                "headers": { "content-type": "application/json", "vary": "a=1, b=2" },
                "cookies": ["a=1", "b=2"],
                "body": "{\"a\":1}",
                "isBase64Encoded": false,
            })
        );
    }
}
