//! What a function is: an [`Action`] or a [`Reaction`].
//!
//! Hosts are interchangeable: Lambda and the local gateway invoke the same
//! function with the same request and event types.

use std::{future::Future, pin::Pin};

use http::Method;
use serde::de::DeserializeOwned;

use crate::{
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
