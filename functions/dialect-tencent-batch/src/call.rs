//! From a request to who asks for what: the parameters as one object, and the
//! project whose key signed them.

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::{
    auth::{
        self, AccessToken, Identity,
        signing::{same, sha256_hex},
    },
    job::AccessKeyId,
    ops::{keys, nonces},
    service::Service,
    wire::{Problem, Request, query_pairs},
};

use crate::{
    API,
    faults::Fault,
    flat,
    sign::{self, Authorization, Hash},
};

/// The version of the API that we speak.
const VERSION: &str = "2017-03-12";

/// How far the clock of who asks may be from ours, in seconds.
const WINDOW: i64 = 300;

const QUERY_BYTES: usize = 32 << 10;
const BODY_BYTES: u64 = 10 << 20;
const FORM_BYTES: usize = 1 << 20;

/// Parameters that say who asks and how, beside those of an action.
const COMMON: [&str; 11] = [
    "Action",
    "Language",
    "Nonce",
    "Region",
    "RequestClient",
    "SecretId",
    "Signature",
    "SignatureMethod",
    "Timestamp",
    "Token",
    "Version",
];

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) region: Option<String>,
    pub(crate) parameters: Map<String, Value>,
}

/// A request, read whole.
struct Sent {
    method: Method,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Who asks, and for what.
pub(crate) async fn read(
    service: &Service,
    mut request: Request,
) -> Result<(Identity, Call), Fault> {
    let body = request.bytes("the body", BODY_BYTES).await?;
    let Request { method, query_text: query, headers, .. } = request;
    if query.len() > QUERY_BYTES {
        return Err(too_large("query", QUERY_BYTES));
    }
    let sent = Sent { method, query, headers, body };
    if sent.header("x-tc-action").is_some() {
        by_headers(service, &sent).await
    } else {
        by_parameters(service, &sent).await
    }
}

fn too_large(what: &str, limit: usize) -> Fault {
    let message = format!("The {what} is larger than {limit} bytes.");
    Fault::new("RequestSizeLimitExceeded", message)
}

impl Sent {
    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().ok()?.trim())
    }

    fn needed(&self, name: &str) -> Result<&str, Fault> {
        self.header(name).ok_or_else(|| Fault::missing(name))
    }

    fn is_get(&self) -> bool {
        self.method == Method::GET
    }

    /// The pairs of the query, or of a form.
    fn pairs(&self) -> Result<Vec<(String, String)>, Fault> {
        if self.is_get() {
            return Ok(query_pairs(&self.query)?);
        }
        if self.body.len() > FORM_BYTES {
            return Err(too_large("body", FORM_BYTES));
        }
        let text = std::str::from_utf8(&self.body);
        let text = text.map_err(|_| Fault::new("InvalidRequest", "The body is not UTF-8."))?;
        Ok(query_pairs(text)?)
    }
}

/// By TC3: all but the parameters is in headers.
async fn by_headers(service: &Service, sent: &Sent) -> Result<(Identity, Call), Fault> {
    let wrong = || {
        let message = "The Authorization header is not as the TC3 signature has it.";
        Fault::new("AuthFailure.InvalidAuthorization", message)
    };
    let authorization = sent.header("authorization").ok_or_else(wrong)?;
    let authorization = Authorization::parse(authorization).ok_or_else(wrong)?;
    let key = key(authorization.id)?;
    let at = within_window(service, sent.needed("x-tc-timestamp")?)?;
    if authorization.date != sign::date(at) {
        let message = "The date in the Credential is not the one of X-TC-Timestamp in UTC.";
        return Err(Fault::new("AuthFailure.SignatureFailure", message));
    }
    let fits = signed_by(service, sent, &authorization, key, at).ok_or_else(wrong)?;
    let token = sent.header("x-tc-token");
    let who = identity(service, key, fits, token).await?;
    let parameters = if sent.is_get() { flat::rebuilt(&sent.pairs()?)? } else { json(&sent.body)? };
    is_spoken(sent.header("x-tc-version"))?;
    let action = sent.needed("x-tc-action")?.to_owned();
    let region = sent.header("x-tc-region").map(str::to_owned);
    Ok((who, Call { action, region, parameters: whole(parameters) }))
}

/// Whether the signature is the key's; `None` if a header that it names is not
/// there. What the vendor's clients sign of mixed case and what its words say
/// differ, and so do its clients on the host's port: any of it will do.
fn signed_by(
    service: &Service,
    sent: &Sent,
    authorization: &Authorization<'_>,
    key: AccessKeyId,
    at: Timestamp,
) -> Option<bool> {
    let payload: &[u8] = match sent.header("x-tc-content-sha256") {
        Some("UNSIGNED-PAYLOAD") => b"UNSIGNED-PAYLOAD",
        _ if sent.is_get() => b"",
        _ => &sent.body,
    };
    // The body may be large: it is hashed once, for all that it may stand in.
    let payload = sha256_hex(payload);
    let query = if sent.is_get() { sent.query.as_str() } else { "" };
    let names = authorization.headers.iter();
    let as_sent: Option<Vec<(&str, String)>> =
        names.map(|name| Some((*name, sent.header(name)?.to_owned()))).collect();
    let as_sent = as_sent?;
    let portless = changed(&as_sent, |name, value| match name {
        "host" => sign::without_port(value).to_owned(),
        _ => value.to_owned(),
    });
    let secret = service.keyring.secret_of(key);
    let fits = |headers: &[(&str, String)]| {
        let canonical = sign::canonical(sent.method.as_str(), query, headers, &payload);
        let signature = sign::tc3(secret.reveal(), at, authorization.service, &canonical);
        same(&signature, authorization.signature)
    };
    let lowered = |headers: &[_]| changed(headers, |_, value| value.to_lowercase());
    Some([as_sent, portless].iter().any(|headers| fits(headers) || fits(&lowered(headers))))
}

/// Headers, by their names, with other values.
fn changed<'n>(
    headers: &[(&'n str, String)],
    value: impl Fn(&str, &str) -> String,
) -> Vec<(&'n str, String)> {
    headers.iter().map(|(name, said)| (*name, value(name, said))).collect()
}

/// By an older signature: all is among the parameters.
async fn by_parameters(service: &Service, sent: &Sent) -> Result<(Identity, Call), Fault> {
    let pairs = sent.pairs()?;
    let said = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    let needed = |name: &str| said(name).ok_or_else(|| Fault::missing(name));
    let hash = match said("SignatureMethod") {
        None | Some("HmacSHA1") => Hash::Sha1,
        Some("HmacSHA256") => Hash::Sha256,
        Some(_) => {
            let rule = "it is HmacSHA1 or HmacSHA256; TC3-HMAC-SHA256 is told by headers";
            return Err(Fault::value("SignatureMethod", rule));
        }
    };
    let key = key(needed("SecretId")?)?;
    let at = within_window(service, needed("Timestamp")?)?;
    let (nonce, signature) = (needed("Nonce")?, needed("Signature")?);
    // What is signed has no marks between parameters, and a nonce should not
    // take in the one after it.
    if !nonce.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::value("Nonce", "it is a number"));
    }
    let host = sent.header("host").unwrap_or_default();
    let secret = service.keyring.secret_of(key);
    let fits = |host: &str| {
        let text = sign::in_one(sent.method.as_str(), host, &pairs);
        same(&sign::older(secret.reveal(), hash, &text), signature)
    };
    let fits = fits(host) || fits(&host.to_lowercase());
    let who = identity(service, key, fits, said("Token")).await?;
    spend(service, key, signature, at).await?;
    is_spoken(said("Version"))?;
    let (action, region) = (needed("Action")?.to_owned(), said("Region").map(str::to_owned));
    let own = pairs.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
    Ok((who, Call { action, region, parameters: whole(flat::rebuilt(own)?) }))
}

fn whole(mut parameters: Map<String, Value>) -> Map<String, Value> {
    flat::typed(&mut parameters);
    parameters
}

fn json(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let read = serde_json::from_slice(if body.is_empty() { b"{}" } else { body });
    read.map_err(|error| {
        Fault::new("InvalidRequest", format!("The body is not a JSON object: {error}."))
    })
}

fn key(id: &str) -> Result<AccessKeyId, Fault> {
    id.parse().map_err(|_| unknown_key())
}

fn unknown_key() -> Fault {
    Fault::new("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
}

/// The time that the request was signed at, if it was about now.
fn within_window(service: &Service, text: &str) -> Result<Timestamp, Fault> {
    let at = text.parse().ok().and_then(|second: i64| Timestamp::from_second(second).ok());
    let at = at.ok_or_else(|| Fault::value("Timestamp", "it is seconds since 1970"))?;
    let now = service.platform.clock.now();
    if now.as_second().abs_diff(at.as_second()) > WINDOW.unsigned_abs() {
        let message = "The signature was made at another time: the clocks differ.";
        return Err(Fault::new("AuthFailure.SignatureExpire", message));
    }
    Ok(at)
}

/// Who asks, if the signature fits and the key is good.
async fn identity(
    service: &Service,
    key: AccessKeyId,
    fits: bool,
    token: Option<&str>,
) -> Result<Identity, Fault> {
    if !fits {
        let known = keys::load(service, key).await?;
        return Err(known.map_or_else(unknown_key, |_| {
            let message = "The signature is not the one of this request by this key.";
            Fault::new("AuthFailure.SignatureFailure", message)
        }));
    }
    let who = auth::verified(service, key, API).await.map_err(|problem| match problem {
        Problem::Unauthenticated(_) => unknown_key(),
        other => other.into(),
    })?;
    let now = service.platform.clock.now();
    match token.filter(|token| !token.is_empty()) {
        Some(token) if !AccessToken::is_of(token, key, &service.keyring, now) => {
            Err(Fault::new("AuthFailure.TokenFailure", "The token is not one of this key."))
        }
        Some(_) | None => Ok(who),
    }
}

/// A signature is good once, for as long as the time that it signs is. What is
/// spent is not the nonce: clients draw that out of few, and one that draws
/// another's would be refused. The signature stands for all of the request, and
/// is the same however that is written.
async fn spend(
    service: &Service,
    key: AccessKeyId,
    signature: &str,
    at: Timestamp,
) -> Result<(), Fault> {
    let until = at + jiff::SignedDuration::from_secs(WINDOW + 1);
    if nonces::spend(service, key, API, signature, until).await? {
        return Ok(());
    }
    let message = "The request was sent before: its signature has been used.";
    Err(Fault::new("AuthFailure.SignatureFailure", message))
}

fn is_spoken(version: Option<&str>) -> Result<(), Fault> {
    match version {
        None => Err(Fault::missing("Version")),
        Some(VERSION) => Ok(()),
        Some(other) => {
            let message = format!("The version `{other}` is not found; there is {VERSION}.");
            Err(Fault::new("NoSuchVersion", message))
        }
    }
}
