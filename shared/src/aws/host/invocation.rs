//! What an action is invoked by: HTTP, or the operator.

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use super::http_event::HttpEvent;
use crate::{
    function::Route,
    wire::{Body, Caller, Problem, Request},
};

/// An event of an action.
#[derive(Debug)]
pub(super) enum Invocation {
    /// Through the API, or the function's URL.
    Http(HttpEvent),
    /// Straight, which takes the right to invoke the function: the payload is
    /// the request's JSON body.
    Straight(Value),
}

impl Invocation {
    /// Told apart by what only Lambda's HTTP sources put there. Who has the
    /// right to invoke may pretend to be outside; nobody can do the opposite.
    pub fn read(payload: Value) -> Result<Self, Problem> {
        if payload.pointer("/requestContext/http").is_none() {
            return Ok(Invocation::Straight(payload));
        }
        let event = serde_json::from_value(payload);
        event.map(Invocation::Http).map_err(|error| Problem::internal(format!("event: {error}")))
    }

    /// Whether the caller's patience ends with the function's, and not before.
    pub fn is_patient(&self) -> bool {
        match self {
            Invocation::Http(event) => event.is_by_url(),
            Invocation::Straight(_) => true,
        }
    }

    /// The request, if it is of this route.
    pub fn request(self, route: &Route) -> Result<Request, Problem> {
        match self {
            Invocation::Http(event) => event.request(route),
            Invocation::Straight(payload) => straight(&payload, route),
        }
    }

    /// The request, of whatever path and method.
    pub fn unrouted(self) -> Result<Request, Problem> {
        match self {
            Invocation::Http(event) => event.unrouted(),
            Invocation::Straight(_) => {
                Err(Problem::NoRoute("a dialect is invoked through its URL"))
            }
        }
    }
}

fn straight(payload: &Value, route: &Route) -> Result<Request, Problem> {
    let found = route.matched(route.path).filter(std::collections::BTreeMap::is_empty);
    let no_route = Problem::NoRoute("only a function without path parameters can be invoked so");
    let parameters = found.map(|_| std::collections::BTreeMap::new()).ok_or(no_route)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Request {
        method: route.method.clone(),
        path: route.path.to_owned(),
        parameters,
        query: Vec::new(),
        query_text: String::new(),
        headers,
        body: if payload.is_null() { Body::Empty } else { Body::Bytes(payload.to_string().into()) },
        caller: Caller::Operator,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_straight_invocation_is_the_operators() {
        let route = Route::post("/v1/projects");
        let straight = Invocation::read(json!({ "name": "team" })).unwrap();
        let request = straight.request(&route).unwrap();
        assert_eq!(request.caller, Caller::Operator);
        let Body::Bytes(bytes) = request.body else { panic!("no body") };
        assert_eq!(bytes, br#"{"name":"team"}"#.as_slice());

        let mut event: Value = serde_json::from_str(include_str!("events/http-api.json")).unwrap();
        event["rawPath"] = "/v1/projects".into();
        event["requestContext"]["http"]["method"] = "POST".into();
        let outside = Invocation::read(event).unwrap();
        assert!(!outside.is_patient());
        assert_eq!(outside.request(&route).unwrap().caller, Caller::Outside);
    }

    #[test]
    fn a_route_with_parameters_cannot_be_invoked_straight() {
        let straight = Invocation::read(json!({})).unwrap();
        let refused = straight.request(&Route::get("/v1/jobs/{job}"));
        assert!(matches!(refused, Err(Problem::NoRoute(_))));
    }
}
