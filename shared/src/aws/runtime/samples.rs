//! What the tests of this module launch.

use std::collections::BTreeMap;

use super::config::{Architecture, Capacity, EcsConfig, Logs};
use crate::{
    job::{AttemptId, AttemptKey, JobId, Network, ProjectId, ResolvedImage, Resources},
    platform::Launch,
};

pub(super) fn config() -> EcsConfig {
    EcsConfig {
        instance: "tarpon".into(),
        cluster: "tarpon".into(),
        agent_image: format!("agent@sha256:{}", "a".repeat(64)),
        execution_role: "arn:aws:iam::123456789012:role/execution".into(),
        service: "https://service.example".into(),
        subnets: vec!["subnet-1".into(), "subnet-2".into()],
        security_groups: vec!["sg-1".into()],
        public_ip: true,
        architecture: Architecture::Amd64,
        capacity: Capacity::OnDemand,
        logs: Some(Logs { group: "/tarpon".into(), region: "eu-west-1".into() }),
        disk_gib: None,
    }
}

pub(super) fn launch() -> Launch {
    Launch {
        attempt: AttemptKey {
            project: ProjectId::new([7; 16]),
            attempt: AttemptId {
                job: JobId::from_bits(7),
                run: 1,
                task: 0,
                instance: 0,
                number: 1,
            },
        },
        image: ResolvedImage {
            digest: format!("host.example/team/tool@sha256:{}", "b".repeat(64)),
            entrypoint: Vec::new(),
            command: Vec::new(),
            env: BTreeMap::new(),
            workdir: None,
            user: None,
            platform: "linux/amd64".into(),
            pull_secret: None,
        },
        token: "secret".into(),
        resources: Resources { cpu_millis: 500, memory_mib: 700 },
        network: Network::Egress,
        read_only_root: false,
        user: None,
        grace_seconds: 10,
        labels: BTreeMap::from([("task".into(), "main".into())]),
    }
}
