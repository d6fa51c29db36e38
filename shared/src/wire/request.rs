//! What a function is asked.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{Body, Problem, problem::broken_off, submit::parse_object};
use crate::job::Name;

/// The most bytes of a body that has a few fields.
pub const SMALL_BODY_BYTES: u64 = 64 << 10;

/// A request as every host hands it over.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// What the route's `{parameters}` stand for, percent-decoded.
    pub parameters: BTreeMap<&'static str, String>,
    /// The query's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The query as sent, without its `?`.
    pub query_text: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Where it came from.
    pub caller: Caller,
}

/// Where a request came from, as the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The network: it has to say who it is.
    Outside,
    /// The operator: by an IAM-signed invoke, or the data directory's socket.
    Operator,
}

impl Request {
    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a query parameter.
    pub fn query_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Refuses query parameters other than these.
    pub fn only_query(&self, known: &[&str]) -> Result<(), Problem> {
        let Some((key, _)) = self.query.iter().find(|(key, _)| !known.contains(&key.as_str()))
        else {
            return Ok(());
        };
        let rule = match known {
            [] => "no such query parameter: there are none here".into(),
            known => format!("no such query parameter; known are {}", known.join(", ")),
        };
        Err(Problem::invalid(key.as_str(), rule))
    }

    /// A query parameter, parsed.
    pub fn query_as<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |text: &str| {
            text.parse().map_err(|error| Problem::invalid(name, format!("{error}: `{text}`")))
        };
        self.query(name).map(parse).transpose()
    }

    /// A route parameter, parsed. What is no id names nothing that exists.
    pub fn parameter<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Problem> {
        let text = self.parameters.get(name).map_or("", String::as_str);
        text.parse().map_err(|_| Problem::not_found(name, text))
    }

    /// The object that a route's `{bucket}` and `{*key}` name.
    pub fn object(&self) -> Result<(Name, String), Problem> {
        let part = |name: &str| self.parameters.get(name).map_or("", String::as_str);
        let name = format!("{}/{}", part("bucket"), part("key"));
        parse_object("", &name).map_err(|_| Problem::not_found("object", name))
    }

    /// A page's size: `?limit=`, 1 to `most`.
    pub fn limit(&self, standard: usize, most: usize) -> Result<usize, Problem> {
        let Some(limit) = self.query_as::<i64>("limit")? else { return Ok(standard) };
        let outside = || Problem::invalid("limit", format!("{limit} is not within 1 to {most}"));
        let limit = usize::try_from(limit).ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(outside)
    }

    /// Seconds that the caller is willing to wait: `?wait=N`, or `Prefer:
    /// wait=N` (RFC 7240 §4.3); 0 without either.
    pub fn wait_seconds(&self, most: u32) -> Result<u32, Problem> {
        if let Some(seconds) = self.query_as::<u32>("wait")? {
            return Ok(seconds.min(most));
        }
        let prefer = self.headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
        let mut waits = prefer
            .flat_map(|value| value.split([',', ';']))
            .filter_map(|part| part.trim().strip_prefix("wait="))
            .filter_map(|seconds| seconds.trim_matches('"').parse::<u32>().ok());
        Ok(waits.next().unwrap_or(0).min(most))
    }

    /// The whole body, up to `limit` bytes.
    pub async fn bytes(&mut self, what: &'static str, limit: u64) -> Result<Bytes, Problem> {
        let mut stream = match std::mem::take(&mut self.body) {
            Body::Empty => return Ok(Bytes::new()),
            body => body.limited(what, limit)?,
        };
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece.map_err(|error| broken_off(&error))?);
        }
        Ok(all.into())
    }

    /// The body as JSON of up to `limit` bytes. A wrong field is named.
    pub async fn json<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        limit: u64,
    ) -> Result<T, Problem> {
        let bytes = self.bytes(what, limit).await?;
        parse_json(&bytes)
    }

    /// The same where everything may be left out: no body is `{}`.
    pub async fn optional_json<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        limit: u64,
    ) -> Result<T, Problem> {
        let bytes = self.bytes(what, limit).await?;
        parse_json(if bytes.is_empty() { b"{}" } else { &bytes })
    }
}

/// A JSON object as `T`; what does not fit is named by its path.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::Malformed(format!("it is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    // Every body of ours is an object; what is not would be refused in words
    // that name our types.
    if !text.trim_start().starts_with('{') {
        return Err(Problem::Malformed("it is not a JSON object".into()));
    }
    let mut from = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => misfit("", &path, &inner),
            _ => Problem::Malformed(format!("it is not JSON: {inner}")),
        }
    })?;
    from.end().map_err(|error| Problem::Malformed(format!("it is not JSON: {error}")))?;
    Ok(value)
}

/// JSON that does not fit, by the path of what does not.
///
/// An unknown or missing field is best named itself, not the object it is in.
pub(super) fn misfit(prefix: &str, path: &str, error: &serde_json::Error) -> Problem {
    let rule = error.to_string();
    let rule = rule.split(" at line ").next().unwrap_or_default().to_owned();
    let named = ["unknown field `", "missing field `"]
        .into_iter()
        .find_map(|start| rule.strip_prefix(start)?.split('`').next());
    let path = match (path, named) {
        (".", field) => field.unwrap_or_default().to_owned(),
        (path, Some(field)) if path != field && !path.ends_with(&format!(".{field}")) => {
            format!("{path}.{field}")
        }
        (path, _) => path.to_owned(),
    };
    let dot = if prefix.is_empty() || path.is_empty() { "" } else { "." };
    Problem::invalid(format!("{prefix}{dot}{path}"), rule)
}

/// The pairs of a query, decoded; what is not UTF-8 is refused.
pub fn query_pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let decode = |part: &str| decoded("the query", &part.replace('+', " "));
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

/// Percent-encoded text, decoded; what is not UTF-8 is refused.
pub fn decoded(what: &str, text: &str) -> Result<String, Problem> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| Problem::Malformed(format!("{what} is not UTF-8")))
}

/// The status codes that say "try again", to whoever calls us.
pub fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_pair_by_pair() {
        let pairs = query_pairs("a=1&b=x+y&b=%C3%A4&c").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("a", "1"), pair("b", "x y"), pair("b", "ä"), pair("c", "")]);
        assert!(query_pairs("a=%FF").is_err());
    }
}
