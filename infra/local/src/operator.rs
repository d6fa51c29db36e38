//! `tarpon project create`: through a running server's socket, or straight
//! into the table when none runs.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use clap::{Args, Subcommand};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use shared::{
    auth::Keyring,
    ops::projects,
    platform::{Clock, NoOutbox, NoRuntime, Platform},
    service::{Config, Limits, Service},
};

use crate::{clock::SystemClock, data::DataDirectory, serve::Failure};

/// Options of `tarpon project`.
#[derive(Args, Clone, Debug)]
pub struct ProjectOptions {
    /// The server's folder.
    #[arg(long, default_value = ".tarpon", env = "TARPON_DATA", global = true)]
    pub data: PathBuf,
    #[command(subcommand)]
    command: ProjectCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum ProjectCommand {
    /// Make a project, and print its id and its first access key as JSON.
    Create {
        /// What people call it.
        name: String,
    },
}

/// Does what the operator asks.
pub async fn run(options: ProjectOptions) -> Result<(), Failure> {
    let ProjectCommand::Create { name } = options.command;
    let data = DataDirectory::open(&options.data)?;
    let made = match ask(&data, &name).await? {
        Some(made) => made,
        None => create(&data, &name).await?,
    };
    println!("{made}");
    Ok(())
}

/// Asks a running server; `None` if none runs.
async fn ask(data: &DataDirectory, name: &str) -> Result<Option<Value>, Failure> {
    let Ok(stream) = tokio::net::UnixStream::connect(data.operator_socket()).await else {
        return Ok(None);
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let body = Full::new(Bytes::from(json!({ "name": name }).to_string()));
    let request = http::Request::post("/v1/projects")
        .header(http::header::HOST, "operator")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer: Value = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
    drop(sender);
    connection.await??;
    if status.is_success() {
        return Ok(Some(only_credentials(&answer)));
    }
    Err(answer["detail"].as_str().unwrap_or("the server refused").into())
}

fn only_credentials(answer: &Value) -> Value {
    json!({
        "project_id": answer["project_id"],
        "access_key_id": answer["access_key_id"],
        "secret_access_key": answer["secret_access_key"],
    })
}

/// Makes the project while no server runs.
async fn create(data: &DataDirectory, name: &str) -> Result<Value, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keyring = Keyring::new(&data.master_key()?);
    let (table, objects) = data.open_stores(1 << 20, &keyring, &clock)?;
    let service = Service {
        platform: Platform {
            table: Arc::new(table),
            objects: Arc::new(objects),
            runtime: Arc::new(NoRuntime("no server runs")),
            outbox: Arc::new(NoOutbox("no server runs")),
            clock,
        },
        keyring,
        limits: Limits::default(),
        config: Config {
            public_url: String::new(),
            longest_wait_seconds: 0,
            pic_process_image: String::new(),
            message_queues: Vec::new(),
            prices: None,
        },
        backlog: Arc::default(),
        queues: Arc::default(),
        turns: Arc::default(),
    };
    let new = projects::create(&service, name).await?;
    Ok(json!({
        "project_id": new.project.id,
        "access_key_id": new.key,
        "secret_access_key": new.secret.reveal(),
    }))
}
