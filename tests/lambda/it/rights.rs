//! What each function asks of AWS is within its role.

use tests_lambda::{Installation, Setup, every_function, functions};

/// They tell everybody the same.
const ASK_FOR_NOTHING: [&str; 2] = ["describe-api", "get-health"];

/// Every function is invoked, the agent's by a job of each kind; whatever it
/// asks for, its role has to allow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_asks_for_what_its_role_allows_and_for_nothing_else() {
    let installation = Installation::start(Setup::default()).await;
    every_function(&installation).await;

    let (refused, calls) = installation.rights();
    assert_eq!(refused, Vec::<String>::new());
    for (_, name) in functions() {
        let asks = !ASK_FOR_NOTHING.contains(&name);
        assert_eq!(calls[name] > 0, asks, "{name} has asked {} times: {calls:?}", calls[name]);
    }
    println!("{calls:?}");
}
