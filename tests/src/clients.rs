//! The vendors' own clients, unmodified: what is done with each is told in
//! Python, in a file of `tests/clients`.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::{Credentials, clients_python, run, workspace};

/// What such a file is told of.
#[derive(Clone, Debug)]
pub struct Clients<'a> {
    /// Where the API is.
    pub url: &'a str,
    /// The project that it is about, and one that is to see nothing of it.
    pub projects: [&'a Credentials; 2],
    /// A job that makes the probe take no step.
    pub probe: Value,
    /// Variables of the environment, for what not every file needs.
    pub more: Vec<(String, String)>,
}

impl Clients<'_> {
    /// Tells all stories of a file, by its name without its ending.
    ///
    /// # Panics
    ///
    /// If a story fails, or if there is none, or if one is left out.
    pub async fn tell(&self, file: &str) {
        let home = tempfile::tempdir().expect("a folder can be made");
        let said = run(&mut self.python(home.path(), file), b"").await;
        let said = said.expect("Python starts").expect(0);
        // All is well, too, where nothing was tried.
        let tried = said.stderr.lines().find_map(|line| line.strip_prefix("Ran "));
        let tried = tried.unwrap_or_else(|| panic!("{}", said.stderr));
        assert!(!tried.starts_with("0 ") && !said.stderr.contains("skipped"), "{}", said.stderr);
    }

    /// Python with the clients, the file, and nothing of whoever tells it:
    /// clients look for settings in many places.
    fn python(&self, home: &Path, file: &str) -> Command {
        let mut command = Command::new(clients_python());
        command
            .args(["-m", "unittest", "--verbose", file])
            .current_dir(workspace().join("tests/clients"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "*")
            .env("TARPON_URL", self.url)
            .env("TARPON_PROBE", self.probe.to_string())
            .envs(self.more.iter().cloned());
        for (prefix, project) in ["TARPON", "TARPON_OTHER"].into_iter().zip(self.projects) {
            command
                .env(format!("{prefix}_PROJECT_ID"), &project.project)
                .env(format!("{prefix}_ACCESS_KEY_ID"), &project.key)
                .env(format!("{prefix}_SECRET_ACCESS_KEY"), &project.secret);
        }
        command
    }
}
