//! Stories, told end to end: the real program, asked by HTTP and by its own
//! command line, with real processes and real containers.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

/// The stories of a file: those told twice, with plain processes and with
/// containers; those about what only containers have; and those that are not
/// about what runs the jobs. Which of them are told in a deployment, too, is
/// said in the end: not those that end the server or look at its files.
macro_rules! stories {
    (
        $(both: $($both:ident),+ $(,)?;)?
        $(docker: $($docker:ident),+ $(,)?;)?
        $(process: $($process:ident),+ $(,)?;)?
        $(aws: $($aws:ident),+ $(,)?;)?
    ) => {
        told! { process Process $($($both)+)? $($($process)+)? }
        told! { docker Docker $($($both)+)? $($($docker)+)? }
        #[cfg(feature = "aws")]
        told! { aws Aws $($($aws)+)? }
    };
}

macro_rules! told {
    ($module:ident $runtime:ident) => {};
    ($module:ident $runtime:ident $($story:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    let mut world = tests::World::start(tests::Runtime::$runtime);
                    super::$story(&mut world).await;
                }
            )+
        }
    };
}

mod container;
mod failure;
mod hello;
mod inputs;
mod logs;
mod objects;
mod reads;
mod tasks;
mod usage;

mod again;
mod caches;
mod queues;
mod stop;
mod triggers;

mod arrays;
mod big;
mod crash;

mod access;
mod callbacks;
mod cli;
mod clients;
mod openapi;
mod refusals;
mod tokens;
