//! Puts the agent into the binary, where the build was told of one.
//!
//! `TARPON_AGENT_BINARY` names the static program that `make` builds first.
//! Without it `tarpon serve` looks for one beside itself.

use std::{env, fs, path::PathBuf};

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn main() {
    println!("cargo:rerun-if-env-changed=TARPON_AGENT_BINARY");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let embedded = match env::var("TARPON_AGENT_BINARY") {
        Ok(path) if !path.is_empty() => {
            println!("cargo:rerun-if-changed={path}");
            format!("Some(include_bytes!({path:?}))")
        }
        _ => "None".to_owned(),
    };
    let code = format!("const EMBEDDED: Option<&[u8]> = {embedded};\n");
    fs::write(out.join("agent.rs"), code).expect("the build's folder can be written to");
}
