//! The vendors' own clients against a server of the story's own: a story is
//! named for its file.

use tests::{Clients, Options, Runtime, World};

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
    process: cross_reading, crowd, native;
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
    // Where the dialects of a deployment are.
    let is_told = |name: &str| name == "TARPON_STAND_IN" || name.ends_with("_URL");
    let told = std::env::vars().filter(|(name, _)| name.starts_with("TARPON_") && is_told(name));
    let clients = Clients {
        url: world.client.base(),
        projects: [&world.client.credentials, &other.credentials],
        probe: world.probe_words(&[]).into(),
        more: told.filter(|(name, _)| name != "TARPON_URL").collect(),
    };
    clients.tell(name).await;
}
