//! What containers can reach.
//!
//! A project's containers that may reach the outside share one bridge, on
//! which they cannot reach each other (the engine's `enable_icc=false`); other
//! bridges are out of reach anyway. What the Engine API cannot forbid are the
//! machine itself, at the bridge's address, and the cloud's metadata services:
//! for these the server adds rules to the machine's packet filter where it may
//! (as root, with `iptables`, beside the engine), and says so where it may not.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use bollard::{
    Docker,
    errors::Error,
    models::NetworkCreateRequest,
    query_parameters::{InspectNetworkOptions, PruneNetworksOptionsBuilder},
};
use sha2::{Digest, Sha256};
use shared::{
    job::{Network, ProjectId},
    keyed::{Keyed, guard},
};
use tokio::{process::Command, sync::OnceCell};
use tracing::{info, warn};

use super::{
    container::{self, INSTANCE},
    fault,
};

/// What every bridge of ours is called first, for the packet filter to match.
const PREFIX: &str = "tarpon";

/// The networks of projects.
pub(super) struct Networks {
    engine: Docker,
    instance: String,
    shield: bool,
    shielded: OnceCell<()>,
    making: Keyed<ProjectId>,
    made: Mutex<HashSet<ProjectId>>,
}

impl Networks {
    pub(super) fn new(engine: Docker, instance: &str, shield: bool) -> Self {
        Networks {
            engine,
            instance: instance.to_owned(),
            shield,
            shielded: OnceCell::new(),
            making: Keyed::default(),
            made: Mutex::default(),
        }
    }

    /// The network mode of a container of `project`; its network is there.
    pub(super) async fn mode(&self, project: ProjectId, wish: Network) -> Result<String, Error> {
        match wish {
            Network::None | Network::Least => Ok("none".to_owned()),
            Network::Egress => {
                self.ensure(project).await?;
                Ok(self.name(project))
            }
        }
    }

    /// Somebody removed the network of `project`: it is made again when next
    /// asked for.
    pub(super) fn lost(&self, project: ProjectId) {
        guard(&self.made).remove(&project);
    }

    async fn ensure(&self, project: ProjectId) -> Result<(), Error> {
        if guard(&self.made).contains(&project) {
            return Ok(());
        }
        let _turn = self.making.lock(project).await;
        if guard(&self.made).contains(&project) {
            return Ok(());
        }
        if self.shield {
            self.shielded.get_or_init(shield).await;
        }
        let name = self.name(project);
        match self.engine.inspect_network(&name, None::<InspectNetworkOptions>).await {
            Err(error) if fault::is_missing(&error) => self.make(project).await?,
            found => drop(found?),
        }
        guard(&self.made).insert(project);
        Ok(())
    }

    async fn make(&self, project: ProjectId) -> Result<(), Error> {
        match self.create(project).await {
            // Engines have address ranges for some thirty networks: those of
            // projects that run nothing now are given up.
            Err(error) if is_exhausted(&error) => {
                self.prune().await?;
                self.create(project).await
            }
            settled => settled,
        }
    }

    async fn create(&self, project: ProjectId) -> Result<(), Error> {
        let options = [
            // The bridge's name is taken once, which keeps two of us from
            // making the network twice: engines do not mind equal names.
            ("com.docker.network.bridge.name", self.bridge(project)),
            ("com.docker.network.bridge.enable_icc", "false".to_owned()),
        ];
        let request = NetworkCreateRequest {
            name: self.name(project),
            driver: Some("bridge".to_owned()),
            options: Some(options.map(|(name, value)| (name.to_owned(), value)).into()),
            labels: Some(HashMap::from([(INSTANCE.to_owned(), self.instance.clone())])),
            ..Default::default()
        };
        match self.engine.create_network(request).await {
            Err(error) if is_taken(&error) => Ok(()),
            made => made.map(|_| ()),
        }
    }

    async fn prune(&self) -> Result<(), Error> {
        let filters = container::of_instance(&self.instance);
        let options = PruneNetworksOptionsBuilder::new().filters(&filters).build();
        self.engine.prune_networks(Some(options)).await?;
        guard(&self.made).clear();
        Ok(())
    }

    fn name(&self, project: ProjectId) -> String {
        format!("tarpon-{}-{project}", self.instance)
    }

    /// At most 15 characters, as the kernel has it.
    fn bridge(&self, project: ProjectId) -> String {
        let hash = Sha256::digest(self.name(project));
        let hex = data_encoding::HEXLOWER.encode(&hash);
        format!("{PREFIX}{}", &hex[..9])
    }
}

fn is_taken(error: &Error) -> bool {
    let taken = |message: &str| {
        message.contains("already exists") || message.contains("have same bridge name")
    };
    fault::answer(error).is_some_and(|(_, message)| taken(message))
}

fn is_exhausted(error: &Error) -> bool {
    fault::answer(error).is_some_and(|(_, message)| message.contains("address pool"))
}

/// Cloud metadata services, and what else answers to any machine.
const METADATA: [&str; 3] = ["169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32"];

/// The rules that keep containers from the machine and from metadata. Port 53
/// stays open, since on some clouds the name server has such an address.
fn rules() -> Vec<Vec<&'static str>> {
    const ANY: &str = "tarpon+";
    let end = |protocol| ["-p", protocol, "!", "--dport", "53", "-j", "DROP"];
    let machine =
        ["udp", "tcp"].map(|protocol| [&["INPUT", "-i", ANY][..], &end(protocol)[..]].concat());
    let metadata = METADATA.iter().flat_map(|range| {
        ["udp", "tcp"].map(|protocol| {
            [&["DOCKER-USER", "-i", ANY, "-d", range][..], &end(protocol)[..]].concat()
        })
    });
    machine.into_iter().chain(metadata).collect()
}

/// Adds those rules that are not there yet. They are the same for every server
/// on this machine, and stay.
async fn shield() {
    for rule in rules() {
        if let Err(why) = add(&rule).await {
            warn!(
                why,
                "containers with network access can reach this machine's own ports and the \
                 cloud's metadata service: the packet filter could not be set"
            );
            return;
        }
    }
    info!("containers are kept from this machine's ports and from metadata services");
}

async fn add(rule: &[&str]) -> Result<(), String> {
    if iptables("-C", rule).await.is_ok() {
        return Ok(());
    }
    iptables("-I", rule).await
}

async fn iptables(verb: &str, rule: &[&str]) -> Result<(), String> {
    let done = Command::new("iptables").args(["-w", verb]).args(rule).output().await;
    let done = done.map_err(|error| format!("iptables: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
}
