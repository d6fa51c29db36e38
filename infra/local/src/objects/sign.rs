//! Signed URLs: a path on the gateway that says what it permits, and a seal over that.

use std::fmt::Write;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use shared::platform::{Grant, GrantMethod, ObjectKey, SignedUrl};

/// Where on the gateway signed URLs live.
const PATH: &str = "/v1/signed/";

/// Makes signed URLs, and recognises them.
#[derive(Clone)]
pub struct Signer {
    key: [u8; 32],
}

/// Why a request may not do what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// It is not a signed URL at all, or a damaged one.
    #[error("not a signed URL")]
    Malformed,
    /// Its seal is not ours.
    #[error("the signature does not fit the URL")]
    Forged,
    /// Its time is over.
    #[error("the URL has expired")]
    Expired,
    /// It is good for another method.
    #[error("the URL does not permit this method")]
    OtherMethod,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs with `key`.
    pub fn new(key: [u8; 32]) -> Self {
        Signer { key }
    }

    /// The path and query that permit what `grant` says, to the second.
    ///
    /// The object's name is encoded whole: clients would tidy up a path with
    /// `..` or `//` in it before they send it.
    pub fn sign(&self, grant: &Grant) -> SignedUrl {
        let name = BASE64URL_NOPAD.encode(grant.key.as_str().as_bytes());
        let seal = BASE64URL_NOPAD.encode(&self.seal(grant).finalize().into_bytes());
        let url = format!("{PATH}{name}?{}&signature={seal}", terms(grant));
        SignedUrl { url, headers: headers(&grant.method) }
    }

    /// What a request for `path_and_query` may do.
    pub fn verify(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<Grant, NotPermitted> {
        let (grant, seal) = parse(path_and_query).ok_or(NotPermitted::Malformed)?;
        // In constant time: how far a guess agrees must not show.
        self.seal(&grant).verify_slice(&seal).map_err(|_| NotPermitted::Forged)?;
        if grant.expires_at <= now {
            return Err(NotPermitted::Expired);
        }
        match (&grant.method, method) {
            (GrantMethod::Get, "GET" | "HEAD") | (GrantMethod::Put { .. }, "PUT") => Ok(grant),
            (GrantMethod::Get | GrantMethod::Put { .. }, _) => Err(NotPermitted::OtherMethod),
        }
    }

    fn seal(&self, grant: &Grant) -> Hmac<Sha256> {
        let key = Hmac::<Sha256>::new_from_slice(&self.key);
        let mut seal = key.expect("HMAC takes a key of any length");
        // The name comes last: whatever is in it, nothing after it can be mistaken for it.
        for part in ["tarpon signed url 1", &terms(grant), grant.key.as_str()] {
            seal.update(part.as_bytes());
            seal.update(b"\n");
        }
        seal
    }
}

/// What is permitted, until when, in the one way to write it.
fn terms(grant: &Grant) -> String {
    let mut terms = match &grant.method {
        GrantMethod::Get => "for=get".to_owned(),
        GrantMethod::Put { if_absent, length } => {
            let mut terms = "for=put".to_owned();
            if *if_absent {
                terms.push_str("&if_absent=true");
            }
            if let Some(length) = length {
                write!(terms, "&length={length}").expect("writing to a string cannot fail");
            }
            terms
        }
    };
    let until = grant.expires_at.as_second();
    write!(terms, "&until={until}").expect("writing to a string cannot fail");
    terms
}

fn headers(method: &GrantMethod) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    if let GrantMethod::Put { if_absent, length } = method {
        if *if_absent {
            headers.push(("if-none-match".to_owned(), "*".to_owned()));
        }
        if let Some(length) = length {
            headers.push(("content-length".to_owned(), length.to_string()));
        }
    }
    headers
}

fn parse(path_and_query: &str) -> Option<(Grant, Vec<u8>)> {
    let (name, query) = path_and_query.strip_prefix(PATH)?.split_once('?')?;
    let name = String::from_utf8(BASE64URL_NOPAD.decode(name.as_bytes()).ok()?).ok()?;
    let (mut action, mut until, mut seal) = (None, None, None);
    let (mut if_absent, mut length) = (false, None);
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=')?;
        match key {
            "for" => action = Some(value),
            "until" => until = Some(Timestamp::from_second(value.parse().ok()?).ok()?),
            "if_absent" => if_absent = value.parse().ok()?,
            "length" => length = Some(value.parse().ok()?),
            "signature" => seal = Some(BASE64URL_NOPAD.decode(value.as_bytes()).ok()?),
            _ => return None,
        }
    }
    let method = match action? {
        "get" if !if_absent && length.is_none() => GrantMethod::Get,
        "put" => GrantMethod::Put { if_absent, length },
        _ => return None,
    };
    Some((Grant { method, key: ObjectKey::stored(name), expires_at: until? }, seal?))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn signer() -> Signer {
        Signer::new([7; 32])
    }

    fn grant(method: GrantMethod) -> Grant {
        let expires_at = NOON + SignedDuration::from_secs(60);
        Grant { method, key: ObjectKey::stored("p/user/b/../ä?&=%2f//x"), expires_at }
    }

    fn grants() -> Vec<Grant> {
        let mut grants = vec![grant(GrantMethod::Get)];
        for if_absent in [false, true] {
            for length in [None, Some(0), Some(u64::MAX)] {
                grants.push(grant(GrantMethod::Put { if_absent, length }));
            }
        }
        grants
    }

    #[test]
    fn a_url_permits_what_was_granted() {
        for grant in grants() {
            let url = signer().sign(&grant).url;
            let method = if grant.method == GrantMethod::Get { "GET" } else { "PUT" };
            assert_eq!(signer().verify(method, &url, NOON), Ok(grant), "{url}");
        }
        let url = signer().sign(&grant(GrantMethod::Get)).url;
        assert!(signer().verify("HEAD", &url, NOON).is_ok());
    }

    #[test]
    fn a_url_is_good_for_its_method_only() {
        let [get, put] = [GrantMethod::Get, GrantMethod::Put { if_absent: false, length: None }]
            .map(|method| signer().sign(&grant(method)).url);
        for (method, url) in [("PUT", &get), ("DELETE", &get), ("GET", &put), ("POST", &put)] {
            let refused = signer().verify(method, url, NOON);
            assert_eq!(refused, Err(NotPermitted::OtherMethod), "{method} {url}");
        }
    }

    #[test]
    fn a_url_is_good_until_it_expires() {
        let grant = grant(GrantMethod::Get);
        let url = signer().sign(&grant).url;
        let just_before = grant.expires_at - SignedDuration::from_millis(1);
        assert!(signer().verify("GET", &url, just_before).is_ok());
        let expired = signer().verify("GET", &url, grant.expires_at);
        assert_eq!(expired, Err(NotPermitted::Expired));
    }

    #[test]
    fn a_url_that_was_changed_anywhere_permits_nothing() {
        for grant in grants() {
            let url = signer().sign(&grant).url;
            let method = if grant.method == GrantMethod::Get { "GET" } else { "PUT" };
            for place in 0..url.len() {
                for with in ["0", "A", "&", "="] {
                    let mut changed = url.clone();
                    changed.replace_range(place..=place, with);
                    let verified = signer().verify(method, &changed, NOON);
                    assert!(changed == url || verified.is_err(), "{changed}");
                }
                assert!(signer().verify(method, &url[..place], NOON).is_err());
            }
        }
    }

    #[test]
    fn another_servers_url_permits_nothing() {
        let url = Signer::new([8; 32]).sign(&grant(GrantMethod::Get)).url;
        assert_eq!(signer().verify("GET", &url, NOON), Err(NotPermitted::Forged));
    }

    #[test]
    fn terms_cannot_be_added() {
        let put = GrantMethod::Put { if_absent: true, length: Some(5) };
        let url = signer().sign(&grant(put)).url;
        for more in ["&if_absent=false", "&length=6", "&until=9999999999", "&for=get", "&x=y"] {
            assert!(signer().verify("PUT", &format!("{url}{more}"), NOON).is_err(), "{more}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", signer()), "Signer { .. }");
    }
}
