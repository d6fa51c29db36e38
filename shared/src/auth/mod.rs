//! Who asks: projects, access keys, access tokens, attempt tokens; and the
//! keys that all of them are derived from.

mod caller;
mod keyring;
mod token;

pub use caller::{Identity, attempt_of, authenticate, authenticate_key, operator};
pub use keyring::{Keyring, Secret};
pub use token::{AccessToken, TOKEN_SECONDS};
