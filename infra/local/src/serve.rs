//! `tarpon serve`: the platform, the functions and what invokes them, in one
//! process.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use serde_json::json;
use shared::{
    auth::Keyring,
    fargate::Prices,
    job::Resources,
    ops::projects,
    outbox::HttpOutbox,
    platform::{Clock, Platform},
    service::{Config, Limits, Service},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    agent,
    clock::SystemClock,
    data::{Credentials, DataDirectory},
    gateway, host,
    runtime::{
        self, DockerConfig, DockerRuntime, Local, ProcessConfig, ProcessRuntime,
        docker::{Cidr, Guard},
    },
};

/// How much of the table is kept in memory, in bytes.
const CACHE_BYTES: usize = 8 << 20;

/// The longest that a request may wait, in seconds.
const LONGEST_WAIT: u32 = 24 * 3600;

/// Anything that keeps a server from starting.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Options of `tarpon serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080", env = "TARPON_LISTEN")]
    pub listen: SocketAddr,
    /// Folder that everything is kept in.
    #[arg(long, default_value = ".tarpon", env = "TARPON_DATA")]
    pub data: PathBuf,
    /// What runs the jobs.
    #[arg(long, value_enum, default_value_t = RuntimeChoice::Auto, env = "TARPON_RUNTIME")]
    pub runtime: RuntimeChoice,
    /// Address of the container engine, such as `unix:///run/user/1000/docker.sock`
    /// or `tcp://127.0.0.1:2375`; Docker's own without it.
    #[arg(long, env = "DOCKER_HOST")]
    pub engine: Option<String>,
    /// CPUs that jobs may use in all; the machine's without it.
    #[arg(long, value_name = "CPUS")]
    pub cpus: Option<f64>,
    /// Memory that jobs may use in all, in MiB; the machine's without it.
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// Addresses that registries may have although they are not public.
    #[arg(long, value_name = "CIDR")]
    pub allow_registry_at: Vec<Cidr>,
    /// Addresses that callbacks may go to although they are not public.
    #[arg(long, value_name = "CIDR")]
    pub allow_callback_to: Vec<Cidr>,
    /// Add no rules to this machine's packet filter: containers with network
    /// access can then reach its own ports and the cloud's metadata service.
    #[arg(long)]
    pub leave_packet_filter: bool,
    /// Agent program to put into containers, in place of the built-in one.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Image of the operation `PicProcess`.
    #[arg(
        long,
        value_name = "IMAGE",
        default_value = "tarpon/pic-process",
        env = "TARPON_PIC_PROCESS_IMAGE"
    )]
    pub pic_process_image: String,
    /// US dollars an hour for a CPU and for a GiB of memory on Fargate, by
    /// which jobs tell what they would cost there; as listed for Linux on
    /// x86-64 in us-east-1 without it.
    #[arg(long, value_name = "CPU,GIB", default_value_t = Prices::X86_64, env = "TARPON_PRICES")]
    pub prices: Prices,
    /// Address that clients know this server by, for links.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

/// What runs the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeChoice {
    /// Docker, if an engine answers.
    Auto,
    /// Containers of a Docker engine.
    Docker,
    /// Plain processes of this machine, without any isolation: for trusted work.
    Process,
}

/// Serves until interrupted.
pub async fn serve(options: ServeOptions) -> Result<(), Failure> {
    let data = DataDirectory::open(&options.data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let master = data.master_key()?;
    let keyring = Keyring::new(&master);
    let (table, objects) = data.open_stores(CACHE_BYTES, &keyring, &clock)?;
    let (table, objects) = (Arc::new(table), Arc::new(objects));
    data.install_agent(&agent::program(options.agent.as_deref())?)?;
    let total = total(&options);
    let local = start_runtime(&options, &data, &master, total).await?;
    // Before anything is read, so that no change is missed.
    let feed = table.feed();

    let listener = CancellationToken::new();
    let address = options.listen;
    if !address.ip().is_loopback() {
        warn!(%address, "plain HTTP outside loopback: put TLS in front of it");
    }
    let bound = std::net::TcpListener::bind(address)?;
    bound.set_nonblocking(true)?;
    let bound_address = bound.local_addr()?;
    let public_url = options.public_url.clone().unwrap_or(format!("http://{bound_address}"));
    let service = Service {
        platform: Platform {
            table: Arc::clone(&table) as _,
            objects: Arc::clone(&objects) as _,
            runtime: Arc::clone(&local.runtime),
            outbox: Arc::new(HttpOutbox::new(Guard::new(options.allow_callback_to.clone()))),
            clock,
        },
        keyring,
        limits: Limits {
            cpu_millis: total.cpu_millis,
            memory_mib: total.memory_mib,
            ..Limits::default()
        },
        config: Config {
            public_url: public_url.clone(),
            longest_wait_seconds: LONGEST_WAIT,
            pic_process_image: options.pic_process_image.clone(),
            message_queues: Vec::new(),
            prices: Some(options.prices),
        },
        backlog: Arc::default(),
        queues: Arc::default(),
        turns: Arc::default(),
    };
    first_project(&service, &data).await?;

    let socket = data.home().join(shared::agent::SOCKET);
    let agents = gateway::serve_unix(
        &socket,
        0o777,
        gateway::agent_router(&service, &objects),
        listener.clone(),
    )?;
    let operator = gateway::serve_unix(
        &data.operator_socket(),
        0o600,
        gateway::operator_router(&service),
        listener.clone(),
    )?;
    let clients =
        gateway::serve_tcp(bound, gateway::api_router(&service, &objects), listener.clone())?;
    let serving = tokio::spawn(async move { tokio::join!(agents, operator, clients) });
    let driver = host::start(&service, feed, local, &objects);

    let line = json!({ "listening": format!("http://{bound_address}") });
    data.write(&data.server_file(), line.to_string().as_bytes(), 0o644)?;
    println!("{line}");
    info!(listening = %bound_address, data = %options.data.display(), "ready");

    stop_asked().await?;
    info!("stopping: no new launches; running containers stay");
    driver.drain().await;
    listener.cancel();
    let _ = std::fs::remove_file(data.server_file());
    serving.await?;
    Ok(())
}

/// What jobs may use in all.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn total(options: &ServeOptions) -> Resources {
    let machine = runtime::Room::of_this_machine();
    let cpu_millis = options.cpus.map(|cpus| (cpus * 1_000.0).clamp(1.0, 4e9) as u32);
    Resources {
        cpu_millis: cpu_millis.unwrap_or(machine.cpu_millis),
        memory_mib: options.memory.unwrap_or(machine.memory_mib),
    }
}

async fn start_runtime(
    options: &ServeOptions,
    data: &DataDirectory,
    master: &[u8; 32],
    total: Resources,
) -> Result<Local, Failure> {
    if options.runtime == RuntimeChoice::Process {
        warn!("jobs run as plain processes of this machine, without any isolation");
        let config = ProcessConfig {
            agent: data.home().join(shared::agent::PROGRAM),
            folder: data.attempts(),
            service: format!("unix:{}", data.home().join(shared::agent::SOCKET).display()),
            total,
        };
        return Ok(ProcessRuntime::start(config).await?);
    }
    let engine = runtime::detect(options.engine.as_deref()).await?;
    info!(engine = engine.host(), "container engine found");
    let config = DockerConfig {
        instance: DataDirectory::instance(master),
        home: data.home(),
        scratch: data.attempts(),
        service: format!("unix:{}/{}", shared::agent::HOME, shared::agent::SOCKET),
        total: Some(total),
        registries: Guard::new(options.allow_registry_at.clone()),
        shield: !options.leave_packet_filter,
    };
    Ok(DockerRuntime::connect(&engine, config).await?)
}

/// On first start there is a project, and a key that the command line finds.
async fn first_project(service: &Service, data: &DataDirectory) -> Result<(), Failure> {
    if data.credentials_file().exists() {
        return Ok(());
    }
    let new = projects::create(service, "default").await?;
    let credentials = Credentials {
        project_id: new.project.id.to_string(),
        access_key_id: new.key.to_string(),
        secret_access_key: new.secret.reveal().to_owned(),
    };
    let json = serde_json::to_vec_pretty(&credentials)?;
    data.write(&data.credentials_file(), &json, 0o600)?;
    info!(project.id = credentials.project_id, "made the project `default`");
    Ok(())
}

async fn stop_asked() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
