//! Telling the host whose container has died.

use std::{pin::pin, time::Duration};

use bollard::{
    Docker,
    errors::Error,
    models::EventMessage,
    query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder},
};
use futures::TryStreamExt;
use shared::job::AttemptKey;
use tokio::sync::mpsc;
use tracing::warn;

use super::container;

/// How long an engine that went away is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells every death, some of them twice, until nobody listens.
pub(super) async fn watch(engine: Docker, instance: String, tell: mpsc::Sender<AttemptKey>) {
    loop {
        tokio::select! {
            () = tell.closed() => return,
            followed = follow(&engine, &instance, &tell) => if let Err(error) = followed {
                warn!(error = &error as &dyn std::error::Error, "the engine's events broke off");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow(
    engine: &Docker,
    instance: &str,
    tell: &mpsc::Sender<AttemptKey>,
) -> Result<(), Error> {
    // By the engine's own clock, read before anything else: what dies between
    // now and the subscription is told in the stream, what died before is
    // found by looking.
    let since = now(engine).await?;
    for attempt in ended(engine, instance).await? {
        let _ = tell.send(attempt).await;
    }
    let mut filters = container::of_instance(instance);
    filters.insert("type".into(), vec!["container".into()]);
    filters.insert("event".into(), vec!["die".into()]);
    let mut options = EventsOptionsBuilder::new().filters(&filters);
    if let Some(since) = &since {
        options = options.since(since);
    }
    let mut events = pin!(engine.events(Some(options.build())));
    while let Some(event) = events.try_next().await? {
        if let Some(attempt) = dead(&event) {
            let _ = tell.send(attempt).await;
        }
    }
    Ok(())
}

async fn now(engine: &Docker) -> Result<Option<String>, Error> {
    let time = engine.info().await?.system_time;
    let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
    Ok(time.map(|time| format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())))
}

async fn ended(engine: &Docker, instance: &str) -> Result<Vec<AttemptKey>, Error> {
    let mut filters = container::of_instance(instance);
    filters.insert("status".into(), vec!["exited".into(), "dead".into()]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.list_containers(Some(options)).await?;
    Ok(found.iter().filter_map(|it| container::attempt(it.labels.as_ref()?)).collect())
}

fn dead(event: &EventMessage) -> Option<AttemptKey> {
    container::attempt(event.actor.as_ref()?.attributes.as_ref()?)
}
