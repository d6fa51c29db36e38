//! From a reference to what it stands for now.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::http::Method;
use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    access::{Access, Refusal},
    ecr::{self, Ecr},
    http::Http,
    image::{self, Config, MANIFESTS, Manifest},
    name::Name,
    secrets::PullSecrets,
};
use crate::{
    aws::signed::SignedCalls,
    guard::Guard,
    job::{ImageReference, ProjectId, ResolvedImage, is_digest},
    platform::{Clock, RegistryCredentials, ResolveError},
};

/// How long a look-up may take in all.
const PATIENCE: Duration = Duration::from_secs(40);

/// How many images are remembered.
const KEPT: usize = 1_000;

/// What images are looked up for, and how.
pub struct RegistryConfig {
    /// Where registries may be.
    pub guard: Guard,
    /// What images are run on, such as `amd64`.
    pub architecture: &'static str,
    /// Who signs in to ECR and keeps secrets; neither is done without it.
    pub calls: Option<SignedCalls>,
    /// Where the credentials of private registries are kept for the pull.
    pub secrets: Option<PullSecrets>,
}

/// Looks up images in registries.
pub struct Registry {
    http: Http,
    architecture: &'static str,
    calls: Option<SignedCalls>,
    secrets: Option<PullSecrets>,
    ecr: Ecr,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<Asked, ResolvedImage>>,
}

/// Who asked for what: an answer to one is no answer to another. The digest
/// makes it hold for ever.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    project: ProjectId,
    credentials: Option<[u8; 32]>,
    image: String,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("architecture", &self.architecture).finish_non_exhaustive()
    }
}

impl Registry {
    /// Whoever looks up images as `config` says.
    pub fn new(config: RegistryConfig, clock: Arc<dyn Clock>) -> Self {
        Registry {
            http: Http::new(config.guard),
            architecture: config.architecture,
            calls: config.calls,
            secrets: config.secrets,
            ecr: Ecr::default(),
            clock,
            known: Mutex::default(),
        }
    }

    /// What `image` stands for now, as `project` may see it with `credentials`.
    pub async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let name = Name::of(image).ok_or_else(|| ResolveError::NotFound(image.clone()))?;
        let looked = self.look_up(project, &name, credentials);
        let looked = tokio::time::timeout(PATIENCE, looked).await;
        let looked = looked.unwrap_or_else(|late| Err(Refusal::Away(Box::new(late))));
        looked.map_err(|refusal| match refusal {
            Refusal::Missing => ResolveError::NotFound(image.clone()),
            Refusal::Denied => ResolveError::Denied(image.clone()),
            Refusal::Unfit(why) => ResolveError::Unusable { image: image.clone(), why },
            Refusal::Away(source) => ResolveError::Unavailable(source),
        })
    }

    async fn look_up(
        &self,
        project: ProjectId,
        name: &Name,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, Refusal> {
        let ours = self.sign_in(name, credentials).await?;
        let mut access = Access::new(&self.http, name, credentials.or(ours.as_ref()));
        // Asked each time: a tag may move, access may be taken away.
        let digest = head(&mut access, &name.version).await?;
        let pinned = format!("{}@{digest}", name.given);
        let asked =
            Asked { project, credentials: credentials.map(fingerprint), image: pinned.clone() };
        let known = self.known().get(&asked).cloned();
        let found = match known {
            Some(known) => known,
            None => self.read(&mut access, &digest, pinned).await?,
        };
        self.remember(asked, &found);
        let pull_secret = self.pull_secret(project, name, credentials).await?;
        Ok(ResolvedImage { pull_secret, ..found })
    }

    /// The credentials that this function itself has for an ECR registry.
    async fn sign_in(
        &self,
        name: &Name,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Option<RegistryCredentials>, Refusal> {
        match (ecr::region(&name.host), &self.calls, credentials) {
            (Some(region), Some(calls), None) => {
                self.ecr.sign_in(calls, region, self.clock.now()).await.map(Some)
            }
            (_, _, _) => Ok(None),
        }
    }

    async fn pull_secret(
        &self,
        project: ProjectId,
        name: &Name,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<Option<String>, Refusal> {
        match (credentials, &self.secrets, &self.calls) {
            (Some(credentials), Some(secrets), Some(calls)) => {
                secrets.keep(calls, project, &name.host, credentials).await.map(Some)
            }
            (_, _, _) => Ok(None),
        }
    }

    /// The image behind a manifest's digest.
    async fn read(
        &self,
        access: &mut Access<'_>,
        digest: &str,
        pinned: String,
    ) -> Result<ResolvedImage, Refusal> {
        let mut manifest: Manifest =
            part(access, &format!("manifests/{digest}"), MANIFESTS, digest).await?;
        if let Some(entries) = manifest.manifests.take() {
            let chosen = image::choose(&entries, self.architecture);
            let chosen = chosen.map_err(|there| self.other_platform(&there))?;
            manifest = part(access, &format!("manifests/{chosen}"), MANIFESTS, chosen).await?;
        }
        let config = manifest.config.ok_or_else(|| Refusal::Unfit("it is no image".to_owned()))?;
        let path = format!("blobs/{}", config.digest);
        let config: Config = part(access, &path, "*/*", &config.digest).await?;
        let platform = format!("{}/{}", config.os, config.architecture);
        if platform != format!("linux/{}", self.architecture) {
            return Err(self.other_platform(&platform));
        }
        Ok(resolved(config.run.unwrap_or_default(), pinned, platform))
    }

    fn other_platform(&self, there: &str) -> Refusal {
        let there = if there.is_empty() { "no platform" } else { there };
        Refusal::Unfit(format!("it is for {there}, and tasks run on linux/{}", self.architecture))
    }

    fn remember(&self, asked: Asked, image: &ResolvedImage) {
        let mut known = self.known();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(asked, image.clone());
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Asked, ResolvedImage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn resolved(run: image::Run, digest: String, platform: String) -> ResolvedImage {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    ResolvedImage {
        digest,
        env: run.env(),
        entrypoint: run.entrypoint.unwrap_or_default(),
        command: run.cmd.unwrap_or_default(),
        workdir: given(run.working_dir),
        user: given(run.user),
        platform,
        pull_secret: None,
    }
}

/// The digest of a manifest: a HEAD costs nothing where a GET is counted.
async fn head(access: &mut Access<'_>, version: &str) -> Result<String, Refusal> {
    let path = format!("manifests/{version}");
    let told = access.ask(Method::HEAD, &path, MANIFESTS).await?.digest;
    let digest = match told {
        Some(digest) => digest,
        None => digest_of(&access.ask(Method::GET, &path, MANIFESTS).await?.body),
    };
    if !is_digest(&digest) {
        return Err(Refusal::Unfit("its registry tells no usable digest".to_owned()));
    }
    if version.starts_with("sha256:") && version != digest {
        return Err(Refusal::Unfit("its registry answers with another digest".to_owned()));
    }
    Ok(digest)
}

/// A document by its digest, which it is held against.
async fn part<T: DeserializeOwned>(
    access: &mut Access<'_>,
    path: &str,
    accept: &str,
    digest: &str,
) -> Result<T, Refusal> {
    // What an index says is part of the path that is asked for.
    if !is_digest(digest) {
        return Err(Refusal::Unfit("its description names no usable digest".to_owned()));
    }
    let answer = access.ask(Method::GET, path, accept).await?;
    if digest_of(&answer.body) != digest {
        return Err(Refusal::Unfit(format!("what its registry has under {digest} is not that")));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| Refusal::Unfit(format!("its description makes no sense: {error}")))
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// Tells credentials apart without keeping them.
fn fingerprint(credentials: &RegistryCredentials) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(credentials.username.len().to_be_bytes());
    hash.update(&credentials.username);
    hash.update(&credentials.password);
    hash.finalize().into()
}
