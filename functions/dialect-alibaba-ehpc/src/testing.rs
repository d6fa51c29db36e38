//! A client of this API, in a world of the test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use data_encoding::BASE64;
use http::Method;
use serde_json::Value;
use shared::{
    auth::signing::{hex, hmac_sha1, hmac_sha256, sha256_hex, unreserved},
    conformance::memory::{Answer, Ask, World},
    platform::Clock,
};

use crate::{AlibabaEhpc, words};

/// Signs as the vendor's older client does, or as the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Query,
    Headers,
}

/// What a test changes of a request.
pub struct Client<'w> {
    pub world: &'w World,
    pub signed: Signed,
    pub key: String,
    pub secret: String,
    /// When the request says that it was made; now without one.
    pub date: Option<String>,
    /// The nonce; a new one each time without.
    pub nonce: Option<String>,
    pub token: Option<String>,
    pub version: &'static str,
}

static NONCES: AtomicU32 = AtomicU32::new(0);

impl<'w> Client<'w> {
    pub fn new(world: &'w World, signed: Signed) -> Self {
        Client {
            world,
            signed,
            key: world.key.to_string(),
            secret: world.secret.reveal().to_owned(),
            date: None,
            nonce: None,
            token: None,
            version: crate::VERSION,
        }
    }

    /// What the API answers.
    pub async fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        self.request(action, parameters).speak(&AlibabaEhpc).await
    }

    /// The same, of a call that is answered.
    pub async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        self.ask(action, parameters).await.expect(200).json()
    }

    /// The code of a call that is refused.
    pub async fn refused(&self, action: &str, parameters: &[(&str, &str)]) -> (u16, String) {
        refusal(&self.ask(action, parameters).await)
    }

    pub fn request(&self, action: &str, parameters: &[(&str, &str)]) -> Ask {
        match self.signed {
            Signed::Query => self.by_query(action, parameters),
            Signed::Headers => self.by_headers(action, parameters),
        }
    }

    fn date(&self) -> String {
        let now = words::rfc3339(self.world.memory.clock.now());
        self.date.clone().unwrap_or(now)
    }

    fn nonce(&self) -> String {
        let next = || NONCES.fetch_add(1, Ordering::Relaxed).to_string();
        self.nonce.clone().unwrap_or_else(next)
    }

    fn by_query(&self, action: &str, parameters: &[(&str, &str)]) -> Ask {
        let (date, nonce) = (self.date(), self.nonce());
        let mut pairs = parameters.to_vec();
        pairs.extend([
            ("Action", action),
            ("Version", self.version),
            ("Format", "JSON"),
            ("AccessKeyId", self.key.as_str()),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureType", ""),
            ("SignatureNonce", nonce.as_str()),
            ("Timestamp", date.as_str()),
        ]);
        pairs.extend(self.token.iter().map(|token| ("SecurityToken", token.as_str())));
        pairs.sort_unstable();
        let signed = format!("GET&%2F&{}", unreserved(&encoded(&pairs)));
        let key = format!("{}&", self.secret);
        let signature = BASE64.encode(&hmac_sha1(key.as_bytes(), signed.as_bytes()));
        pairs.push(("Signature", &signature));
        let ask = self.world.ask("/").nameless().header("host", "ehpc.example");
        pairs.into_iter().fold(ask, |ask, (name, value)| ask.query(name, value))
    }

    fn by_headers(&self, action: &str, parameters: &[(&str, &str)]) -> Ask {
        let (date, nonce, hash) = (self.date(), self.nonce(), sha256_hex(b""));
        let mut headers = vec![
            ("accept", "application/json"),
            ("host", "ehpc.example"),
            ("x-acs-action", action),
            ("x-acs-content-sha256", hash.as_str()),
            ("x-acs-date", date.as_str()),
            ("x-acs-signature-nonce", nonce.as_str()),
            ("x-acs-version", self.version),
        ];
        headers.extend(self.token.iter().map(|token| ("x-acs-security-token", token.as_str())));
        headers.sort_unstable();
        let mut pairs = parameters.to_vec();
        pairs.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let line = |(name, value): &(&str, &str)| format!("{name}:{value}\n");
        let lines: String = headers.iter().map(line).collect();
        let canonical = format!("POST\n/\n{}\n{lines}\n{names}\n{hash}", encoded(&pairs));
        let signed = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes()));
        let signature = hex(&hmac_sha256(self.secret.as_bytes(), signed.as_bytes()));
        let authorization = format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}",
            self.key
        );
        let ask = self.world.ask("/").method(Method::POST).header("authorization", &authorization);
        let ask = headers.into_iter().fold(ask, |ask, (name, value)| {
            // The names are known ahead, and so `'static`.
            let known = [
                "accept",
                "host",
                "x-acs-action",
                "x-acs-content-sha256",
                "x-acs-date",
                "x-acs-security-token",
                "x-acs-signature-nonce",
                "x-acs-version",
            ];
            let name = known.into_iter().find(|known| *known == name).expect("it is known");
            ask.header(name, value)
        });
        pairs.into_iter().fold(ask, |ask, (name, value)| ask.query(name, value))
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{}={}", unreserved(name), unreserved(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// The status and code of what was refused.
pub fn refusal(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    for name in ["RequestId", "HostId", "Message"] {
        assert!(json[name].is_string(), "{name}: {json}");
    }
    (answer.status.as_u16(), json["Code"].as_str().unwrap_or_default().to_owned())
}
