//! From a request's credentials to the project it speaks for.

use data_encoding::BASE64;

use super::{AccessToken, signing::same};
use crate::{
    job::{AccessKeyId, AttemptKey, ProjectId},
    ops::keys,
    service::Service,
    wire::{Caller, Problem, Request},
};

/// The name of the native API, for keys that are limited to some.
pub const NATIVE: &str = "native";

/// The APIs that a key can be limited to: the native one, and the dialects.
pub const APIS: [&str; 6] =
    [NATIVE, "ucloud-ugc", "tencent-batch", "tencent-ci", "alibaba-ehpc", "huawei-ims"];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The project that the request is for.
    pub project: ProjectId,
    /// The key it was made with.
    pub key: AccessKeyId,
}

/// Who asks, by `Authorization: Bearer <access token>` or `Basic id:secret`.
///
/// The request is read before anything is waited for: its body need not be
/// shared between threads.
pub fn authenticate<'s>(
    service: &'s Service,
    request: &Request,
) -> impl Future<Output = Result<Identity, Problem>> + Send + use<'s> {
    let key = claimed(service, request);
    async move { verified(service, key?, NATIVE).await }
}

/// Who asks, by `Authorization: Basic id:secret` alone.
pub fn authenticate_key<'s>(
    service: &'s Service,
    request: &Request,
) -> impl Future<Output = Result<Identity, Problem>> + Send + use<'s> {
    let key = match request.header("authorization").and_then(|header| header.split_once(' ')) {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("basic") => {
            basic(service, credential.trim())
        }
        _ => Err(Problem::Unauthenticated("an access key is required: Basic id:secret")),
    };
    async move { verified(service, key?, NATIVE).await }
}

/// The key that the request proves to have, by its secret or by a token.
fn claimed(service: &Service, request: &Request) -> Result<AccessKeyId, Problem> {
    let Some(header) = request.header("authorization") else {
        return Err(Problem::Unauthenticated("a credential is required: Bearer or Basic"));
    };
    let (scheme, credential) = header.split_once(' ').unwrap_or((header, ""));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => bearer(service, credential.trim()),
        "basic" => basic(service, credential.trim()),
        _ => Err(Problem::Unauthenticated("the authorization scheme is Bearer or Basic")),
    }
}

/// Which attempt asks, by the token that is good for it alone.
pub fn attempt_of(service: &Service, request: &Request) -> Result<AttemptKey, Problem> {
    let refused = Problem::Unauthenticated("the attempt's own token is required");
    let header = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    let Some(token) = header else { return Err(refused) };
    let project = token.split_once('.').and_then(|(project, _)| project.parse().ok());
    let Some(project) = project else { return Err(refused) };
    let attempt = AttemptKey { project, attempt: request.parameter("attempt")? };
    if service.keyring.is_attempt_token(attempt, token) { Ok(attempt) } else { Err(refused) }
}

/// Lets only the operator through.
pub fn operator(request: &Request) -> Result<(), Problem> {
    match request.caller {
        Caller::Operator => Ok(()),
        Caller::Outside => Err(Problem::Forbidden("only the operator may do this")),
    }
}

fn bearer(service: &Service, token: &str) -> Result<AccessKeyId, Problem> {
    let token = AccessToken::open(token, &service.keyring)
        .ok_or(Problem::Unauthenticated("the access token is not valid"))?;
    if token.expires_at <= service.platform.clock.now() {
        return Err(Problem::Unauthenticated("the access token has expired"));
    }
    Ok(token.key)
}

/// A key that does not exist and a wrong secret are told apart by nothing.
fn basic(service: &Service, credential: &str) -> Result<AccessKeyId, Problem> {
    let wrong = || Problem::Unauthenticated("the access key or its secret is wrong");
    let decoded = BASE64.decode(credential.as_bytes()).map_err(|_| wrong())?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(wrong)?;
    let id: AccessKeyId = id.parse().map_err(|_| wrong())?;
    let right = service.keyring.secret_of(id);
    if same(right.reveal(), secret) { Ok(id) } else { Err(wrong()) }
}

/// Whom a key speaks for that has been proven to be the caller's, if it is good
/// for this API.
///
/// It is looked up at each use, so that disabling it ends it at once.
pub async fn verified(service: &Service, key: AccessKeyId, api: &str) -> Result<Identity, Problem> {
    match keys::load(service, key).await? {
        None => Err(Problem::Unauthenticated("the access key or its secret is wrong")),
        Some(record) if record.disabled_at.is_some() => {
            Err(Problem::Unauthenticated("the access key is disabled"))
        }
        Some(record) if !record.is_good_for(api) => {
            Err(Problem::Forbidden("the access key is limited to other APIs"))
        }
        Some(_) => Ok(Identity { project: key.project(), key }),
    }
}
