//! The endpoint as a program: `tests-ecs [--listen ADDRESS] [--network MODE]
//! [--events URL] [--event-source NAME]`.
//!
//! Prints one line of JSON once it listens. At its end, by TERM or INT, it takes
//! its containers and volumes with it.

use serde_json::json;
use tests_ecs::{Endpoint, Events, Options};
use tokio::signal::unix::{SignalKind, signal};

type Failed = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let options = options(std::env::args().skip(1))?;
    let mut stop = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let endpoint = Endpoint::start(options).await?;
    println!("{}", json!({ "listening": endpoint.url() }));
    let [terminate, interrupt] = &mut stop;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    endpoint.close().await;
    Ok(())
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Failed> {
    let mut options = Options::default();
    let mut events = None;
    let mut source = None;
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => options.listen = value.parse()?,
            "--network" => options.network = value,
            "--events" => events = Some(value),
            "--event-source" => source = Some(value),
            other => return Err(format!("there is no {other}").into()),
        }
    }
    options.events = events.map(|url| Events::to(url, source.as_deref()));
    Ok(options)
}
