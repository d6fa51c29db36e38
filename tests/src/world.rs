//! A server of the story's own, and all that goes with it.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{
    Client, Cpu, Memory, Options, Said, Spec, agents,
    client::Credentials,
    deployed::Deployed,
    engine,
    owed::settled,
    program,
    server::{Server, log_of},
};

/// What runs the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Plain processes.
    Process,
    /// Containers of a Docker engine.
    Docker,
    /// Tasks of a deployment on AWS, or on its stand-in. All stories of a run
    /// are told in one, each in a project of its own.
    Aws,
}

impl Runtime {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Runtime::Process => "process",
            Runtime::Docker => "docker",
            Runtime::Aws => "aws",
        }
    }
}

/// A server, its data directory and its clients, for one story.
pub struct World {
    /// What runs the jobs.
    pub runtime: Runtime,
    /// A client of the first project.
    pub client: Client,
    options: Options,
    data: PathBuf,
    server: Option<Server>,
    /// What there is in place of a server of the story's own.
    deployed: Option<Deployed>,
    address: String,
    /// Clients of every project, for what they may be owed.
    clients: Vec<Client>,
    folder: tempfile::TempDir,
}

impl World {
    /// A world whose jobs run so.
    pub fn start(runtime: Runtime) -> Self {
        Self::start_with(runtime, Options::default())
    }

    /// A world with these options.
    ///
    /// # Panics
    ///
    /// If there is no container engine where one is needed, or the server does
    /// not start.
    pub fn start_with(runtime: Runtime, options: Options) -> Self {
        if runtime == Runtime::Aws {
            return World::deployed(options);
        }
        if runtime == Runtime::Docker {
            engine::require();
            engine::build_probe();
        }
        let folder = folder();
        let data = folder.path().join("data");
        let started = Server::start(runtime, &options, &data, None);
        let server = started.unwrap_or_else(|why| panic!("the server did not start: {why}"));
        let address = server.address.clone();
        let client = Client::new(&format!("http://{address}"), credentials(&data));
        World {
            runtime,
            clients: vec![client.clone()],
            client,
            options,
            data,
            server: Some(server),
            deployed: None,
            address,
            folder,
        }
    }

    /// A world in the deployment that the environment tells of.
    fn deployed(options: Options) -> Self {
        let deployed = Deployed::found();
        let asked = deployed.clone();
        let credentials = apart(async move || asked.project("story").await);
        let client = Client::new(&deployed.url, credentials);
        let folder = folder();
        World {
            runtime: Runtime::Aws,
            clients: vec![client.clone()],
            client,
            options,
            data: folder.path().join("data"),
            server: None,
            address: String::new(),
            deployed: Some(deployed),
            folder,
        }
    }

    /// The name by which jobs know the probe's image.
    pub fn image(&self) -> &str {
        self.deployed.as_ref().map_or(engine::PROBE, |deployed| &deployed.probe)
    }

    /// The name of an image by its digest, whether or not there is one.
    pub fn image_by(&self, digest: &str) -> String {
        match &self.deployed {
            Some(deployed) => format!("{}@{digest}", deployed.probe),
            // An engine's images go by their ids.
            None => digest.to_owned(),
        }
    }

    /// A job that makes the probe take these steps: words told apart by
    /// blanks. Where they need blanks within, there is [`World::probe_words`].
    pub fn probe(&self, steps: &str) -> Spec {
        self.probe_words(&steps.split_whitespace().collect::<Vec<_>>())
    }

    /// A job that makes the probe take these steps.
    pub fn probe_words(&self, words: &[&str]) -> Spec {
        let words = words.iter().map(|word| (*word).to_owned());
        match self.runtime {
            Runtime::Docker | Runtime::Aws => Spec::new(self.image(), words),
            // There is no image: the program has to be named.
            Runtime::Process => {
                let program = program::probe().to_string_lossy().into_owned();
                Spec::new(engine::PROBE, std::iter::once(program).chain(words))
            }
        }
    }

    /// A path for a job's files: `name` in a folder that only this story's
    /// jobs write to, whatever runs them.
    pub fn place(&self, name: &str) -> String {
        match self.runtime {
            Runtime::Docker | Runtime::Aws => format!("/{name}"),
            Runtime::Process => self.beside(name).to_string_lossy().into_owned(),
        }
    }

    /// A path on this machine, for the story itself and for plain processes.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }

    /// The server's folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the server listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How much memory the server holds.
    pub fn memory(&self) -> Memory {
        self.server.as_ref().expect("the server runs").memory()
    }

    /// How much processor time the server has used, and its children.
    pub fn cpu(&self) -> Cpu {
        self.server.as_ref().expect("the server runs").cpu()
    }

    /// How many containers of this server's there are, or how many folders of
    /// processes: attempts that have been started and not forgotten.
    pub fn started(&self) -> usize {
        match self.runtime {
            Runtime::Docker => engine::containers(&self.data).len(),
            Runtime::Process => {
                std::fs::read_dir(self.data.join("attempts")).into_iter().flatten().count()
            }
            Runtime::Aws => panic!("{OUT_OF_SIGHT}"),
        }
    }

    /// Kills the container of an attempt from outside, agent and all; whether
    /// there is one.
    pub fn kill_container(&self, attempt: &str) -> bool {
        engine::kill(attempt)
    }

    /// Puts a file at a [`World::place`] of a job of one container, whose
    /// process awaits it.
    pub fn release(&self, job: &str, file: &str) {
        match self.runtime {
            Runtime::Docker => engine::write(&agents::first_attempt(job), file),
            Runtime::Process => {
                let folder = Path::new(file).parent().expect("a file is in a folder");
                std::fs::create_dir_all(folder).expect("a folder can be made");
                std::fs::write(file, "").expect("a file can be written");
            }
            Runtime::Aws => panic!("{OUT_OF_SIGHT}"),
        }
    }

    /// How many bytes of objects the server has stored, or is about to.
    pub fn stored_bytes(&self) -> u64 {
        files_in(&self.data.join("objects")).iter().sum()
    }

    /// How many files of objects the server has; in a deployment, how many
    /// objects the story's project has.
    pub fn stored_files(&self) -> usize {
        if let Some(deployed) = self.deployed.clone() {
            let project = self.client.credentials.project.clone();
            return apart(async move || deployed.objects(&project).await);
        }
        files_in(&self.data.join("objects")).len()
    }

    /// Processes that run in the place of containers and have no agent: each
    /// by its command line.
    pub fn left_behind(&self) -> Vec<String> {
        agents::left_behind(&self.data)
    }

    /// How many bytes are free where the server keeps its data.
    pub fn free_disk_bytes(&self) -> u64 {
        let about = rustix::fs::statvfs(&self.data).expect("a folder is on some disk");
        about.f_bavail * about.f_frsize
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        match self.deployed.clone() {
            Some(deployed) => apart(async move || deployed.log().await),
            None => log_of(&self.data),
        }
    }

    /// Ends the server at once, as a power cut would.
    pub fn kill9(&mut self) {
        self.server.take().expect("the server runs").kill9();
    }

    /// Asks the server to end, and waits until it has. It has to end well.
    pub fn stop(&mut self) {
        let well = self.server.take().expect("the server runs").stop();
        assert!(well, "the server did not end well");
    }

    /// Starts the server again, over the same data and at the same port.
    pub fn restart(&mut self) {
        assert!(self.server.is_none(), "the server still runs");
        let again = Server::start(self.runtime, &self.options, &self.data, Some(&self.address));
        self.server = Some(again.unwrap_or_else(|why| panic!("no new start: {why}")));
    }

    /// The same, with this on its command line as well.
    pub fn restart_with(&mut self, more: &[&str]) {
        self.options.more.extend(more.iter().map(|word| (*word).to_owned()));
        self.restart();
    }

    /// A client of a project of its own, which the operator makes.
    pub async fn project(&mut self, name: &str) -> Client {
        let credentials = if let Some(deployed) = &self.deployed {
            deployed.project(name).await
        } else {
            let data = self.data.to_string_lossy();
            let made = self.tarpon(&["project", "create", name, "--data", &data]).await.expect(0);
            Credentials::read(&made.json())
        };
        let client = self.client.as_(credentials);
        self.clients.push(client.clone());
        client
    }

    /// Runs the command line against this server.
    pub async fn tarpon(&self, arguments: &[&str]) -> Said {
        self.tarpon_given(arguments, b"").await
    }

    /// Runs the command line with something to read.
    pub async fn tarpon_given(&self, arguments: &[&str], stdin: &[u8]) -> Said {
        let mut command = self.command();
        let said = program::run(command.args(arguments), stdin).await;
        said.expect("the program can be run")
    }

    /// The command line, set to this server and this client.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program::tarpon());
        let Credentials { key, secret, .. } = &self.client.credentials;
        command
            .env("TARPON_URL", self.client.base())
            .env("TARPON_ACCESS_KEY_ID", key)
            .env("TARPON_SECRET_ACCESS_KEY", secret)
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path());
        command
    }

    /// Waits until nothing is owed: no job open, no slot held, no container
    /// and no attempt's folder left. Dropping the world does the same.
    ///
    /// # Panics
    ///
    /// If something is owed for too long.
    pub async fn nothing_owed(&self) {
        if let Err(left) = settled(self.runtime, &self.data, &self.clients).await {
            panic!("{left}");
        }
    }

    /// The same from a place that cannot wait.
    fn nothing_owed_now(&self) -> Result<(), String> {
        let (runtime, data) = (self.runtime, self.data.clone());
        let base = self.client.base().to_owned();
        let known: Vec<Credentials> = self.clients.iter().map(|c| c.credentials.clone()).collect();
        apart(async move || {
            // Connections belong to the runtime that made them: these are new.
            let clients: Vec<_> = known.into_iter().map(|who| Client::new(&base, who)).collect();
            settled(runtime, &data, &clients).await
        })
    }
}

/// What stories of a deployment do not look at.
const OUT_OF_SIGHT: &str = "it cannot be seen from outside";

/// Does this in a place that cannot wait: on a thread with a runtime of its own.
fn apart<T: Send + 'static>(act: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let act = move || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio.expect("a runtime can be made").block_on(act())
    };
    std::thread::spawn(act).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A folder of the story's own. Sockets are in it, whose paths have to be short.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("tarpon").tempdir();
    folder.expect("a folder can be made")
}

impl Drop for World {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let mut left = None;
        if !failed && (self.server.is_some() || self.deployed.is_some()) {
            left = self.nothing_owed_now().err();
        }
        if failed || left.is_some() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(150)..].join("\n");
            eprintln!("--- the server's log ends:\n{end}\n---");
        }
        if let Some(server) = self.server.take() {
            server.kill9();
        }
        match self.runtime {
            Runtime::Docker => engine::clear(&self.data),
            Runtime::Process => agents::clear(&self.data),
            // Its jobs are not ours to end: the stand-in goes as a whole.
            Runtime::Aws => {}
        }
        if let Some(left) = left {
            panic!("the story leaves work behind: {left}");
        }
    }
}

fn credentials(data: &Path) -> Credentials {
    let text = std::fs::read(data.join("credentials.json")).expect("the server wrote a key");
    Credentials::read(&serde_json::from_slice(&text).expect("it is JSON"))
}

/// The sizes of all files in a folder, and in those within.
fn files_in(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let sizes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => files_in(&entry.path()),
        Ok(about) => vec![about.len()],
        // It was there a moment ago.
        Err(_) => Vec::new(),
    };
    entries.flat_map(sizes).collect()
}
