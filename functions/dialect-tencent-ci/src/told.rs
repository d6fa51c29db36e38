//! What the callers of this API's jobs are told, in its own words.

use async_trait::async_trait;
use shared::{
    job::{CallbackFormat, Ending},
    ops::callbacks::{News, Shape, Shaped},
    service::Service,
    wire::Problem,
};

use crate::{
    detail::{self, Detail},
    tree::{Fields, Value},
    words::API,
};

/// The shape of this API's callbacks.
pub struct Told;

#[async_trait]
impl Shape for Told {
    fn api(&self) -> &'static str {
        API
    }

    /// Only success and failure are told: neither a start nor a cancellation
    /// has a message here.
    async fn told(&self, service: &Service, news: News<'_>) -> Result<Option<Shaped>, Problem> {
        let News { job, spec, telling, format } = news;
        let told = telling.ending.filter(|ending| *ending != Ending::Cancelled);
        let Some(ending) = told else { return Ok(None) };
        let detail = detail::ended(service, job, spec, telling, ending).await?;
        Ok(Some(match format {
            CallbackFormat::Xml => in_xml(detail),
            CallbackFormat::Json => in_json(detail)?,
        }))
    }
}

fn in_xml(detail: Detail) -> Shaped {
    let told = Fields::new().with("EventName", "TaskFinish").with("JobsDetail", detail.whole());
    Shaped { content_type: "application/xml", body: told.xml("Response") }
}

/// Jobs are a list here, if of one; and so are results.
fn in_json(detail: Detail) -> Result<Shaped, Problem> {
    let Detail { head, operation, result, kind } = detail;
    let result = result.map(|result| {
        let head =
            Fields::new().with("Code", "Success").with("Message", "").with("State", "Success");
        Value::Several(vec![head.and(result)])
    });
    let job = head
        .with("QueueType", kind.queue_type())
        .with("Operation", operation.with_some("PicProcessResult", result));
    let told = Fields::new().with("EventName", "TaskFinish").with("JobsDetail", vec![job]);
    let body =
        serde_json::to_string(&told).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Shaped { content_type: "application/json", body })
}
