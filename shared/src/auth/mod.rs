//! Who asks: projects, access keys, access tokens, attempt tokens; and the
//! keys that all of them are derived from.

mod caller;
mod keyring;
pub mod signing;
mod token;

pub use caller::{
    APIS, Identity, NATIVE, attempt_of, authenticate, authenticate_key, operator, verified,
};
pub use keyring::{Keyring, Secret};
pub use token::{AccessToken, TOKEN_SECONDS};
