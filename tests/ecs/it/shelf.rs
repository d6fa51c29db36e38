//! A registry made of what is put on it, that asks for tokens if it is to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Response, Uri},
};
use serde_json::{Value, json};
use shared::job::ImageReference;
use tokio::net::TcpListener;

/// `alice:p+?>~ss`, as Basic has it.
pub const ALICE: &str = "Basic YWxpY2U6cCs/Pn5zcw==";

/// The registry.
pub struct Shelf {
    pub host: String,
    shared: Arc<Mutex<Shared>>,
}

/// What it has, and how it behaves.
#[derive(Default)]
pub struct Shared {
    documents: HashMap<String, Vec<u8>>,
    /// Who gives tokens; without one, everybody is let in.
    pub realm: Option<String>,
    /// What the token service answers instead.
    pub token_status: Option<u16>,
    /// Where blobs are to be fetched.
    pub blobs_at: Option<String>,
    /// Whether a HEAD tells no digest.
    pub silent: bool,
    /// Every request: method, path, whether it was authorised.
    pub asked: Vec<String>,
}

impl Shelf {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Shelf { host, shared }
    }

    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// What was asked since this was last asked for.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().asked)
    }

    /// A reference to what is here.
    pub fn image(&self, version: &str) -> ImageReference {
        format!("{}/team/tool{version}", self.host).parse().unwrap()
    }

    /// Puts an image for a platform here, and tells its digest.
    pub fn put_image(&self, architecture: &str, user: &str) -> String {
        let config = json!({
            "os": "linux", "architecture": architecture, "created": "no time at all",
            "config": {
                "User": user, "Entrypoint": ["/entry", "a"], "Cmd": ["b"], "WorkingDir": "/work",
                "Env": ["PATH=/bin", "X=1=2"],
            },
        });
        let config = self.put("blobs", &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "digest": config, "size": 1 }, "layers": [],
        });
        self.put("manifests", &manifest)
    }

    /// Puts an index of these here, and tells its digest.
    pub fn put_index(&self, images: &[(&str, &str, &str)]) -> String {
        let entry = |(digest, os, architecture): &(&str, &str, &str)| json!({ "digest": digest, "platform": { "os": os, "architecture": architecture } });
        let entries: Vec<Value> = images.iter().map(entry).collect();
        let kind = "application/vnd.oci.image.index.v1+json";
        self.put(
            "manifests",
            &json!({ "schemaVersion": 2, "mediaType": kind, "manifests": entries }),
        )
    }

    /// Calls what has a digest by a tag, too.
    pub fn tag(&self, tag: &str, digest: &str) {
        let mut shared = self.shared();
        let document = shared.documents[&format!("manifests/{digest}")].clone();
        shared.documents.insert(format!("manifests/{tag}"), document);
    }

    /// Puts something else where this digest is.
    pub fn spoil(&self, digest: &str, bytes: Vec<u8>) {
        self.shared().documents.insert(format!("manifests/{digest}"), bytes);
    }

    fn put(&self, kind: &str, document: &Value) -> String {
        let bytes = document.to_string().into_bytes();
        let digest = digest(&bytes);
        self.shared().documents.insert(format!("{kind}/{digest}"), bytes);
        digest
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes)))
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut shared = shared.lock().unwrap();
    let authorization = headers.get("authorization").and_then(|it| it.to_str().ok());
    let mark = if authorization.is_some() { " authorised" } else { "" };
    shared.asked.push(format!("{method} {uri}{mark}"));
    if uri.path() == "/token" {
        return token(&shared, authorization);
    }
    if let Some(realm) = shared.realm.as_ref().filter(|_| authorization != Some("Bearer good")) {
        let challenge = format!(r#"Bearer realm="{realm}",service="shelf""#);
        return plain(401).header("www-authenticate", challenge).body(Body::empty()).unwrap();
    }
    let path = uri.path().strip_prefix("/v2/team/tool/").unwrap_or_default();
    if let Some(elsewhere) = shared.blobs_at.as_ref().filter(|_| path.starts_with("blobs/")) {
        let location = format!("{elsewhere}{}", uri.path());
        return plain(307).header("location", location).body(Body::empty()).unwrap();
    }
    match shared.documents.get(path) {
        None => plain(404).body(Body::empty()).unwrap(),
        Some(bytes) => {
            let told = plain(200).header("content-length", bytes.len());
            let told = if shared.silent {
                told
            } else {
                told.header("docker-content-digest", digest(bytes))
            };
            told.body(Body::from(bytes.clone())).unwrap()
        }
    }
}

fn token(shared: &Shared, authorization: Option<&str>) -> Response<Body> {
    match (shared.token_status, authorization) {
        (Some(status), _) => plain(status).body(Body::empty()).unwrap(),
        (None, Some(ALICE)) => plain(200).body(Body::from(r#"{"access_token": "good"}"#)).unwrap(),
        (None, _) => plain(401).body(Body::empty()).unwrap(),
    }
}

fn plain(status: u16) -> axum::http::response::Builder {
    Response::builder().status(status)
}
