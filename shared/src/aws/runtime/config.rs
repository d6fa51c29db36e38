//! What there is to decide about tasks, for all of them.

/// Where and how tasks run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcsConfig {
    /// Tells this deployment's tasks from others of the same cluster: 1 to 30
    /// letters, digits, `-` or `_` that stay as long as the deployment.
    pub instance: String,
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The image whose container puts the agent in place, by digest.
    pub agent_image: String,
    /// The ARN of the role with which ECS itself pulls images and writes logs.
    pub execution_role: String,
    /// Where the agent finds the service, such as `https://….on.aws`.
    pub service: String,
    /// The subnets of tasks.
    pub subnets: Vec<String>,
    /// The security groups of tasks; they let nothing in.
    pub security_groups: Vec<String>,
    /// Whether a task gets a public address: without one, its subnets need
    /// another way out.
    pub public_ip: bool,
    /// What tasks run on.
    pub architecture: Architecture,
    /// What tasks run as.
    pub capacity: Capacity,
    /// Where the agent's own faults are logged.
    pub logs: Option<Logs>,
    /// The size of a task's disk, 21 to 200; Fargate's 20 GiB without it.
    pub disk_gib: Option<u16>,
}

/// A kind of processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// `x86_64`.
    #[default]
    Amd64,
    /// AWS Graviton.
    Arm64,
}

impl Architecture {
    /// As images call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }
}

/// How capacity is bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// To keep.
    #[default]
    OnDemand,
    /// For less, and taken away when others pay more.
    Spot,
}

/// A place in `CloudWatch` Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The log group.
    pub group: String,
    /// Its region.
    pub region: String,
}
