//! One master key, and every other key derived from it (HKDF-SHA256, RFC 5869)
//! with a label for its use. Only the master key is secret at rest.

use std::sync::Arc;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::{
    job::{AccessKeyId, AttemptKey, Sealed},
    platform::Clock,
};

/// The length of an `XChaCha20` nonce in bytes.
const NONCE_BYTES: usize = 24;

/// Text that must not be shown. Its `Debug` keeps silent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// `text`, from now on kept quiet about.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The keys of one installation.
#[derive(Clone)]
pub struct Keyring {
    expand: Arc<Hkdf<Sha256>>,
    attempts: [u8; 32],
    texts: [u8; 32],
    sealing: [u8; 32],
}

impl Keyring {
    /// All keys that follow from `master`.
    pub fn new(master: &[u8; 32]) -> Self {
        let expand = Hkdf::<Sha256>::new(Some(b"tarpon v1"), master);
        Keyring {
            attempts: expanded(&expand, "attempt tokens"),
            texts: expanded(&expand, "signed texts"),
            sealing: expanded(&expand, "sealed secrets"),
            expand: Arc::new(expand),
        }
    }

    /// The key that signs the platform's own URLs.
    pub fn url_key(&self) -> [u8; 32] {
        expanded(&self.expand, "signed urls")
    }

    /// The secret half of an access key: 43 characters of base 64 (URL form).
    pub fn secret_of(&self, key: AccessKeyId) -> Secret {
        let secret = expanded(&self.expand, &format!("access key {key}"));
        Secret(BASE64URL_NOPAD.encode(&secret))
    }

    /// The token that is good for this attempt alone.
    pub fn attempt_token(&self, attempt: AttemptKey) -> Secret {
        let tag = tag(&self.attempts, &attempt_text(attempt));
        Secret(format!("{}.{}", attempt.project, BASE64URL_NOPAD.encode(&tag)))
    }

    /// Whether `token` is the one of `attempt`. In constant time.
    pub fn is_attempt_token(&self, attempt: AttemptKey, token: &str) -> bool {
        let offered = token.rsplit_once('.').map(|(_, tag)| BASE64URL_NOPAD.decode(tag.as_bytes()));
        matches!(offered, Some(Ok(tag)) if verify(&self.attempts, &attempt_text(attempt), &tag))
    }

    /// `text` with a tag that only this installation makes, for one `scope`.
    pub fn sign_text(&self, scope: &str, text: &str) -> String {
        let tag = tag(&self.texts, &format!("{scope}\0{text}"));
        BASE64URL_NOPAD.encode(&[&tag[..16], text.as_bytes()].concat())
    }

    /// The text that was signed for `scope`; `None` if it was not, or not by us.
    pub fn verify_text(&self, scope: &str, signed: &str) -> Option<String> {
        let bytes = BASE64URL_NOPAD.decode(signed.as_bytes()).ok()?;
        let (offered, text) = bytes.split_at_checked(16)?;
        let text = std::str::from_utf8(text).ok()?;
        let mac = keyed(&self.texts, &format!("{scope}\0{text}"));
        mac.verify_truncated_left(offered).ok().map(|()| text.to_owned())
    }

    /// What tells `text` from every other of one `scope`, and tells nothing of
    /// it to who does not have our keys.
    pub fn fingerprint(&self, scope: &str, text: &str) -> String {
        let key = expanded(&self.expand, "fingerprints");
        HEXLOWER.encode(&tag(&key, &format!("{scope}\0{text}"))[..20])
    }

    /// `secret` under an AEAD (XChaCha20-Poly1305), bound to `scope`, which
    /// names its project and item.
    pub fn seal(&self, clock: &dyn Clock, scope: &str, secret: &str) -> Sealed {
        let nonce: [u8; NONCE_BYTES] = clock.random();
        let payload = Payload { msg: secret.as_bytes(), aad: scope.as_bytes() };
        let cipher = XChaCha20Poly1305::new(&self.sealing.into());
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far below the cipher's limit of 256 GiB");
        Sealed(BASE64.encode(&[&nonce[..], &sealed].concat()))
    }

    /// The secret, if it was sealed here and for this `scope`.
    pub fn open(&self, scope: &str, sealed: &Sealed) -> Option<Secret> {
        let bytes = BASE64.decode(sealed.0.as_bytes()).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: sealed, aad: scope.as_bytes() };
        let cipher = XChaCha20Poly1305::new(&self.sealing.into());
        let text = cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
        String::from_utf8(text).ok().map(Secret)
    }
}

fn attempt_text(attempt: AttemptKey) -> String {
    format!("{}/{}", attempt.project, attempt.attempt)
}

fn expanded(expand: &Hkdf<Sha256>, label: &str) -> [u8; 32] {
    let mut key = [0; 32];
    expand.expand(label.as_bytes(), &mut key).expect("32 bytes are within HKDF's limit");
    key
}

fn keyed(key: &[u8; 32], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

fn tag(key: &[u8; 32], text: &str) -> [u8; 32] {
    keyed(key, text).finalize().into_bytes().into()
}

fn verify(key: &[u8; 32], text: &str, offered: &[u8]) -> bool {
    keyed(key, text).verify_slice(offered).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{AttemptId, JobId, ProjectId};

    fn keyring() -> Keyring {
        Keyring::new(&[7; 32])
    }

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn fill_random(&self, bytes: &mut [u8]) {
            bytes.fill(9);
        }
    }

    fn attempt(number: u32) -> AttemptKey {
        let job = JobId::from_bits(5);
        let attempt = AttemptId { job, run: 1, task: 0, instance: 0, number };
        AttemptKey { project: ProjectId::new([1; 16]), attempt }
    }

    #[test]
    fn an_attempts_token_is_good_for_that_attempt_alone() {
        let token = keyring().attempt_token(attempt(1));
        assert!(keyring().is_attempt_token(attempt(1), token.reveal()));
        assert!(!keyring().is_attempt_token(attempt(2), token.reveal()));
        assert!(!Keyring::new(&[8; 32]).is_attempt_token(attempt(1), token.reveal()));
        assert!(!keyring().is_attempt_token(attempt(1), ""));
    }

    #[test]
    fn a_signed_text_is_refused_when_any_byte_or_its_scope_changes() {
        let signed = keyring().sign_text("cursor:a", "job-7");
        assert_eq!(keyring().verify_text("cursor:a", &signed).as_deref(), Some("job-7"));
        assert_eq!(keyring().verify_text("cursor:b", &signed), None);
        for place in 0..signed.len() {
            let mut bytes = signed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(keyring().verify_text("cursor:a", &forged), None, "byte {place}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_only_in_its_own_scope() {
        let sealed = keyring().seal(&Fixed, "project/item", "hunter2");
        assert!(!sealed.0.contains("hunter2"));
        assert_eq!(keyring().open("project/item", &sealed), Some(Secret::new("hunter2")));
        assert_eq!(keyring().open("other/item", &sealed), None);
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
