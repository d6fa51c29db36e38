//! The vendors' own clients, unmodified, against a server of the story's own.
//! What is done with each is told in Python, in the file of `tests/clients`
//! that a story is named for.

use std::path::Path;

use tests::{Client, Options, Runtime, World, clients_python, run, workspace};
use tokio::process::Command;

/// Each name is a file of `tests/clients`.
macro_rules! clients {
    ($(docker: $($docker:ident),+ $(,)?;)? $(process: $($process:ident),+ $(,)?;)?) => {
        clients! { @of docker Docker $($($docker)+)? }
        clients! { @of process Process $($($process)+)? }
    };
    (@of $module:ident $runtime:ident) => {};
    (@of $module:ident $runtime:ident $($name:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::tell(tests::Runtime::$runtime, stringify!($name)).await;
                }
            )+
        }
    };
}

clients! {
    docker: alibaba_ehpc, huawei_ims, native, tencent_batch, tencent_ci, ucloud_ugc;
    process: crowd, native;
}

/// In a deployment, where each dialect has a URL of its own.
#[cfg(feature = "aws")]
mod aws {
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn by_url() {
        super::tell_in(tests::World::start(tests::Runtime::Aws), "by_url").await;
    }
}

/// Tells the stories of one file, in two projects of a server of their own.
async fn tell(runtime: Runtime, name: &str) {
    let more = ["--allow-callback-to", "127.0.0.0/8"].map(str::to_owned).to_vec();
    tell_in(World::start_with(runtime, Options { more, ..Options::default() }), name).await;
}

async fn tell_in(mut world: World, name: &str) {
    let other = world.project("other").await;
    let home = world.beside("home");
    std::fs::create_dir_all(&home).unwrap();
    let said = run(&mut python(&world, &other, &home, name), b"").await.unwrap().expect(0);
    // All is well, too, where nothing was tried.
    let tried = said.stderr.lines().find_map(|line| line.strip_prefix("Ran "));
    let tried = tried.unwrap_or_else(|| panic!("{}", said.stderr));
    assert!(!tried.starts_with("0 ") && !said.stderr.contains("skipped"), "{}", said.stderr);
}

/// Python with the clients, the story's file, and nothing of whoever tells it:
/// clients look for settings in many places.
fn python(world: &World, other: &Client, home: &Path, name: &str) -> Command {
    let probe = serde_json::Value::from(world.probe_words(&[]));
    let mut command = Command::new(clients_python());
    command
        .args(["-m", "unittest", "--verbose", name])
        .current_dir(workspace().join("tests/clients"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TMPDIR", home)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .env("TARPON_URL", world.client.base())
        .env("TARPON_PROBE", probe.to_string());
    // Where the dialects of a deployment are.
    let is_told = |name: &str| name == "TARPON_STAND_IN" || name.ends_with("_URL");
    let told = std::env::vars().filter(|(name, _)| name.starts_with("TARPON_") && is_told(name));
    command.envs(told.filter(|(name, _)| name != "TARPON_URL"));
    for (prefix, client) in [("TARPON", &world.client), ("TARPON_OTHER", other)] {
        command
            .env(format!("{prefix}_PROJECT_ID"), &client.credentials.project)
            .env(format!("{prefix}_ACCESS_KEY_ID"), &client.credentials.key)
            .env(format!("{prefix}_SECRET_ACCESS_KEY"), &client.credentials.secret);
    }
    command
}
