//! AK/SK signatures: `SDK-HMAC-SHA256`.

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use shared::{
    auth::signing::{
        are_distinct, canonical_query, hex, hmac_sha256, same, sha256_hex, unreserved,
    },
    job::AccessKeyId,
    service::Service,
    wire::decoded,
};

use crate::{Sent, faults::Fault};

/// The scheme, as requests name it.
pub const SCHEME: &str = "SDK-HMAC-SHA256";

/// How far a request's clock may be from ours.
const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// What stands for the hash of a body that was not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What comes with a signature by temporary keys.
const TOKEN: &str = "x-security-token";

/// The key that signed the request.
pub fn signer(service: &Service, sent: &Sent, header: &str) -> Result<AccessKeyId, Fault> {
    let fail = |why: &'static str| Err(Fault::Unauthenticated(why));
    // Whoever sends one counts on its being checked, and on its end.
    if sent.headers.contains_key(TOKEN) {
        return fail("temporary keys are not taken: X-Security-Token has no meaning here");
    }
    let Some(signature) = Signature::read(header) else {
        return fail("the Authorization header is not of SDK-HMAC-SHA256");
    };
    let Some((date, at)) = sent.header("x-sdk-date").and_then(|date| Some((date, time(date)?)))
    else {
        return fail("X-Sdk-Date is missing or not YYYYMMDDThhmmssZ");
    };
    if service.platform.clock.now().duration_since(at).abs() > WINDOW {
        return fail("X-Sdk-Date is more than 15 minutes from the server's clock");
    }
    // A key that does not exist and a wrong secret are told apart by nothing.
    let wrong = "verify aksk signature fail";
    let Ok(key) = signature.access.parse::<AccessKeyId>() else { return fail(wrong) };
    let Some(canonical) = canonical(sent, &signature.headers) else { return fail(wrong) };
    let secret = service.keyring.secret_of(key);
    let right = signed(secret.reveal(), date, &canonical);
    if same(&right, signature.tag) { Ok(key) } else { fail(wrong) }
}

/// What an `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
struct Signature<'a> {
    access: &'a str,
    headers: Vec<&'a str>,
    tag: &'a str,
}

impl<'a> Signature<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let (scheme, said) = header.split_once(' ')?;
        let mut parts = said.split(',').map(|part| part.trim().split_once('='));
        let mut part = |name: &str| match parts.next()?? {
            (found, value) if found == name => Some(value),
            _ => None,
        };
        let access = part("Access")?;
        let headers = part("SignedHeaders")?.split(';').collect();
        let tag = part("Signature")?;
        let whole = scheme == SCHEME && parts.next().is_none();
        whole.then_some(Signature { access, headers, tag })
    }
}

/// The request in the one form that both sides sign; `None` if that needs a
/// header that is not there once, or is to be signed more than once: the text
/// would be longer than the request by any factor.
fn canonical(sent: &Sent, signed: &[&str]) -> Option<String> {
    if !are_distinct(signed) {
        return None;
    }
    let mut lines =
        vec![sent.method.as_str().to_owned(), path(&sent.path)?, canonical_query(&sent.query)];
    for name in signed {
        lines.push(format!("{name}:{}", header(&sent.headers, name)?));
    }
    lines.push(String::new());
    lines.push(signed.join(";"));
    lines.push(payload(sent));
    Some(lines.join("\n"))
}

/// The path, each segment encoded anew, with a slash in the end.
fn path(sent: &str) -> Option<String> {
    let path = decoded("the path", sent).ok()?;
    let segments: Vec<_> = path.split('/').map(unreserved).collect();
    let slash = if path.ends_with('/') { "" } else { "/" };
    Some(segments.join("/") + slash)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = std::str::from_utf8(values.next()?.as_bytes()).ok()?;
    values.next().is_none().then(|| value.trim())
}

/// The hash of the body; or, where the client says that it did not look at it,
/// what it says in its place.
fn payload(sent: &Sent) -> String {
    match sent.header("x-sdk-content-sha256") {
        Some(UNSIGNED) if !sent.body.is_empty() => UNSIGNED.to_owned(),
        _ => sha256_hex(&sent.body),
    }
}

fn signed(secret: &str, date: &str, canonical: &str) -> String {
    let text = format!("{SCHEME}\n{date}\n{}", sha256_hex(canonical.as_bytes()));
    hex(&hmac_sha256(secret.as_bytes(), text.as_bytes()))
}

fn time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
pub mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// What a client puts into `Authorization`.
    pub fn authorization(sent: &Sent, access: &str, secret: &str, headers: &[&str]) -> String {
        let date = sent.header("x-sdk-date").unwrap();
        let signature = signed(secret, date, &canonical(sent, headers).unwrap());
        let headers = headers.join(";");
        format!("{SCHEME} Access={access}, SignedHeaders={headers}, Signature={signature}")
    }

    const HEADERS: [(&str, &str); 4] = [
        ("content-type", "application/json"),
        ("host", "127.0.0.1:18783"),
        ("x-project-id", "ac234de25c6741d2b1273da49eea1b9e"),
        ("x-sdk-date", "20240303T020000Z"),
    ];

    fn sent(method: &str, path: &str, query: &[(&str, &str)], body: &'static str) -> Sent {
        let header =
            |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Sent {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            headers: HEADERS.map(header).into_iter().collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    /// The hash of what is signed, and the signature, for the key that the
    /// vectors were made with.
    fn made(sent: &Sent) -> (String, String) {
        let canonical = canonical(sent, &HEADERS.map(|(name, _)| name)).unwrap();
        let signature = signed("SKSECRETEXAMPLE", "20240303T020000Z", &canonical);
        (sha256_hex(canonical.as_bytes()), signature)
    }

    #[test]
    fn what_the_vendors_sdk_signs_comes_out() {
        let path = "/v1/ac234de25c6741d2b1273da49eea1b9e/jobs/ff8080814dbd65d7014dbe0d84db0013";
        let (hash, signature) = made(&sent("GET", path, &[], ""));
        assert_eq!(hash, "7f2bbca03ed678ef7e1f942539d70b7d84b917c7962171b1b64ec30397513086");
        assert_eq!(signature, "b9ad02bc80c0cb691ccbd3ae9c646e306a14661ac55b190019354563fda97933");

        let body = r#"{"name":"img1","instance_id":"877a2cda-ba63-4e1e-b95f-e67e48b6129a"}"#;
        let query = [("b", "x y"), ("a", "1")];
        let (hash, signature) = made(&sent("POST", "/v2/cloudimages/action", &query, body));
        assert_eq!(hash, "49ecf55468c361636789ccf389c8c13593b24b9177b7d82c224c2133aaeaa9ca");
        assert_eq!(signature, "7c3f0462bd9915b3b00937038b44b96a52d48d2c3831d77f05a2c28ca84e00fe");
    }

    #[test]
    fn a_path_is_decoded_and_encoded_anew_and_ends_with_a_slash() {
        assert_eq!(path("/a%2fb c/%c3%a9").as_deref(), Some("/a/b%20c/%C3%A9/"));
        assert_eq!(path("/a/").as_deref(), Some("/a/"));
        assert_eq!(path("/%ff"), None);
    }

    #[test]
    fn repeated_names_are_sorted_by_their_values() {
        let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        let pairs = [("b", "2"), ("a-c", "x"), ("b", "1"), ("a", "/")].map(pair);
        assert_eq!(canonical_query(&pairs), "a=%2F&a-c=x&b=1&b=2");
    }

    #[test]
    fn a_body_that_was_not_looked_at_is_only_that_where_there_is_one() {
        let unsigned = |body| {
            let mut sent = sent("POST", "/", &[], body);
            let header = HeaderName::from_static("x-sdk-content-sha256");
            sent.headers.insert(header, HeaderValue::from_static(UNSIGNED));
            payload(&sent)
        };
        assert_eq!(unsigned("body"), UNSIGNED);
        assert_eq!(unsigned(""), sha256_hex(b""));
    }

    #[test]
    fn a_header_that_is_not_there_once_cannot_be_signed() {
        let mut sent = sent("GET", "/", &[], "");
        assert!(canonical(&sent, &["host", "x-project-id"]).is_some());
        assert_eq!(canonical(&sent, &["host", "user-agent"]), None);
        assert_eq!(canonical(&sent, &["host", "Host"]), None);
        sent.headers.append("host", HeaderValue::from_static("elsewhere"));
        assert_eq!(canonical(&sent, &["host"]), None);
    }

    #[test]
    fn an_authorization_of_another_form_is_none() {
        let good = "SDK-HMAC-SHA256 Access=a, SignedHeaders=b;c, Signature=d";
        let read = Signature { access: "a", headers: vec!["b", "c"], tag: "d" };
        assert_eq!(Signature::read(good), Some(read));
        for bad in [
            "SDK-HMAC-SM3 Access=a, SignedHeaders=b;c, Signature=d",
            "SDK-HMAC-SHA256 Access=a, Signature=d, SignedHeaders=b",
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=b",
            "SDK-HMAC-SHA256 Access=a, SignedHeaders=b, Signature=d, More=e",
            "SDK-HMAC-SHA256",
            "",
        ] {
            assert_eq!(Signature::read(bad), None, "{bad}");
        }
        for bad in ["20240303", "20240303T020000", "2024-03-03T02:00:00Z", "20241303T020000Z", ""] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(time("20240303T020000Z"), "2024-03-03T02:00:00Z".parse().ok());
    }
}
