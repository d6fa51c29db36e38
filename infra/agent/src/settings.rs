//! What the runtime tells the agent: four variables.

use std::path::PathBuf;

use shared::agent::{
    ATTEMPT_VARIABLE, SCRATCH, SCRATCH_VARIABLE, SERVICE_VARIABLE, TOKEN_VARIABLE,
};

use crate::connect::Address;

/// The agent's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The attempt's id, for the service to read.
    pub attempt: String,
    /// The attempt's token.
    pub token: String,
    /// Where the service is.
    pub service: Address,
    /// Where the agent may write; absolute.
    pub scratch: PathBuf,
}

/// A variable that is missing or makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {why}")]
pub struct BadSetting {
    name: &'static str,
    why: String,
}

impl Settings {
    /// Reads this process's environment.
    #[expect(clippy::disallowed_methods, reason = "this is the place where it is read")]
    pub fn from_environment() -> Result<Settings, BadSetting> {
        Settings::from(|name| std::env::var(name).ok())
    }

    /// Reads the variables that `variable` knows.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Settings, BadSetting> {
        let needed = |name: &'static str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| BadSetting { name, why: "is not set".to_owned() })
        };
        let service = needed(SERVICE_VARIABLE)?;
        let scratch = variable(SCRATCH_VARIABLE).unwrap_or_else(|| SCRATCH.to_owned());
        Ok(Settings {
            attempt: needed(ATTEMPT_VARIABLE)?,
            token: needed(TOKEN_VARIABLE)?,
            service: service
                .parse()
                .map_err(|why| BadSetting { name: SERVICE_VARIABLE, why: format!("{why}") })?,
            // The agent changes its folder before it is done with this one.
            scratch: std::path::absolute(&scratch)
                .map_err(|why| BadSetting { name: SCRATCH_VARIABLE, why: why.to_string() })?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        let told = |name: &str| (name != TOKEN_VARIABLE).then(|| "unix:/socket".to_owned());
        let refused = Settings::from(told).unwrap_err();
        assert_eq!(refused.to_string(), "TARPON_TOKEN: is not set");
    }
}
