//! Who asks: the signature `q-sign-algorithm=sha1`.
//!
//! It covers the method, the path, and those headers and parameters that it
//! lists; both lists may be empty, and the body is never covered. That is the
//! scheme's own weakness: its clients list what they see fit. One that does not
//! cover the bucket is good for no other than the one that it comes with first.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use shared::{
    auth::{
        self, AccessToken, Identity,
        signing::{hex, hmac_sha1, same, sha1_hex, unreserved},
    },
    job::AccessKeyId,
    ops::{keys, nonces},
    service::Service,
    wire::Request,
};

use crate::{
    faults::Fault,
    place::{Place, Said},
    words::API,
};

/// The most names in a list: each is followed by its value, which may be long.
const MOST_LISTED: usize = 100;

/// The header that carries the token of temporary credentials.
const TOKEN: &str = "x-ci-security-token";

/// What a request says of its signature.
#[derive(Debug, PartialEq, Eq)]
struct Signature {
    key_id: String,
    sign_time: String,
    key_time: String,
    headers: String,
    parameters: String,
    tag: String,
}

/// What a signature is about.
#[derive(Clone, Copy, Debug)]
struct Covered<'r> {
    method: &'r str,
    path: &'r str,
    query: &'r [(String, String)],
    headers: &'r HeaderMap,
    /// The host, as the client may have signed it.
    host: &'r str,
}

/// Who asks.
///
/// The request is read before anything is waited for: its body need not be
/// shared between threads.
pub fn identity<'s>(
    service: &'s Service,
    request: &Request,
    place: &Place,
) -> impl Future<Output = Result<Identity, Fault>> + Send + use<'s> {
    let (checked, bucket) = (checked(service, request, place), place.bucket.clone());
    let tokens: Vec<HeaderValue> = request.headers.get_all(TOKEN).iter().cloned().collect();
    async move {
        let (key, covers) = checked?;
        let Some(covers) = covers else {
            // Its secret follows from its id; whether it was ever made does not.
            if keys::load(service, key).await?.is_none() {
                return Err(unknown_key());
            }
            return Err(Fault::forbidden(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            ));
        };
        let who = auth::verified(service, key, API).await?;
        let now = service.platform.clock.now();
        let is_good = |text: &str| AccessToken::is_of(text, key, &service.keyring, now);
        if !tokens.iter().all(|token| token.is_empty() || token.to_str().is_ok_and(is_good)) {
            let message = "The security token is not a valid one of this key.";
            return Err(Fault::forbidden("AccessDenied", message));
        }
        match covers {
            Covers::Bucket => Ok(who),
            Covers::NoBucket { tag, until } => {
                let used = format!("the bucket of {tag}");
                if nonces::bind(service, key, API, &used, bucket.as_str(), until).await? {
                    return Ok(who);
                }
                // A client that asks two buckets within one second comes here
                // as well: this has it sign anew.
                let message = "The signature covers no bucket, and was used for another one.";
                Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message))
            }
        }
    }
}

/// What a signature that fits is good for.
enum Covers {
    /// The bucket, which is signed.
    Bucket,
    /// Any that it comes with.
    NoBucket {
        /// The signature.
        tag: String,
        /// How long it is good.
        until: Timestamp,
    },
}

fn unknown_key() -> Fault {
    Fault::forbidden("InvalidAccessKeyId", "The access key id does not exist in our records.")
}

/// The key that the request names, and what its signature covers if it is that
/// key's.
fn checked(
    service: &Service,
    request: &Request,
    place: &Place,
) -> Result<(AccessKeyId, Option<Covers>), Fault> {
    let query = pairs(&request.query_text);
    let signature = Signature::of(request, &query)?;
    let key: AccessKeyId = signature.key_id.parse().map_err(|_| unknown_key())?;
    let until = signature.good_until(service.platform.clock.now().as_second())?;
    let secret = service.keyring.secret_of(key);
    let host = request.header("host").unwrap_or_default();
    // Some clients sign the port, and some do not.
    let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
    let fits = |path: &str| {
        [host, bare].into_iter().any(|host| {
            let covered = Covered {
                method: request.method.as_str(),
                path,
                query: &query,
                headers: &request.headers,
                host,
            };
            signature.fits(secret.reveal(), covered)
        })
    };
    let whole = fits(&place.whole);
    if !(whole || place.said == Said::ByPath && fits(&place.path)) {
        return Ok((key, None));
    }
    let covers_bucket = match place.said {
        Said::ByHost => signature.headers.split(';').any(|name| name == "host"),
        Said::ByPath => whole,
        Said::Nowhere => false,
    };
    let covers =
        if covers_bucket { Covers::Bucket } else { Covers::NoBucket { tag: signature.tag, until } };
    Ok((key, Some(covers)))
}

/// The query's pairs as a client signs them: a `+` is a plus.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |part| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

impl Signature {
    /// That of the header; or of the query, in an address that was signed
    /// beforehand.
    fn of(request: &Request, query: &[(String, String)]) -> Result<Self, Fault> {
        let presigned = query.iter().any(|(name, _)| name == "q-signature");
        match request.header("authorization") {
            Some(header) if !header.is_empty() => {
                let fields =
                    header.split('&').map(|field| field.split_once('=').unwrap_or((field, "")));
                Signature::read(&fields.collect::<Vec<_>>())
            }
            _ if presigned => {
                let fields = query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                Signature::read(&fields.collect::<Vec<_>>())
            }
            _ => Err(Fault::forbidden("AccessDenied", "The request is not signed.")),
        }
    }

    fn read(fields: &[(&str, &str)]) -> Result<Self, Fault> {
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
            found.map(str::to_owned).ok_or_else(|| {
                let message = format!("The signature has no {name}.");
                Fault::forbidden("AccessDenied", message)
            })
        };
        if field("q-sign-algorithm")? != "sha1" {
            let message = "The signature's q-sign-algorithm is not sha1.";
            return Err(Fault::forbidden("AccessDenied", message));
        }
        Ok(Signature {
            key_id: field("q-ak")?,
            sign_time: field("q-sign-time")?,
            key_time: field("q-key-time")?,
            headers: field("q-header-list")?,
            parameters: field("q-url-param-list")?,
            tag: field("q-signature")?,
        })
    }

    /// Until when it is good. Refuses a time outside of both of its windows.
    fn good_until(&self, now: i64) -> Result<Timestamp, Fault> {
        let mut until = Timestamp::MAX;
        for (name, window) in [("q-sign-time", &self.sign_time), ("q-key-time", &self.key_time)] {
            let bounds = window.split_once(';');
            let bounds = bounds.and_then(|(from, to)| Some((second(from)?, second(to)?)));
            let Some((from, to)) = bounds else {
                let message = format!("The signature's {name} is not two times joined by `;`.");
                return Err(Fault::forbidden("AccessDenied", message));
            };
            if now > to {
                return Err(Fault::forbidden("AccessDenied", "Request has expired."));
            }
            if now < from {
                let message = format!("The signature's {name} is yet to begin: check your clock.");
                return Err(Fault::forbidden("RequestTimeTooSkewed", message));
            }
            until =
                until.min(Timestamp::from_second(to.saturating_add(1)).unwrap_or(Timestamp::MAX));
        }
        Ok(until)
    }

    fn fits(&self, secret: &str, covered: Covered<'_>) -> bool {
        let Some(text) = self.http_string(covered) else { return false };
        let key = hex(&hmac_sha1(secret.as_bytes(), self.key_time.as_bytes()));
        let text = format!("sha1\n{}\n{}\n", self.sign_time, sha1_hex(text.as_bytes()));
        same(&hex(&hmac_sha1(key.as_bytes(), text.as_bytes())), &self.tag)
    }

    /// What is signed of the request; `None` if something that is listed is not
    /// there, or too much is.
    fn http_string(&self, covered: Covered<'_>) -> Option<String> {
        let Covered { method, path, query, headers, host } = covered;
        let query: Vec<(String, &str)> =
            query.iter().map(|(name, value)| (encoded_name(name), value.as_str())).collect();
        let parameter = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| Cow::Borrowed(*value))
        };
        let header = |name: &str| {
            if name == "host" {
                return Some(Cow::Borrowed(host));
            }
            let value = headers.get(&*percent_decode_str(name).decode_utf8().ok()?)?;
            Some(String::from_utf8_lossy(value.as_bytes()))
        };
        let parameters = listed(&self.parameters, parameter)?;
        let headers = listed(&self.headers, header)?;
        let method = method.to_ascii_lowercase();
        Some(format!("{method}\n{path}\n{parameters}\n{headers}\n"))
    }
}

/// `name=value` of all that a list names, joined by `&`; `None` if a value is
/// not there, or the list is too long.
fn listed<'v>(list: &str, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> Option<String> {
    let names: Vec<&str> = list.split(';').filter(|name| !name.is_empty()).collect();
    if names.len() > MOST_LISTED {
        return None;
    }
    let pairs = names.into_iter().map(|name| Some(format!("{name}={}", unreserved(&value(name)?))));
    Some(pairs.collect::<Option<Vec<_>>>()?.join("&"))
}

fn encoded_name(name: &str) -> String {
    unreserved(name).to_ascii_lowercase()
}

fn second(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
