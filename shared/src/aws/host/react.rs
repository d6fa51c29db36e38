//! Hosting a reaction.

use std::sync::Arc;

use futures::{StreamExt, stream};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use tracing::{Instrument, error, info_span};

use super::{
    metrics::Outcome,
    sources::{self, Batch, Parcel},
    start::{Host, Ports},
};
use crate::{
    function::{Reaction, said},
    ops::duties::chain,
    service::Service,
};

/// How many events are reacted to side by side: most of the time they wait.
const AT_ONCE: usize = 16;

/// Reacts to what Lambda's event sources bring, for as long as there is any.
pub async fn react<R: Reaction>(reaction: R) -> Result<(), Error> {
    hosted(reaction, Ports::ALL).await
}

/// The same for the one that tells callers, and starts no container.
pub async fn tell<R: Reaction>(reaction: R) -> Result<(), Error> {
    hosted(reaction, Ports::OUTBOX).await
}

async fn hosted<R: Reaction>(reaction: R, ports: Ports) -> Result<(), Error> {
    let host = Host::start(R::NAME, ports).await?;
    let (host, reaction) = (Arc::new(host), Arc::new(reaction));
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (host, reaction) = (Arc::clone(&host), Arc::clone(&reaction));
        let span = info_span!("invocation", request.id = event.context.request_id);
        async move { invoke(&host, reaction.as_ref(), event).await }.instrument(span)
    });
    Runtime::new(handler).run().await
}

/// Without a service nothing was reacted to, and all of it is to come again.
async fn invoke<R: Reaction>(
    host: &Host,
    reaction: &R,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    let began = host.now();
    let LambdaEvent { payload, context, .. } = event;
    let service = host.service().await.map_err(|problem| {
        said(R::NAME, &problem);
        host.measure(&context.request_id, began, Outcome::Failed, 0);
        Diagnostic { error_type: problem.code().to_owned(), error_message: chain(&problem) }
    })?;
    let batch = sources::read(payload);
    let done = react_to(service, reaction, batch).await;
    let outcome = if done.failed.is_empty() { Outcome::Done } else { Outcome::Failed };
    host.measure(&context.request_id, began, outcome, done.parked);
    Ok(done.answer())
}

/// What came of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// What the source is to bring again, where it asks.
    failed: Vec<String>,
    asks_which_failed: bool,
    /// How many were put aside for good.
    parked: u64,
}

impl Done {
    /// Only a queue is told what failed, and brings that again a bounded
    /// number of times. The table's stream would be held up by it: what failed
    /// is owed still, and the minute's sweep finds it.
    fn answer(&self) -> Value {
        if !self.asks_which_failed {
            return Value::Null;
        }
        let failed = self.failed.iter().map(|id| json!({ "itemIdentifier": id }));
        json!({ "batchItemFailures": failed.collect::<Vec<_>>() })
    }
}

/// What came of one event.
enum Fate {
    Done,
    Failed(String),
    Parked,
}

async fn react_to<R: Reaction>(service: &Service, reaction: &R, batch: Batch) -> Done {
    let mut done = Done { asks_which_failed: batch.asks_which_failed, ..Done::default() };
    let parcels = batch.parcels.into_iter().map(|parcel| one(service, reaction, parcel));
    let mut fates = stream::iter(parcels).buffer_unordered(AT_ONCE);
    while let Some(fate) = fates.next().await {
        match fate {
            Fate::Done => {}
            Fate::Failed(id) => done.failed.push(id),
            Fate::Parked => done.parked += 1,
        }
    }
    done
}

/// An event that makes no sense is put aside with its name, and never brought
/// again: it would not make sense then either.
async fn one<R: Reaction>(service: &Service, reaction: &R, parcel: Parcel) -> Fate {
    let Parcel { id, event } = parcel;
    let event = event.and_then(|event| {
        serde_json::from_value::<R::Event>(event).map_err(|error| error.to_string())
    });
    let event = match event {
        Ok(event) => event,
        Err(why) => {
            error!(function = R::NAME, event.id = id, why, "parked");
            return Fate::Parked;
        }
    };
    match reaction.react(service, event).await {
        Ok(()) => Fate::Done,
        Err(problem) => {
            said(R::NAME, &problem);
            Fate::Failed(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{conformance::memory::World, wire::Problem};

    /// Cannot do what is asked for with an odd number.
    struct Even;

    #[derive(Deserialize)]
    struct Asked {
        number: u32,
    }

    impl Reaction for Even {
        const NAME: &'static str = "even";
        type Event = Asked;

        async fn react(&self, _: &Service, event: Asked) -> Result<(), Problem> {
            match event.number % 2 {
                0 => Ok(()),
                _ => Err(Problem::Unavailable("odd".into())),
            }
        }
    }

    fn batch(asks_which_failed: bool) -> Batch {
        let parcel = |id: &str, event| Parcel { id: id.into(), event };
        let parcels = vec![
            parcel("even", Ok(json!({ "number": 2 }))),
            parcel("odd", Ok(json!({ "number": 3 }))),
            parcel("misfit", Ok(json!({ "number": "x" }))),
            parcel("nonsense", Err("no event".into())),
            parcel("odd too", Ok(json!({ "number": 5 }))),
        ];
        Batch { parcels, asks_which_failed }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_gets_back_what_failed_and_not_what_makes_no_sense() {
        let world = World::new().await;
        let done = react_to(&world.service, &Even, batch(true)).await;
        assert_eq!(done.parked, 2);
        let again = json!([{ "itemIdentifier": "odd" }, { "itemIdentifier": "odd too" }]);
        assert_eq!(done.answer(), json!({ "batchItemFailures": again }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_never_held_up() {
        let world = World::new().await;
        let done = react_to(&world.service, &Even, batch(false)).await;
        assert_eq!((done.failed.len(), done.parked), (2, 2));
        assert_eq!(done.answer(), Value::Null);
    }
}
