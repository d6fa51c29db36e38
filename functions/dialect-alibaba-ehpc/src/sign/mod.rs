//! Who asks, by one of two signatures: of the query, or of the headers.

mod headers;
mod query;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use shared::{
    auth::{AccessToken, Identity, signing::same, verified},
    job::AccessKeyId,
    ops::{keys, nonces},
    service::Service,
    wire::{Problem, Request},
};

use crate::{API, faults::Fault, words};

/// How far the sender's clock may be off.
const WINDOW: SignedDuration = SignedDuration::from_secs(15 * 60);

/// What a signed request says of its sender.
pub struct Claim {
    scheme: Scheme,
    key: String,
    signature: String,
    nonce: String,
    date: String,
    token: Option<String>,
    string_to_sign: String,
}

/// Of what, and how, the signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// Of the parameters, with HMAC-SHA1.
    Query,
    /// Of the headers and the query, with HMAC-SHA256.
    Headers,
}

impl Claim {
    /// What the request says; `form` are the parameters of its body.
    pub fn of(request: &Request, form: &[(String, String)], body: &[u8]) -> Result<Claim, Fault> {
        match request.header("authorization") {
            Some(header) if header.starts_with("ACS3-") => headers::claim(request, header, body),
            _ => query::claim(request, form),
        }
    }

    /// Whether what a caller chose to sign is in the headers as well.
    pub fn signs_headers(&self) -> bool {
        self.scheme == Scheme::Headers
    }

    fn expected(&self, secret: &str) -> String {
        match self.scheme {
            Scheme::Query => query::signature(secret, &self.string_to_sign),
            Scheme::Headers => headers::signature(secret, &self.string_to_sign),
        }
    }

    /// Whose the request is, once everything is in order. Its nonce is spent.
    pub async fn proven(self, service: &Service, action: &str) -> Result<Identity, Fault> {
        let key: AccessKeyId = self.key.parse().map_err(|_| Fault::no_such_key())?;
        let now = service.platform.clock.now();
        let date = date(&self.date)?;
        if now.duration_since(date).abs() > WINDOW {
            let message = "Specified time stamp or date value is expired.";
            return Err(Fault::bad("InvalidTimeStamp.Expired", message));
        }
        let secret = service.keyring.secret_of(key);
        if !same(&self.expected(secret.reveal()), &self.signature) {
            return Err(self.mismatch(service, key).await?);
        }
        if let Some(token) = &self.token {
            check_token(service, key, token)?;
        }
        let who = match verified(service, key, API).await {
            Err(Problem::Forbidden(_)) => return Err(Fault::not_authorized(action)),
            Err(Problem::Unauthenticated(_)) => return Err(unusable(service, key).await?),
            known => known?,
        };
        let until = date.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
        if !nonces::spend(service, key, API, &self.nonce, until).await? {
            let message = "Specified signature nonce was used already.";
            return Err(Fault::bad("SignatureNonceUsed", message));
        }
        Ok(who)
    }

    /// A signature that is not ours: of a key that is not there, or made with
    /// another secret or of something else. Clients look behind the first colon
    /// for what we signed, and fail without one.
    async fn mismatch(&self, service: &Service, key: AccessKeyId) -> Result<Fault, Fault> {
        if keys::load(service, key).await?.is_none() {
            return Ok(Fault::no_such_key());
        }
        let message = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{}",
            self.string_to_sign
        );
        Ok(Fault::bad("SignatureDoesNotMatch", message))
    }
}

/// Why a key whose secret its user has is not good.
async fn unusable(service: &Service, key: AccessKeyId) -> Result<Fault, Fault> {
    Ok(match keys::load(service, key).await? {
        Some(_) => Fault::bad("InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
        None => Fault::no_such_key(),
    })
}

/// The token of temporary credentials: here, an access token of the same key.
fn check_token(service: &Service, key: AccessKeyId, token: &str) -> Result<(), Fault> {
    let Some(token) = AccessToken::open(token, &service.keyring) else {
        let message = "Specified SecurityToken is malformed.";
        return Err(Fault::bad("InvalidSecurityToken.Malformed", message));
    };
    if token.key != key {
        let message = "Specified SecurityToken mismatches with the AccessKey.";
        return Err(Fault::bad("InvalidSecurityToken.MismatchWithAccessKey", message));
    }
    if token.expires_at <= service.platform.clock.now() {
        let message = "Specified SecurityToken is expired.";
        return Err(Fault::bad("InvalidSecurityToken.Expired", message));
    }
    Ok(())
}

/// A time as both schemes write it, `2024-03-03T02:00:00Z`.
fn date(text: &str) -> Result<Timestamp, Fault> {
    let format = || {
        let message = "Specified time stamp or date value is not well formatted.";
        Fault::bad("InvalidTimeStamp.Format", message)
    };
    let at: Timestamp = text.parse().map_err(|_| format())?;
    // As they write it, and no other way.
    if words::rfc3339(at) == text { Ok(at) } else { Err(format()) }
}

/// A signature that cannot even be compared.
fn incomplete(why: &str) -> Fault {
    let message = format!("The request signature does not conform to Aliyun standards: {why}.");
    Fault::bad("IncompleteSignature", message)
}
