//! A foreign job API that we speak: how it presents itself to a host.
//!
//! A dialect is one function with an address of its own, where it is alone; or
//! it shares one with the native API and other dialects, and says which
//! requests are its own. What goes wrong it says in its own way, with its own
//! statuses: a host never answers for it.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tracing::debug;

use crate::{
    service::Service,
    wire::{Body, Problem, Reply, Request, query_pairs},
};

/// The most bytes of a body that is looked into to tell whose request it is.
const LOOKED_INTO: u64 = 10 << 20;

/// A foreign job API.
pub trait Dialect: Send + Sync + 'static {
    /// The folder's name.
    const NAME: &'static str;

    /// Whether a request that no native route takes is of this API.
    fn recognises(&self, asked: &Asked<'_>) -> bool;

    /// Answers; all that goes wrong is said as the API's own fault.
    fn answer(&self, service: &Service, request: Request) -> impl Future<Output = Reply> + Send;

    /// What a host could not even read, as the API's own fault.
    fn fault(&self, problem: &Problem) -> Reply;
}

/// A request, as far as it tells whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, as sent.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The query's pairs, then those of a form body, then the texts that a JSON
    /// body has at its top.
    pub parameters: &'a [(String, String)],
}

impl Asked<'_> {
    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A dialect behind a pointer, for a host that has many.
pub trait DynDialect: Send + Sync {
    /// [`Dialect::NAME`].
    fn name(&self) -> &'static str;
    /// [`Dialect::recognises`].
    fn recognises(&self, asked: &Asked<'_>) -> bool;
    /// [`Dialect::answer`].
    fn answer<'a>(
        &'a self,
        service: &'a Service,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
    /// [`Dialect::fault`].
    fn fault(&self, problem: &Problem) -> Reply;
}

impl<D: Dialect> DynDialect for D {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn recognises(&self, asked: &Asked<'_>) -> bool {
        Dialect::recognises(self, asked)
    }

    fn answer<'a>(
        &'a self,
        service: &'a Service,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(Dialect::answer(self, service, request))
    }

    fn fault(&self, problem: &Problem) -> Reply {
        Dialect::fault(self, problem)
    }
}

/// What a dialect answers, whatever goes wrong: what every host puts a request
/// through, one that it could not read included.
pub async fn answer(
    dialect: &dyn DynDialect,
    service: &Service,
    request: Result<Request, Problem>,
) -> Reply {
    let reply = match request {
        Ok(request) => dialect.answer(service, request).await,
        Err(problem) => dialect.fault(&problem),
    };
    debug!(function = dialect.name(), status = reply.status.as_u16(), "answered");
    reply
}

/// The dialect whose request it is. Its body may be read for that, and is then
/// there in one piece.
pub async fn recognised<'d>(
    dialects: &'d [Box<dyn DynDialect>],
    request: &mut Request,
) -> Result<Option<&'d dyn DynDialect>, Problem> {
    let mut parameters = request.query.clone();
    parameters.extend(in_body(request).await?);
    let asked = Asked {
        method: &request.method,
        path: &request.path,
        headers: &request.headers,
        parameters: &parameters,
    };
    let found = dialects.iter().find(|dialect| dialect.recognises(&asked));
    Ok(found.map(AsRef::as_ref))
}

/// What a body says by name, if it is a form or a JSON object of a size that
/// such a request has; what it says wrong is the business of whose it is.
async fn in_body(request: &mut Request) -> Result<Vec<(String, String)>, Problem> {
    let media_type = request.header("content-type").unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let read: fn(&[u8]) -> Vec<(String, String)> = match essence.as_str() {
        "application/x-www-form-urlencoded" => in_form,
        "application/json" => in_json,
        _ => return Ok(Vec::new()),
    };
    if request.body.length().is_none_or(|length| length > LOOKED_INTO) {
        return Ok(Vec::new());
    }
    let bytes = request.bytes("the body", LOOKED_INTO).await?;
    let said = read(&bytes);
    request.body = if bytes.is_empty() { Body::Empty } else { Body::Bytes(Bytes::clone(&bytes)) };
    Ok(said)
}

fn in_form(bytes: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    query_pairs(text).unwrap_or_default()
}

fn in_json(bytes: &[u8]) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(bytes) else {
        return Vec::new();
    };
    let text = |(name, value): (String, serde_json::Value)| match value {
        serde_json::Value::String(value) => Some((name, value)),
        _ => None,
    };
    fields.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderValue, StatusCode, header};

    use super::*;
    use crate::wire::Caller;

    /// Knows its requests by a parameter, and says what it was sent.
    struct Echo(&'static str);

    impl Dialect for Echo {
        const NAME: &'static str = "dialect-echo";

        fn recognises(&self, asked: &Asked<'_>) -> bool {
            asked.parameter("Action") == Some(self.0)
        }

        async fn answer(&self, _: &Service, _: Request) -> Reply {
            Reply::no_content()
        }

        fn fault(&self, problem: &Problem) -> Reply {
            Reply::json(StatusCode::OK, &problem.to_string())
        }
    }

    fn request(query: &str, media_type: &'static str, body: &'static str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Request {
            method: Method::POST,
            path: "/".into(),
            parameters: BTreeMap::new(),
            query: query_pairs(query).unwrap(),
            query_text: query.into(),
            headers,
            body: Body::Bytes(body.into()),
            caller: Caller::Outside,
        }
    }

    #[tokio::test]
    async fn a_request_is_told_by_its_query_its_form_or_its_json() {
        let dialects: Vec<Box<dyn DynDialect>> = vec![Box::new(Echo("One")), Box::new(Echo("Two"))];
        for (mut asked, is_known) in [
            (request("Action=Two", "text/plain", "Action=Three"), true),
            (request("", "application/x-www-form-urlencoded", "a=b&Action=Two"), true),
            (request("", "application/json; charset=utf-8", r#"{"Action": "Two"}"#), true),
            (request("", "application/json", r#"{"Action": ["Two"]}"#), false),
            (request("", "application/json", "{"), false),
            (request("", "application/octet-stream", "Action=Two"), false),
            (request("Action=Three", "text/plain", ""), false),
        ] {
            let before = asked.body.length();
            let found = recognised(&dialects, &mut asked).await.unwrap();
            assert_eq!(found.is_some(), is_known, "{asked:?}");
            assert!(found.is_none_or(|found| std::ptr::eq(found, dialects[1].as_ref())));
            assert_eq!(asked.body.length(), before, "the body is still all there");
        }
    }
}
