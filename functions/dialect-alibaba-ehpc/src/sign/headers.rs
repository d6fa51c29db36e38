//! Version 3, `ACS3-HMAC-SHA256`: of the query, the body, and all headers that
//! the client chose to sign, `accept` and `user-agent` among them.

use shared::{
    auth::signing::{are_distinct, canonical_query, hex, hmac_sha256, sha256_hex},
    wire::Request,
};

use super::{Claim, Scheme, incomplete};
use crate::faults::Fault;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What the `Authorization` header has.
struct Authorization<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// What the headers say of their sender.
pub fn claim(request: &Request, authorization: &str, body: &[u8]) -> Result<Claim, Fault> {
    let said = Authorization::parse(authorization)?;
    let signed: Vec<&str> = said.signed_headers.split(';').collect();
    // What says who asks for what, and when, is signed; whatever else is.
    let ours = |name: &str| name == "host" || name.starts_with("x-acs-");
    let unsigned = request
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .find(|name| ours(name) && !signed.contains(name));
    if let Some(name) = unsigned {
        return Err(incomplete(&format!("the header {name} is not signed")));
    }
    let required = |name: &str| {
        let value = request.header(name).map(str::trim).filter(|value| !value.is_empty());
        value.map(str::to_owned).ok_or_else(|| incomplete(&format!("there is no header {name}")))
    };
    let canonical = canonical(request, &signed, body)?;
    Ok(Claim {
        scheme: Scheme::Headers,
        key: said.credential.to_owned(),
        signature: said.signature.to_owned(),
        nonce: required("x-acs-signature-nonce")?,
        date: required("x-acs-date")?,
        token: request.header("x-acs-security-token").map(str::to_owned),
        string_to_sign: format!("{ALGORITHM}\n{}", sha256_hex(canonical.as_bytes())),
    })
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Result<Self, Fault> {
        let (algorithm, fields) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            let message =
                format!("The algorithm {algorithm} is not known here: it is {ALGORITHM}.");
            return Err(Fault::bad("InvalidParameter", message));
        }
        let field = |name: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
            let found = fields.find(|(key, _)| *key == name).map(|(_, value)| value);
            found
                .filter(|value| !value.is_empty())
                .ok_or_else(|| incomplete(&format!("the Authorization header has no {name}")))
        };
        Ok(Authorization {
            credential: field("Credential")?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}

/// The request as it is signed. The query is encoded anew: on the wire a blank
/// is `+`, and here it is not.
fn canonical(request: &Request, signed: &[&str], body: &[u8]) -> Result<String, Fault> {
    let query = canonical_query(&request.query);
    if !are_distinct(signed) {
        return Err(incomplete("a header is signed twice"));
    }
    let mut names = signed.to_vec();
    names.sort_unstable();
    let line = |name: &str| {
        let value = request.header(name);
        let value = value.ok_or_else(|| incomplete(&format!("there is no header {name}")))?;
        Ok::<_, Fault>(format!("{name}:{}\n", value.trim()))
    };
    let headers = names.into_iter().map(line).collect::<Result<String, _>>()?;
    let (method, signed) = (&request.method, signed.join(";"));
    Ok(format!("{method}\n/\n{query}\n{headers}\n{signed}\n{}", sha256_hex(body)))
}

pub fn signature(secret: &str, string_to_sign: &str) -> String {
    hex(&hmac_sha256(secret.as_bytes(), string_to_sign.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderMap, Method};
    use shared::wire::{Body, Caller, query_pairs};

    use super::*;

    const HEADERS: [(&str, &str); 9] = [
        ("accept", "application/json"),
        ("host", "127.0.0.1:18782"),
        ("user-agent", "test-agent/1.0"),
        ("x-acs-action", "ListTasks"),
        (
            "x-acs-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("x-acs-credentials-provider", "static_ak"),
        ("x-acs-date", "2024-03-03T02:00:00Z"),
        ("x-acs-signature-nonce", "d1fea066a0bcbd5af5e2cfcef53819fa"),
        ("x-acs-version", "2018-04-12"),
    ];

    fn request(method: Method, query: &str, more: &[(&'static str, &'static str)]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in HEADERS.iter().chain(more) {
            headers.insert(*name, value.parse().unwrap());
        }
        Request {
            method,
            path: "/".into(),
            parameters: BTreeMap::new(),
            query: query_pairs(query).unwrap(),
            query_text: query.into(),
            headers,
            body: Body::Empty,
            caller: Caller::Outside,
        }
    }

    /// The hash of the canonical request, and the signature.
    fn signed(request: &Request) -> (String, String) {
        let mut names: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let authorization = format!(
            "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={},Signature=x",
            names.join(";")
        );
        let claim = claim(request, &authorization, b"").unwrap();
        let (algorithm, hash) = claim.string_to_sign.split_once('\n').unwrap();
        assert_eq!(algorithm, "ACS3-HMAC-SHA256");
        (hash.to_owned(), signature("testsecret", &claim.string_to_sign))
    }

    #[test]
    fn what_the_vendors_client_signed_is_signed_the_same() {
        let query = "PageSize=10&PageNumber=1&ClusterId=ehpc-hz-FYUr32%2A%2A%2A%2A&Archived=True";
        let (hash, signature) = signed(&request(Method::GET, query, &[]));
        assert_eq!(hash, "7295c2856ec99f338acfc28a40297f954e1b70326e65292f797faacd3b7ce1bd");
        assert_eq!(signature, "4d67201b6ee39e55b1ecd72edf0b7e7cec4db699f79f2ca710bc01d36aeb1ed8");
    }

    #[test]
    fn a_blank_is_signed_otherwise_than_it_is_sent() {
        let query = "ClusterId=ehpc-hz-1&Container=%7B%22Arg%22%3A%5B%22x+y%22%2C%22%2A~%22%5D%2C\
            %22EnvironmentVar%22%3A%5B%5D%2C%22Image%22%3A%22a%2Fb%3A1%22%2C%22VolumeMount%22%3A\
            %5B%5D%7D&JobName=testjob";
        let more = [("x-acs-action", "SubmitServerlessJob")];
        let (hash, signature) = signed(&request(Method::POST, query, &more));
        assert_eq!(hash, "39650e26a7a58214b924afd71e09a5473aa6c48fe9df7da9b8aefa24fd44821e");
        assert_eq!(signature, "ea2be4af05c87f8544bbe863cbb34baa5558e8f30e31fd3cdb9dd2460f1f9621");
    }

    #[test]
    fn temporary_credentials_are_signed_with_their_token() {
        let more = [
            ("x-acs-credentials-provider", "static_sts"),
            ("x-acs-accesskey-id", "testid"),
            ("x-acs-security-token", "ststoken"),
        ];
        let (_, signature) = signed(&request(Method::GET, "ClusterId=sts", &more));
        assert_eq!(signature, "c633b03669b122c43271d97842d866a140427f7e5ceda7beef013fea75a2c068");
    }

    #[test]
    fn a_request_off_the_wire_is_signed_the_same() {
        let query = "Archived=True&ClusterId=ehpc-hz-FYUr32%2A%2A%2A%2A&PageNumber=1&PageSize=10\
            &TaskId=B745C159-3155-4B94-95D0-4B73D4D2";
        let agent = "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2";
        let more = [("user-agent", agent), ("x-acs-date", "2026-11-22T03:11:02Z")];
        let (_, signature) = signed(&request(Method::GET, query, &more));
        assert_eq!(signature, "74c7b5a8f356bd3e38d4f624c1f6b496611094da61adc11c9de0e56ca5953bd6");
    }

    #[test]
    fn what_is_not_signed_is_not_believed() {
        let asked = request(Method::GET, "ClusterId=a", &[]);
        let all = HEADERS.map(|(name, _)| name).join(";");
        let twice = format!("ACS3-HMAC-SHA256 Credential=a,SignedHeaders={all};Host,Signature=b");
        for (header, why) in [
            ("ACS3-HMAC-SHA256 Credential=a,Signature=b", "SignedHeaders"),
            ("ACS3-HMAC-SHA256 SignedHeaders=host,Signature=b", "Credential"),
            ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host", "Signature"),
            ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=b", "is not signed"),
            ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=accept,Signature=b", "is not signed"),
            (&twice, "is signed twice"),
        ] {
            let Err(fault) = claim(&asked, header, b"") else { panic!("{header}") };
            assert_eq!(fault.code, "IncompleteSignature", "{header}");
            assert!(fault.message.contains(why), "{header}: {}", fault.message);
        }
        let Err(other) = claim(&asked, "ACS3-RSA-SHA256 Credential=a", b"") else { panic!() };
        assert_eq!(other.code, "InvalidParameter");
    }
}
