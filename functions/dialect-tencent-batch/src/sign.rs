//! The signatures of this API: TC3-HMAC-SHA256, whose parts are in headers, and
//! the older ones, `HmacSHA1` and `HmacSHA256`, a parameter among others.
//!
//! Pure: what is said, by which secret, gives which signature.

use data_encoding::BASE64;
use jiff::Timestamp;
use shared::auth::signing::{are_distinct, hex, hmac_sha1, hmac_sha256, sha256_hex};

/// The most bytes of a service's name: a label of a host, and a port.
const SERVICE_BYTES: usize = 63 + ":65535".len();

/// What a TC3 signature starts with.
const TC3: &str = "TC3-HMAC-SHA256";

/// The header `Authorization`, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    /// Whose secret signs.
    pub(crate) id: &'a str,
    /// On which day, as it is said: whether it is that of the time is another
    /// matter.
    pub(crate) date: &'a str,
    /// Whom it is for. Some of the vendor's clients say `batch`, and some the
    /// first label of the endpoint, whatever that is.
    pub(crate) service: &'a str,
    /// The names of the headers that are signed, in order.
    pub(crate) headers: Vec<&'a str>,
    /// 64 hex digits.
    pub(crate) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// The header's parts; `None` of what is not of that form, or does not sign
    /// who is asked for what type of content.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.trim().strip_prefix(TC3)?.strip_prefix(' ')?;
        let mut parts = rest.split(',').map(str::trim);
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let scope = part("Credential")?;
        let headers: Vec<&str> = part("SignedHeaders")?.split(';').collect();
        let signature = part("Signature")?;
        let mut scope = scope.split('/');
        let mut next = || scope.next();
        let (id, date, service, end) = (next()?, next()?, next()?, next()?);
        let whole = next().is_none() && parts.next().is_none();
        let is_scope = is_service(service) && end == "tc3_request" && !id.is_empty();
        let signs = |name: &str| headers.contains(&name);
        let is_signed = signs("content-type") && signs("host") && are_distinct(&headers);
        let said = Authorization { id, date, service, headers, signature };
        (whole && is_scope && is_signed).then_some(said)
    }
}

/// Whether it may be the name of a service: all of an endpoint up to its first
/// dot, and so with the port of one that has none.
fn is_service(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_:[]".contains(&b);
    (1..=SERVICE_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// A host, as those clients sign it that leave its port away.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) => bare,
        Some(_) | None => host,
    }
}

/// A request, as it is signed by TC3. `headers` are those signed, in order;
/// `payload` is the hash of what stands for the body, in hex.
pub(crate) fn canonical(
    method: &str,
    query: &str,
    headers: &[(&str, String)],
    payload: &str,
) -> String {
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let lines = lines.concat();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    format!("{method}\n/\n{query}\n{lines}\n{}\n{}", names.join(";"), payload)
}

/// The day that is signed with that time: it is one of UTC.
pub(crate) fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// The TC3 signature of such a request at that time, for that service.
pub(crate) fn tc3(secret: &str, at: Timestamp, service: &str, canonical: &str) -> String {
    let date = date(at);
    let text = format!(
        "{TC3}\n{}\n{date}/{service}/tc3_request\n{}",
        at.as_second(),
        sha256_hex(canonical.as_bytes())
    );
    hex(&hmac_sha256(&signing_key(secret, &date, service), text.as_bytes()))
}

fn signing_key(secret: &str, date: &str, service: &str) -> [u8; 32] {
    let date = hmac_sha256(format!("TC3{secret}").as_bytes(), date.as_bytes());
    let service = hmac_sha256(&date, service.as_bytes());
    hmac_sha256(&service, b"tc3_request")
}

/// The hash of an older signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

/// What an older signature signs: every parameter but itself, by name, as it
/// is before it is encoded.
pub(crate) fn in_one(method: &str, host: &str, pairs: &[(String, String)]) -> String {
    let unsigned = pairs.iter().filter(|(name, _)| name != "Signature");
    let mut all: Vec<(String, &str)> =
        unsigned.map(|(name, value)| (name.replace('_', "."), value.as_str())).collect();
    all.sort();
    let all: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{method}{host}/?{}", all.join("&"))
}

/// The older signature of this text, base 64.
pub(crate) fn older(secret: &str, hash: Hash, text: &str) -> String {
    match hash {
        Hash::Sha1 => BASE64.encode(&hmac_sha1(secret.as_bytes(), text.as_bytes())),
        Hash::Sha256 => BASE64.encode(&hmac_sha256(secret.as_bytes(), text.as_bytes())),
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
