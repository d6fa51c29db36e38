//! What a token is asked for with: who it is for, and what it is to be good
//! for, in all the ways in which Keystone lets that be said.
//!
//! A user is an access key, its password the key's secret. A key is good for
//! one project, so that every scope says the same in other words, or is refused.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::{
    auth::{self, AccessToken, signing::same},
    job::AccessKeyId,
    ops::projects::Project,
    service::Service,
};

use crate::{faults::Fault, keystone::regions::is_region};

/// How long a token is good for, in seconds.
const TOKEN_SECONDS: i64 = 24 * 3600;

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
    const ALL: [Method; 2] = [Method::Password, Method::Token];

    /// As Keystone calls it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Password => "password",
            Method::Token => "token",
        }
    }
}

impl Scope {
    const ALL: [Scope; 3] = [Scope::Project, Scope::Domain, Scope::Unscoped];

    fn word(self) -> &'static str {
        match self {
            Scope::Project => "project",
            Scope::Domain => "domain",
            Scope::Unscoped => "unscoped",
        }
    }
}

/// How a token was issued, which it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// By what.
    pub method: Method,
    /// For what.
    pub scope: Scope,
    /// When.
    pub at: Timestamp,
}

impl Issue {
    fn said(self) -> String {
        format!("{} {} {}", self.method.word(), self.scope.word(), self.at.as_microsecond())
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next();
        let (method, scope, at) = (word()?, word()?, word()?);
        Some(Issue {
            method: Method::ALL.into_iter().find(|known| known.word() == method)?,
            scope: Scope::ALL.into_iter().find(|known| known.word() == scope)?,
            at: Timestamp::from_microsecond(at.parse().ok()?).ok()?,
        })
    }

    /// That of a token that was issued by another API, which is for a key's
    /// secret, and as long ago as most of them are.
    fn elsewhere(token: &AccessToken, now: Timestamp) -> Self {
        let lifetime = SignedDuration::from_secs(auth::TOKEN_SECONDS.into());
        let at = now.min(token.expires_at - lifetime);
        Issue { method: Method::Password, scope: Scope::Project, at }
    }
}

/// The key of a token that is still good.
pub fn open(service: &Service, token: &str) -> Result<AccessToken, Fault> {
    issued(service, token).map(|(token, _)| token)
}

/// The same, and how it was issued.
pub fn issued(service: &Service, token: &str) -> Result<(AccessToken, Issue), Fault> {
    let opened = AccessToken::open_with(token, &service.keyring);
    let (opened, said) = opened.ok_or(Fault::Unauthenticated("the token is not valid"))?;
    let now = service.platform.clock.now();
    if opened.expires_at <= now {
        return Err(Fault::Unauthenticated("the token has expired"));
    }
    let issue = Issue::read(&said).unwrap_or_else(|| Issue::elsewhere(&opened, now));
    Ok((opened, issue))
}

/// A new token of the key, and until when it is good: as long as any, or as
/// long as the one that it was asked for with.
pub fn seal(
    service: &Service,
    key: AccessKeyId,
    issue: Issue,
    until: Option<Timestamp>,
) -> (String, Timestamp) {
    let whole = issue.at + SignedDuration::from_secs(TOKEN_SECONDS);
    let expires_at = until.map_or(whole, |until| until.min(whole));
    // What it says of itself, of whole seconds, is what its owner is told.
    let expires_at = Timestamp::from_second(expires_at.as_second()).unwrap_or(expires_at);
    let token = AccessToken { key, expires_at };
    (token.seal_with(&service.keyring, &issue.said()), expires_at)
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
