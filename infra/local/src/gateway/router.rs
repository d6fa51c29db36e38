//! Which path leads to which function, and what every answer goes through.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{RawPathParams, Request},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use shared::{
    dialect::{self, DynDialect, recognised},
    function::{DynAction, answer},
    service::Service,
    wire::{Caller, Problem, Reply},
};

use super::{convert, signed};
use crate::{functions, objects::FileObjects};

/// The API as the network sees it: every public action, and signed URLs.
pub fn api_router(service: &Service, objects: &Arc<FileObjects>) -> Router {
    let router = routes(service, functions::api(), Caller::Outside)
        .merge(routes(service, functions::agent(), Caller::Outside))
        .merge(signed::routes(objects, &service.platform.clock));
    with_dialects(router, service, functions::dialects())
}

/// What containers reach over their socket: the agent's calls and signed URLs.
pub fn agent_router(service: &Service, objects: &Arc<FileObjects>) -> Router {
    with_fallback(
        routes(service, functions::agent(), Caller::Outside)
            .merge(signed::routes(objects, &service.platform.clock)),
    )
}

/// What the operator reaches over the data directory's socket.
pub fn operator_router(service: &Service) -> Router {
    with_fallback(routes(service, functions::api(), Caller::Operator))
}

fn routes(service: &Service, actions: Vec<Box<dyn DynAction>>, caller: Caller) -> Router {
    let mut paths: BTreeMap<&str, MethodRouter> = BTreeMap::new();
    for action in actions {
        let route = action.route();
        let action: Arc<dyn DynAction> = Arc::from(action);
        let service = service.clone();
        let handler = move |parameters: RawPathParams, request: Request| async move {
            invoke(&service, action.as_ref(), caller, &parameters, request).await
        };
        let method = on(filter(&route.method), handler);
        let known = paths.remove(route.path).unwrap_or_default();
        paths.insert(route.path, known.merge(method));
    }
    paths.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

fn filter(method: &Method) -> MethodFilter {
    // A GET answers HEAD as well.
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

/// What no route is for may be a dialect's, whatever its path and method.
fn with_dialects(router: Router, service: &Service, dialects: Vec<Box<dyn DynDialect>>) -> Router {
    let (service, dialects) = (service.clone(), Arc::<[_]>::from(dialects));
    let fallback = |unknown: fn() -> Problem| {
        let (service, dialects) = (service.clone(), Arc::clone(&dialects));
        move |request: Request| async move {
            convert::response(speak(&service, &dialects, request, unknown).await)
        }
    };
    router.fallback(fallback(no_route)).method_not_allowed_fallback(fallback(|| Problem::NoMethod))
}

/// The answer of the dialect that knows the request, or else the problem.
async fn speak(
    service: &Service,
    dialects: &[Box<dyn DynDialect>],
    request: Request,
    unknown: fn() -> Problem,
) -> Reply {
    let found = async {
        let mut request = convert::unrouted(request)?;
        let dialect = recognised(dialects, &mut request).await?.ok_or_else(unknown)?;
        Ok::<_, Problem>((dialect, request))
    };
    match found.await {
        Ok((dialect, request)) => dialect::answer(dialect, service, Ok(request)).await,
        Err(problem) => problem.reply(),
    }
}

fn no_route() -> Problem {
    Problem::NoRoute("no such path")
}

fn with_fallback(router: Router) -> Router {
    let unknown = || async { convert::response(no_route().reply()) };
    let method = || async { convert::response(Problem::NoMethod.reply()) };
    router.fallback(unknown).method_not_allowed_fallback(method)
}

async fn invoke(
    service: &Service,
    action: &dyn DynAction,
    caller: Caller,
    parameters: &RawPathParams,
    request: Request,
) -> Response {
    let request = convert::request(&action.route(), caller, parameters, request);
    convert::response(answer(action, service, request).await)
}
