//! Queries, headers, bodies.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use shared::wire::{
    Body, Caller, RangeAsked, Ranged, Request, parse_json, query_pairs,
    submit::{JobRequest, check_client_token, from_query},
};

use crate::any::{is_refused, json, text};

/// A request with these headers; those that no host could receive are left out.
pub fn request<const N: usize>(headers: [(&'static str, String); N]) -> Request {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            map.append(HeaderName::from_static(name), value);
        }
    }
    Request {
        method: Method::POST,
        path: "/".into(),
        parameters: BTreeMap::new(),
        query: Vec::new(),
        query_text: String::new(),
        headers: map,
        body: Body::Empty,
        caller: Caller::Outside,
    }
}

/// What comes of work that waits for nothing outside.
pub fn waited_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

fn is_fractional(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(is_fractional),
        Value::Object(fields) => fields.values().any(is_fractional),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%20", "+")
}

proptest! {
    #[test]
    fn any_text_as_a_query(text in text()) {
        match query_pairs(&text) {
            Ok(pairs) => prop_assert!(pairs.len() <= text.len()),
            Err(problem) => prop_assert!(is_refused(&problem)),
        }
    }

    #[test]
    fn pairs_are_read_as_they_were_written(
        pairs in vec((text().prop_filter("a name", |name| !name.is_empty()), text()), 0..8),
    ) {
        let written: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        prop_assert_eq!(query_pairs(&written.join("&")).unwrap(), pairs);
    }

    #[test]
    fn any_query_as_a_job(pairs in vec((
        prop_oneof![text(), prop::sample::select(vec!["image", "cpu", "env", "output", "priority", "network", "wait"]).prop_map(str::to_owned)],
        text(),
    ), 0..8)) {
        let asked = Request { query: pairs, ..request([]) };
        if let Err(problem) = from_query(&asked) {
            prop_assert!(is_refused(&problem));
        }
        let _ = (asked.limit(25, 100), asked.wait_seconds(60));
    }

    #[test]
    fn a_range_lies_within_what_there_is(
        header in prop_oneof![
            text(), "bytes=[0-9]{0,22}-[0-9]{0,22}",
            (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("bytes={a}-{b}")),
        ],
        unless in prop::option::of(text()),
        size in prop_oneof![0..100_u64, any::<u64>()],
    ) {
        let mut asked = request([("range", header), ("if-range", unless.clone().unwrap_or_default())]);
        if unless.is_none() {
            asked.headers.remove("if-range");
        }
        match RangeAsked::of(&asked).within(size, "e") {
            Ok(Ranged { part, size: of, partial }) => {
                prop_assert!(part.start <= part.end && part.end <= size && of == size);
                prop_assert!(partial || part == (0..size));
                prop_assert!(!partial || !part.is_empty());
            }
            Err(problem) => prop_assert_eq!(problem.status().as_u16(), 416),
        }
    }

    #[test]
    fn a_client_token_is_visible_ascii_and_short(text in text()) {
        let fit = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        prop_assert_eq!(check_client_token("Idempotency-Key", &text).is_ok(), fit);
    }

    #[test]
    fn patience_is_never_more_than_there_is(header in prop_oneof![text(), "wait=\"?[0-9]{0,12}\"?"]) {
        prop_assert!(request([("prefer", header)]).wait_seconds(60).unwrap() <= 60);
    }

    #[test]
    fn deep_json_is_no_stack_that_ends(depth in 0..200_000_usize, open in "[\\[{]") {
        let text = format!("{{\"a\":{}", open.repeat(depth));
        prop_assert!(is_refused(&JobRequest::parse(text.as_bytes()).unwrap_err()));
    }

    #[test]
    fn json_is_read_as_it_was_written(value in json()) {
        let bytes = value.to_string();
        match parse_json::<Value>(bytes.as_bytes()) {
            // A fraction may be off by its last digit.
            Ok(read) if !is_fractional(&value) => prop_assert_eq!(read, value),
            Ok(read) => prop_assert_eq!(read.is_object(), value.is_object()),
            Err(problem) => prop_assert!(is_refused(&problem)),
        }
    }
}
