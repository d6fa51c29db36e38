//! A callback as an XML document, in the shape that Tencent's CI has for its
//! own: who reads those can read this.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::message::is_start;
use crate::{
    job::{Cause, Telling},
    wire::{Problem, fit_for_xml, views::JobView},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    event_name: &'static str,
    jobs_detail: Detail<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detail<'a> {
    code: &'a str,
    message: Cow<'a, str>,
    job_id: &'a str,
    state: &'a str,
    creation_time: String,
    start_time: String,
    end_time: String,
    queue_id: &'a str,
    tag: Cow<'a, str>,
}

/// The document. Times that are not known are `-`.
pub(super) fn of(telling: &Telling, view: &JobView) -> Result<String, Problem> {
    let time = |at: Option<Timestamp>| {
        at.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string())
    };
    let state = match view.state {
        "succeeded" => "Success",
        "failed" | "partly_failed" | "timed_out" => "Failed",
        "cancelled" => "Cancel",
        "queued" => "Submitted",
        _ => "Running",
    };
    let failed = (state == "Failed").then(|| view.cause.map_or(view.state, Cause::word));
    let response = Response {
        event_name: if is_start(telling) { "TaskStart" } else { "TaskFinish" },
        jobs_detail: Detail {
            code: failed.unwrap_or("Success"),
            message: fit_for_xml(view.message.as_deref().unwrap_or_default()),
            job_id: &view.id,
            state,
            creation_time: time(Some(view.created_at)),
            start_time: time(view.started_at),
            end_time: time(view.ended_at),
            queue_id: &view.queue,
            tag: fit_for_xml(view.name.as_deref().unwrap_or_default()),
        },
    };
    quick_xml::se::to_string_with_root("Response", &response)
        .map_err(|error| Problem::internal(error.to_string()))
}
