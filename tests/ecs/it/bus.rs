//! An event bus: takes what is put on it, and hands it on.

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// What came, entry by entry.
pub struct Bus {
    pub url: String,
    entries: mpsc::UnboundedReceiver<Value>,
}

impl Bus {
    pub async fn open() -> Self {
        let (queue, entries) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let routes = Router::new().route("/", post(put)).with_state(queue);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Bus { url, entries }
    }

    /// The next event, as a rule hands it to a function.
    pub async fn event(&mut self) -> Value {
        let entry = self.entries.recv().await.expect("the bus is open");
        json!({
            "version": "0",
            "id": "0",
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "resources": entry["Resources"],
            "detail": serde_json::from_str::<Value>(entry["Detail"].as_str().unwrap()).unwrap(),
        })
    }
}

async fn put(State(queue): State<mpsc::UnboundedSender<Value>>, body: Bytes) -> String {
    let body: Value = serde_json::from_slice(&body).unwrap();
    for entry in body["Entries"].as_array().unwrap() {
        queue.send(entry.clone()).ok();
    }
    json!({ "FailedEntryCount": 0, "Entries": [] }).to_string()
}
