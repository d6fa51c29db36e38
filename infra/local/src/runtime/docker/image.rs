//! What an image reference stands for, and who may use it.
//!
//! The engine keeps one store of images for all projects, so that an image is
//! there says nothing about who may run it. One that came from a registry is
//! asked for there again, with the credentials of the project that wants it,
//! and is run by the digest that the registry answered with. One that came
//! from no registry (built or loaded here) belongs to the machine, whose
//! projects all may run it, by its id.
//!
//! Engines with Docker's own image store tell the two apart: only what came
//! from a registry has a registry's digest. Those with containerd's store, and
//! Podman, give digests to all. There, what has a tag is taken for the
//! machine's, since we pull by digest alone: only the operator makes tags.

use std::{collections::HashMap, pin::pin, sync::Mutex, time::Duration};

use bollard::{
    Docker,
    auth::DockerCredentials,
    errors::Error,
    models::{ImageInspect, OciPlatform, SystemInfo, SystemVersion},
    query_parameters::CreateImageOptionsBuilder,
};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use shared::{
    guard::Guard,
    job::{ImageReference, ProjectId, ResolvedImage},
    keyed::{Keyed, guard},
    platform::{RegistryCredentials, ResolveError},
};
use tokio::time::Instant;

use super::fault;

/// How long a registry's answer holds: a tag may move, access may be taken away.
const FRESH: Duration = Duration::from_mins(1);

/// How many answers are kept.
const KEPT: usize = 1_000;

/// How long a pull may go on without a sign of progress.
const STALLED: Duration = Duration::from_mins(5);

/// What the engine is, as far as its images go.
pub(super) struct EngineKind {
    /// What it runs, `os/architecture`.
    pub(super) platform: String,
    /// Whether an image that came from no registry has no digest.
    pub(super) tells_origin: bool,
}

/// Looks up images.
pub(super) struct Images {
    engine: Docker,
    kind: EngineKind,
    guard: Guard,
    asking: Keyed<Access>,
    known: Mutex<HashMap<Access, Known>>,
}

/// Who asks for what: an answer to one is no answer to another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Access {
    project: ProjectId,
    image: ImageReference,
    credentials: Option<[u8; 32]>,
}

struct Known {
    image: ResolvedImage,
    until: Instant,
}

impl Images {
    /// The images of this engine.
    pub(super) fn new(engine: Docker, kind: EngineKind, guard: Guard) -> Self {
        Images { engine, kind, guard, asking: Keyed::default(), known: Mutex::default() }
    }

    pub(super) async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let here = self.inspect(image, image.as_str()).await?;
        let by_id = image.as_str().starts_with("sha256:");
        match &here {
            Some(here) if self.is_local(here) => return self.resolved(image, id(here), here),
            None if by_id => return Err(ResolveError::NotFound(image.clone())),
            Some(_) | None => {}
        }
        let access =
            Access { project, image: image.clone(), credentials: credentials.map(fingerprint) };
        // One at a time: those who wait find the answer of the first.
        let _turn = self.asking.lock(access.clone()).await;
        if let Some(known) = self.known(&access) {
            return Ok(known);
        }
        let resolved = match here {
            // Named by its id, or by a name that was only given to it here.
            Some(here) if by_id || !came_as(image.as_str(), &here) => {
                self.by_id(image, &here, credentials).await?
            }
            Some(_) | None => self.by_name(image, credentials).await?,
        };
        self.keep(access, &resolved);
        Ok(resolved)
    }

    /// An image of the engine's that came from a registry under another name:
    /// whoever may have it there may have it here.
    async fn by_id(
        &self,
        image: &ImageReference,
        here: &ImageInspect,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let mut refusal = ResolveError::NotFound(image.clone());
        for name in here.repo_digests.iter().flatten() {
            match self.ask(image, name, credentials).await {
                Ok(_) => return self.resolved(image, id(here), here),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    async fn by_name(
        &self,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let digest = self.ask(image, image.as_str(), credentials).await?;
        let name = format!("{}@{digest}", repository(image.as_str()));
        if let Some(here) = self.inspect(image, &name).await? {
            return self.resolved(image, name, &here);
        }
        self.pull(image, &name, credentials).await?;
        let here = self.inspect(image, &name).await?;
        let here = here.ok_or_else(|| ResolveError::NotFound(image.clone()))?;
        self.resolved(image, name, &here)
    }

    /// The digest that `name` has at its registry, if these credentials may
    /// know it.
    ///
    /// The engine connects by itself, wherever the registry sends it for a
    /// token: where that matters, the engine needs a firewall.
    async fn ask(
        &self,
        image: &ImageReference,
        name: &str,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<String, ResolveError> {
        let unusable = |why| ResolveError::Unusable { image: image.clone(), why };
        match self.guard.barred(registry(name)).await {
            Ok(None) => {}
            Ok(Some(address)) => {
                return Err(unusable(format!("its registry's address, {address}, is not allowed")));
            }
            Err(error) => return Err(ResolveError::Unavailable(Box::new(error))),
        }
        let found = self.engine.inspect_registry_image(name, credentials.map(login)).await;
        let found = found.map_err(|error| match fault::answer(&error) {
            Some((404, message)) if message.trim() == "Not Found" => {
                unusable("this engine cannot ask registries; pull or load it by hand".to_owned())
            }
            _ => fault::resolve_error(image, error),
        })?;
        let runs = |platform: &OciPlatform| self.runs(&text(platform));
        if !found.platforms.is_empty() && !found.platforms.iter().any(runs) {
            let there = found.platforms.iter().map(text).collect::<Vec<_>>().join(", ");
            return Err(unusable(format!(
                "it is for {there}, and this machine is {}",
                self.kind.platform
            )));
        }
        found.descriptor.digest.ok_or_else(|| unusable("its registry tells no digest".to_owned()))
    }

    async fn pull(
        &self,
        image: &ImageReference,
        name: &str,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<(), ResolveError> {
        let options = CreateImageOptionsBuilder::new().from_image(name).build();
        let progress = self.engine.create_image(Some(options), None, credentials.map(login));
        let mut progress = pin!(progress);
        loop {
            match tokio::time::timeout(STALLED, progress.try_next()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(fault::resolve_error(image, error)),
                Err(stalled) => return Err(ResolveError::Unavailable(Box::new(stalled))),
            }
        }
    }

    async fn inspect(
        &self,
        image: &ImageReference,
        name: &str,
    ) -> Result<Option<ImageInspect>, ResolveError> {
        match self.engine.inspect_image(name).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if fault::is_missing(&error) => Ok(None),
            Err(error @ Error::DockerResponseServerError { .. }) => {
                Err(fault::resolve_error(image, error))
            }
            Err(error) => Err(ResolveError::Unavailable(Box::new(error))),
        }
    }

    fn resolved(
        &self,
        image: &ImageReference,
        digest: String,
        here: &ImageInspect,
    ) -> Result<ResolvedImage, ResolveError> {
        let platform = OciPlatform {
            os: here.os.clone(),
            architecture: here.architecture.clone(),
            ..Default::default()
        };
        let platform = text(&platform);
        if !self.runs(&platform) {
            let why = format!("it is for {platform}, and this machine is {}", self.kind.platform);
            return Err(ResolveError::Unusable { image: image.clone(), why });
        }
        let config = here.config.clone().unwrap_or_default();
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let pairs = config.env.unwrap_or_default().into_iter();
        Ok(ResolvedImage {
            digest,
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            env: pairs.map(|pair| pair_of(&pair)).collect(),
            workdir: given(config.working_dir),
            user: given(config.user),
            platform,
            pull_secret: None,
        })
    }

    /// Whether the image belongs to the machine.
    fn is_local(&self, image: &ImageInspect) -> bool {
        let pulled = image.identity.as_ref().and_then(|identity| identity.pull.as_ref());
        let has = |names: &Option<Vec<String>>| names.iter().flatten().next().is_some();
        match pulled {
            _ if !has(&image.repo_digests) => true,
            _ if self.kind.tells_origin => false,
            Some(pulled) if !pulled.is_empty() => false,
            Some(_) | None => has(&image.repo_tags),
        }
    }

    fn runs(&self, platform: &str) -> bool {
        platform == self.kind.platform
    }

    fn known(&self, access: &Access) -> Option<ResolvedImage> {
        let known = guard(&self.known);
        known.get(access).filter(|it| it.until > Instant::now()).map(|it| it.image.clone())
    }

    fn keep(&self, access: Access, image: &ResolvedImage) {
        let now = Instant::now();
        let mut known = guard(&self.known);
        if known.len() >= KEPT {
            known.retain(|_, it| it.until > now);
        }
        if known.len() < KEPT {
            known.insert(access, Known { image: image.clone(), until: now + FRESH });
        }
    }
}

/// Whether the image came from a registry under the name that is asked for.
fn came_as(reference: &str, image: &ImageInspect) -> bool {
    let digests = image.repo_digests.iter().flatten();
    digests.into_iter().any(|name| familiar(name) == familiar(reference))
}

/// The repository of a reference, in the short form that engines show.
fn familiar(reference: &str) -> &str {
    let name = repository(reference);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// The engine, by what it says of itself.
pub(super) fn kind(version: &SystemVersion, info: &SystemInfo) -> EngineKind {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let components = version.components.iter().flatten();
    let podman = components.into_iter().any(|component| component.name.starts_with("Podman"));
    let mut status = info.driver_status.iter().flatten().flatten();
    let containerd = status.any(|word| word.starts_with("io.containerd.snapshotter"));
    EngineKind {
        platform: format!("{}/{}", part(&version.os), part(&version.arch)),
        tells_origin: !podman && !containerd,
    }
}

fn id(image: &ImageInspect) -> String {
    image.id.clone().unwrap_or_default()
}

fn pair_of(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

fn text(platform: &OciPlatform) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "unknown".to_owned());
    format!("{}/{}", part(&platform.os), part(&platform.architecture))
}

fn login(credentials: &RegistryCredentials) -> DockerCredentials {
    DockerCredentials {
        username: Some(credentials.username.clone()),
        password: Some(credentials.password.clone()),
        ..Default::default()
    }
}

/// Tells credentials apart without keeping them.
fn fingerprint(credentials: &RegistryCredentials) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(credentials.username.len().to_be_bytes());
    hash.update(&credentials.username);
    hash.update(&credentials.password);
    hash.finalize().into()
}

/// The reference without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

/// Whom the engine asks for it: the first part where that looks like a host,
/// else Docker's own registry.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => match host {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        },
        _ => "registry-1.docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_apart_as_engines_do() {
        for (reference, host, name) in [
            ("hello", "registry-1.docker.io", "hello"),
            ("hello:1", "registry-1.docker.io", "hello"),
            ("team/hello:1", "registry-1.docker.io", "team/hello"),
            ("docker.io/team/hello", "registry-1.docker.io", "docker.io/team/hello"),
            ("host.example/a/b:1", "host.example", "host.example/a/b"),
            ("host:5000/a", "host:5000", "host:5000/a"),
            ("localhost/a@sha256:00", "localhost", "localhost/a"),
            ("host:5000/a:1@sha256:00", "host:5000", "host:5000/a"),
        ] {
            assert_eq!((registry(reference), repository(reference)), (host, name), "{reference}");
        }
    }

    #[test]
    fn credentials_are_told_apart() {
        let of = |username: &str, password: &str| {
            fingerprint(&RegistryCredentials {
                username: username.into(),
                password: password.into(),
            })
        };
        assert_eq!(of("a", "bc"), of("a", "bc"));
        assert_ne!(of("a", "bc"), of("ab", "c"));
    }
}
