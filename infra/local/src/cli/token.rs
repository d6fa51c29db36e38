//! `tarpon token`: an access token, for programs without the key.

use reqwest::Method;
use serde_json::{Map, Value};

use super::{Common, client::Repeat, problem::Failure, session::Session, values, views::Token};

/// Print an access token
///
/// It acts for the project until it expires, as `Authorization: Bearer TOKEN`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Example:
  curl -H \"Authorization: Bearer $(tarpon token)\" http://127.0.0.1:8080/v1/jobs")]
pub struct Args {
    /// How long it is good: 60 seconds to a day
    #[arg(long, value_name = "DURATION", value_parser = values::seconds)]
    pub expires_in: Option<u32>,

    #[command(flatten)]
    pub common: Common,
}

/// Prints it, and nothing else.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let mut body = Map::new();
    if let Some(seconds) = args.expires_in {
        body.insert("expires_in".into(), Value::from(seconds));
    }
    let request = session.client.request(Method::POST, &["v1", "tokens"])?.json(&body);
    let token = session.client.json::<Token>(request, Repeat::Safe).await?;
    if session.json {
        return session.screen.json(&token.json);
    }
    session.screen.line(&token.value.access_token)
}
