//! What a function is: an [`Action`] or a [`Reaction`].
//!
//! Hosts are interchangeable: Lambda and the local gateway invoke the same
//! function with the same request and event types.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use http::Method;
use serde::de::DeserializeOwned;
use tracing::{debug, error, warn};

use crate::{
    ops::duties::chain,
    service::Service,
    wire::{Problem, Reply, Request},
};

/// Where an action is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{name}` stands for one segment, `{*name}` for all that follow.
    pub path: &'static str,
}

impl Route {
    /// A GET.
    pub const fn get(path: &'static str) -> Self {
        Route { method: Method::GET, path }
    }

    /// A POST.
    pub const fn post(path: &'static str) -> Self {
        Route { method: Method::POST, path }
    }

    /// A PUT.
    pub const fn put(path: &'static str) -> Self {
        Route { method: Method::PUT, path }
    }

    /// A DELETE.
    pub const fn delete(path: &'static str) -> Self {
        Route { method: Method::DELETE, path }
    }

    /// The names of the path's parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some(name.strip_prefix('*').unwrap_or(name))
        })
    }

    /// What the parameters stand for in `path`, none of them empty; `None` if
    /// the path is not of this route.
    pub fn matched<'p>(&self, path: &'p str) -> Option<BTreeMap<&'static str, &'p str>> {
        let mut found = BTreeMap::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for part in self.path.split('/').skip(1) {
            let here = rest?;
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let (segment, after) = match name {
                Some(name) if name.starts_with('*') => (here, None),
                _ => here.split_once('/').map_or((here, None), |(one, after)| (one, Some(after))),
            };
            match name {
                Some(_) if segment.is_empty() => return None,
                Some(name) => {
                    found.insert(name.strip_prefix('*').unwrap_or(name), segment);
                }
                None if segment != part => return None,
                None => {}
            }
            rest = after;
        }
        rest.is_none().then_some(found)
    }
}

/// A function invoked by an HTTP request.
pub trait Action: Send + Sync + 'static {
    /// The folder's name.
    const NAME: &'static str;
    /// Where it is found.
    const ROUTE: Route;

    /// Does what is asked.
    fn handle(
        &self,
        service: &Service,
        request: Request,
    ) -> impl Future<Output = Result<Reply, Problem>> + Send;

    /// What the API's description says of it.
    fn describe(_: &mut crate::wire::openapi::Describe) {}
}

/// A function invoked by an event. Events come at least once, in any order.
pub trait Reaction: Send + Sync + 'static {
    /// The folder's name.
    const NAME: &'static str;
    /// What happened.
    type Event: DeserializeOwned + Send;

    /// Does what the event calls for.
    fn react(
        &self,
        service: &Service,
        event: Self::Event,
    ) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// An action behind a pointer, for a host that has many.
pub trait DynAction: Send + Sync {
    /// [`Action::NAME`].
    fn name(&self) -> &'static str;
    /// [`Action::ROUTE`].
    fn route(&self) -> Route;
    /// [`Action::handle`].
    fn handle<'a>(
        &'a self,
        service: &'a Service,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;
    /// [`Action::describe`].
    fn describe(&self, describe: &mut crate::wire::openapi::Describe);
}

impl<A: Action> DynAction for A {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn route(&self) -> Route {
        A::ROUTE
    }

    fn handle<'a>(
        &'a self,
        service: &'a Service,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>> {
        Box::pin(Action::handle(self, service, request))
    }

    fn describe(&self, describe: &mut crate::wire::openapi::Describe) {
        A::describe(describe);
    }
}

/// What an action answers, whatever goes wrong: what every host puts a request
/// through, one that it could not read included.
pub async fn answer(
    action: &dyn DynAction,
    service: &Service,
    request: Result<Request, Problem>,
) -> Reply {
    let handled = match request {
        Ok(request) => action.handle(service, request).await,
        Err(problem) => Err(problem),
    };
    let reply = handled.unwrap_or_else(|problem| {
        said(action.name(), &problem);
        problem.reply()
    });
    debug!(function = action.name(), status = reply.status.as_u16(), "answered");
    reply
}

/// Says once what went wrong, with all that it came from; what the caller did
/// wrong is the caller's business.
pub fn said(function: &str, problem: &Problem) {
    let chain = chain(problem);
    match problem {
        Problem::Internal(_) => error!(function, error = chain, "failed"),
        Problem::Unavailable(_) => warn!(function, error = chain, "not available"),
        _ => debug!(function, error = chain, "refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(route: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
        let found = Route::get(route).matched(path)?;
        Some(found.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    #[test]
    fn a_path_of_the_route_gives_its_parameters() {
        let of = |pairs: &[(&'static str, &str)]| {
            Some(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
        };
        assert_eq!(matched("/v1/jobs", "/v1/jobs"), of(&[]));
        assert_eq!(matched("/v1/jobs/{job}/logs", "/v1/jobs/j/logs"), of(&[("job", "j")]));
        assert_eq!(
            matched("/v1/objects/{bucket}/{*key}", "/v1/objects/b/a//b/"),
            of(&[("bucket", "b"), ("key", "a//b/")])
        );
    }

    #[test]
    fn a_path_of_another_route_gives_nothing() {
        for (route, path) in [
            ("/v1/jobs", "/v1/jobs/"),
            ("/v1/jobs", "/v1/job"),
            ("/v1/jobs", "v1/jobs"),
            ("/v1/jobs", ""),
            ("/v1/jobs/{job}", "/v1/jobs"),
            ("/v1/jobs/{job}", "/v1/jobs/"),
            ("/v1/jobs/{job}", "/v1/jobs/a/b"),
            ("/v1/jobs/{job}/logs", "/v1/jobs//logs"),
            ("/v1/objects/{bucket}/{*key}", "/v1/objects/b/"),
            ("/v1/objects/{bucket}/{*key}", "/v1/objects/b"),
        ] {
            assert_eq!(matched(route, path), None, "{path} of {route}");
        }
    }
}
