//! Signed URLs: reading and writing objects with no further credential.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawPathParams, Request},
    response::Response,
    routing::{MethodFilter, on},
};
use http::{StatusCode, header};
use shared::{
    function::{Route, said},
    platform::{Clock, Grant, GrantMethod, Objects, Put, Range},
    wire::{Body, Caller, Problem, RangeAsked, Reply},
};

use super::convert;
use crate::objects::{FileObjects, NotPermitted};

/// Where they live.
const ROUTE: Route = Route::get("/v1/signed/{object}");

/// The route of signed URLs.
pub(super) fn routes(objects: &Arc<FileObjects>, clock: &Arc<dyn Clock>) -> Router {
    let (objects, clock) = (Arc::clone(objects), Arc::clone(clock));
    let handler = move |parameters: RawPathParams, request: Request| async move {
        answer(&objects, clock.as_ref(), &parameters, request).await
    };
    Router::new().route(ROUTE.path, on(MethodFilter::GET.or(MethodFilter::PUT), handler))
}

async fn answer(
    objects: &FileObjects,
    clock: &dyn Clock,
    parameters: &RawPathParams,
    request: Request,
) -> Response {
    let asked = request.uri().path_and_query().map_or("", |asked| asked.as_str());
    let granted = objects.verify(request.method().as_str(), asked, clock.now());
    let done = match granted.map_err(refused) {
        Ok(grant) => match convert::request(&ROUTE, Caller::Outside, parameters, request) {
            Ok(request) => perform(objects, grant, request).await,
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    convert::response(done.unwrap_or_else(|problem| {
        said("signed-url", &problem);
        problem.reply()
    }))
}

fn refused(why: NotPermitted) -> Problem {
    match why {
        NotPermitted::Malformed => Problem::NoRoute("this is no signed URL"),
        NotPermitted::Forged => Problem::Forbidden("the signature does not fit the URL"),
        NotPermitted::Expired => Problem::Forbidden("the URL has expired"),
        NotPermitted::OtherMethod => Problem::Forbidden("the URL does not permit this method"),
    }
}

async fn perform(
    objects: &FileObjects,
    grant: Grant,
    request: shared::wire::Request,
) -> Result<Reply, Problem> {
    match grant.method {
        GrantMethod::Get => {
            let missing = || Problem::not_found("object", "at this URL");
            let info = objects.info(&grant.key).await?.ok_or_else(missing)?;
            let ranged = RangeAsked::of(&request).within(info.size, &info.etag)?;
            let part = Range { start: ranged.part.start, end: Some(ranged.part.end) };
            let part = (!ranged.part.is_empty()).then_some(part);
            let found = objects.get(&grant.key, part).await?.ok_or_else(missing)?;
            if found.info.etag != info.etag {
                return Err(Problem::Unavailable("the object was replaced meanwhile".into()));
            }
            let length = Some(found.part.end - found.part.start);
            let media_type =
                found.info.content_type.as_deref().unwrap_or("application/octet-stream");
            let body = Body::Stream { stream: found.body, length, stored: None };
            Ok(ranged.reply(body, &found.info.etag, media_type))
        }
        GrantMethod::Put { if_absent, length } => {
            if length.is_some() && request.body.length().is_some_and(|n| Some(n) != length) {
                return Err(Problem::Malformed("the body is not as long as was granted".into()));
            }
            let content_type = request.header("content-type").map(str::to_owned);
            let put = Put { if_absent, content_type, length };
            let info = objects.put(&grant.key, request.body.into_stream(), put).await?;
            Ok(Reply::new(StatusCode::OK, Body::Empty)
                .with(header::ETAG, format!("\"{}\"", info.etag)))
        }
    }
}
