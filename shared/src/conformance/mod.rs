//! The suites that define the ports: an adapter is what passes them.
//!
//! Each check is a public `async fn` that takes the port and panics with what
//! is wrong. A suite's macro, such as [`table_suite!`](crate::table_suite),
//! makes a test of each; its `all` runs them one after the other. Checks make
//! up their own names, so a suite may run on a store that is in use.
//!
//! [`memory`] is the platform that tests run on.

pub mod memory;
pub mod objects;
pub mod outbox;
pub mod runtime;
pub mod table;

use std::hash::{BuildHasher, Hasher, RandomState};

use jiff::{SignedDuration, Timestamp};

/// Text that nobody used before: each run of a check works under such a name.
pub(crate) fn fresh() -> String {
    // The standard library's hashers are seeded by the system.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:x}-{:016x}{:016x}", in_seconds(0).as_second(), random(), random())
}

/// So many seconds from now, or before now: a whole second, since a store need
/// not keep more of a time.
#[expect(clippy::disallowed_methods, reason = "what is checked may be a clock's width away")]
pub(crate) fn in_seconds(seconds: i64) -> Timestamp {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Declares the checks of a suite: a function that runs all, and a macro that
/// makes a test of each. `$` is handed in because a macro cannot write it.
macro_rules! suite {
    (($d:tt) $(#[$doc:meta])* $suite:ident, $port:ty, $module:ident: $($check:ident,)+) => {
        /// Runs every check, one after the other.
        pub async fn all(port: $port) {
            $($check(port).await;)+
        }

        $(#[$doc])*
        #[macro_export]
        macro_rules! $suite {
            ($d make:path) => {
                $(
                    #[tokio::test]
                    async fn $check() {
                        let (port, _keep) = $d make().await;
                        $crate::conformance::$module::$check(&*port).await;
                    }
                )+
            };
        }
    };
}
pub(crate) use suite;
