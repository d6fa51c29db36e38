//! An agent, its service, and a folder for what they leave.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use data_encoding::BASE64;
use shared::{
    agent::{Layout, Plan, Report},
    archive::{Manifest, find_manifest},
};
use tempfile::TempDir;

use crate::service::Service;

pub struct World {
    folder: TempDir,
    pub service: Service,
}

impl World {
    pub fn new() -> World {
        let folder = TempDir::new().unwrap();
        let service = Service::new(folder.path());
        service.listen();
        World { folder, service }
    }

    /// A world whose service is not there yet.
    pub fn without_service() -> World {
        let folder = TempDir::new().unwrap();
        let service = Service::new(folder.path());
        World { folder, service }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A plan that runs a script, in a folder of its own that is kept.
    pub fn script(&self, script: &str) -> Plan {
        self.plan(&["/bin/sh", "-c", script])
    }

    pub fn plan(&self, argv: &[&str]) -> Plan {
        let env = [("PATH", "/usr/bin:/bin"), ("GREETING", "hello")];
        Plan {
            argv: argv.iter().map(ToString::to_string).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            workdir: self.text("work"),
            stdin: None,
            inputs: Vec::new(),
            more: None,
            outputs: vec![self.text("work")],
            timeout_seconds: 50,
            grace_seconds: 50,
            collect_seconds: 50,
            layout: Layout::Native,
            image: "sha256:00".to_owned(),
            log_limit: 1 << 20,
            upload: None,
            objects: Vec::new(),
        }
    }

    pub fn start(&self, plan: Option<Plan>) -> Agent {
        self.service.change(|state| state.plan = plan);
        let child = Command::new(env!("CARGO_BIN_EXE_tarpon-agent"))
            .env("TARPON_ATTEMPT", "att-1")
            .env("TARPON_TOKEN", "the-token")
            .env("TARPON_SERVICE", format!("unix:{}", self.service.socket().display()))
            .env("TARPON_SCRATCH", self.path("scratch"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Agent { child }
    }

    /// Runs a plan to its report.
    pub fn run(&self, plan: Plan) -> Report {
        let agent = self.start(Some(plan));
        assert_eq!(agent.exit().code(), Some(0));
        self.report()
    }

    pub fn report(&self) -> Report {
        self.service.state().report.clone().unwrap()
    }

    /// Makes a named pipe that a script can say something into.
    pub fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// The files of the stored archive.
    pub fn members(&self) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(File::open(self.service.archive()).unwrap());
        let mut members = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(members.insert(name, bytes).is_none());
        }
        members
    }

    /// A file below the kept folder.
    pub fn kept(&self, name: &str) -> Option<String> {
        let name = format!("{}/{name}", &self.text("work")[1..]);
        self.members().remove(&name).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub fn manifest(&self) -> Manifest {
        let archive = fs::read(self.service.archive()).unwrap();
        let range = find_manifest(&archive, archive.len() as u64).unwrap();
        let place = |at: u64| usize::try_from(at).unwrap();
        serde_json::from_slice(&archive[place(range.start)..place(range.end)]).unwrap()
    }
}

pub struct Agent {
    child: Child,
}

impl Agent {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub fn exit(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Agent {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}

/// What is said into a pipe, once somebody does.
pub fn heard(pipe: &Path) -> String {
    fs::read_to_string(pipe).unwrap()
}

pub fn plain(tail: &str) -> String {
    String::from_utf8(BASE64.decode(tail.as_bytes()).unwrap()).unwrap()
}
