//! What a token is asked for with: who it is for, and what it is to be good
//! for, in all the ways in which Keystone lets that be said.
//!
//! A user is an access key, its password the key's secret. A key is good for
//! one project, so that every scope says the same in other words, or is refused.

use jiff::Timestamp;
use serde_json::Value;
use shared::{
    auth::{AccessToken, signing::same},
    job::AccessKeyId,
    ops::projects::Project,
    service::Service,
};

use crate::{faults::Fault, keystone::regions::is_region};

/// How long a token is good for, in seconds.
pub const TOKEN_SECONDS: i64 = 24 * 3600;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The project.
    Project,
    /// The domain that the project is in.
    Domain,
    /// Only to ask for another token.
    Unscoped,
}

/// By what a caller proves to be who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A key's secret.
    Password,
    /// An earlier token.
    Token,
}

impl Method {
    /// As Keystone calls it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Token => "token",
        }
    }
}

/// The key of a token that is still good.
pub fn open(service: &Service, token: &str) -> Result<AccessToken, Fault> {
    let opened = AccessToken::open(token, &service.keyring);
    let opened = opened.ok_or(Fault::Unauthenticated("the token is not valid"))?;
    if opened.expires_at <= service.platform.clock.now() {
        return Err(Fault::Unauthenticated("the token has expired"));
    }
    Ok(opened)
}

/// A new token of the key, and until when it is good: as long as any, or as
/// long as the one that it was asked for with.
pub fn seal(service: &Service, key: AccessKeyId, until: Option<Timestamp>) -> (String, Timestamp) {
    let now = service.platform.clock.now();
    let whole = now + jiff::SignedDuration::from_secs(TOKEN_SECONDS);
    let expires_at = until.map_or(whole, |until| until.min(whole));
    (AccessToken { key, expires_at }.seal(&service.keyring), expires_at)
}

/// The key that a request for a token proves to have, by what, and how long
/// the token for it may be good at most.
pub fn identify(
    service: &Service,
    asked: &Value,
) -> Result<(AccessKeyId, Method, Option<Timestamp>), Fault> {
    let identity = &asked["auth"]["identity"];
    let methods = identity["methods"].as_array();
    let methods = methods.ok_or_else(|| missing("auth.identity.methods, a list"))?;
    let method = match methods.iter().map(Value::as_str).collect::<Vec<_>>().as_slice() {
        [Some("password")] => Method::Password,
        [Some("token")] => Method::Token,
        _ => return Err(Fault::Unauthenticated("one method is taken, password or token")),
    };
    match method {
        Method::Password => {
            let key = password(service, &identity["password"]["user"])?;
            Ok((key, method, None))
        }
        Method::Token => {
            let token = identity["token"]["id"].as_str();
            let token = open(service, token.ok_or_else(|| missing("auth.identity.token.id"))?)?;
            Ok((token.key, method, Some(token.expires_at)))
        }
    }
}

/// Whoever has the key goes by its id as a name and as an id, in any domain.
fn password(service: &Service, user: &Value) -> Result<AccessKeyId, Fault> {
    let who = user["id"].as_str().or(user["name"].as_str());
    let who = who.ok_or_else(|| missing("auth.identity.password.user.name, or .id"))?;
    let password = user["password"].as_str();
    let password = password.ok_or_else(|| missing("auth.identity.password.user.password"))?;
    let wrong = || Fault::Unauthenticated("the user's name or password is wrong");
    let key: AccessKeyId = who.parse().map_err(|_| wrong())?;
    let right = service.keyring.secret_of(key);
    if same(right.reveal(), password) { Ok(key) } else { Err(wrong()) }
}

/// What the token is to be good for. Without a word it is the project: a key
/// has no other.
pub fn scope(asked: &Value, project: &Project) -> Result<Scope, Fault> {
    let scope = &asked["auth"]["scope"];
    if scope.is_null() {
        return Ok(Scope::Project);
    }
    if scope == "unscoped" || scope["unscoped"].is_object() {
        return Ok(Scope::Unscoped);
    }
    if scope["domain"].is_object() {
        return Ok(Scope::Domain);
    }
    let wanted = &scope["project"];
    let fits = match (wanted["id"].as_str(), wanted["name"].as_str()) {
        (Some(id), _) => id == project.id.to_string(),
        (None, Some(name)) => goes_by(project, name),
        (None, None) => {
            let why = "the scope is a project by its id or name, or a domain";
            return Err(Fault::Unauthenticated(why));
        }
    };
    fits.then_some(Scope::Project).ok_or(Fault::Unauthenticated("the user has no such project"))
}

/// Whether the project goes by this name: its own, or as projects are called
/// there, by their region alone or with a name of their own behind it.
pub fn goes_by(project: &Project, name: &str) -> bool {
    let own = |name: &str| name == project.name || name == project.id.to_string();
    let (region, rest) = name.split_once('_').map_or((name, None), |(a, b)| (a, Some(b)));
    own(name) || (is_region(region) && rest.is_none_or(own))
}

fn missing(what: &str) -> Fault {
    Fault::Malformed(format!("the body has no {what}"))
}
