//! Whether anything is left undone.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{Client, PATIENCE, Runtime, engine};

/// Waits until nothing is left undone; what is, if that takes too long.
pub(crate) async fn settled(
    runtime: Runtime,
    data: &Path,
    clients: &[Client],
) -> Result<(), String> {
    let start = Instant::now();
    while let Some(left) = owed(runtime, data, clients).await {
        if start.elapsed() > PATIENCE / 2 {
            return Err(left);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What is left undone, in words; `None` when nothing is.
async fn owed(runtime: Runtime, data: &Path, clients: &[Client]) -> Option<String> {
    for client in clients {
        for state in ["queued", "running", "stopping"] {
            let open = client.page("jobs", &format!("state={state}"), None).await.items;
            if let Some(job) = open.first() {
                return Some(format!("{} jobs are {state}: {job:#}", open.len()));
            }
        }
        let queues = client.get("/v1/queues").await.expect(200).json();
        let held = queues["queues"].as_array()?.iter().find(|queue| queue["running"] != json!(0));
        if let Some(queue) = held {
            return Some(format!("a slot is held: {queue}"));
        }
    }
    let attempts = std::fs::read_dir(data.join("attempts")).into_iter().flatten().count();
    if attempts > 0 {
        return Some(format!("{attempts} folders of attempts are left"));
    }
    if runtime == Runtime::Docker {
        let left = engine::containers(data);
        if !left.is_empty() {
            return Some(format!("containers are left: {left:?}"));
        }
    }
    None
}
