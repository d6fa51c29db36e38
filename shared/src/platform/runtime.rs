//! The runtime: what looks up images and runs containers.
//!
//! [`Runtime::inspect`] is the truth about what lives; nobody sends heartbeats.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Source;
use crate::job::{AttemptKey, Cause, ImageReference, Network, ProjectId, ResolvedImage, Resources};

/// What a registry asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    /// The user's name.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl std::fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryCredentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A container to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Which attempt it is; launching the same one again does nothing.
    pub attempt: AttemptKey,
    /// What to run, as it was resolved.
    pub image: ResolvedImage,
    /// The agent's credential.
    pub token: String,
    /// What the container may use.
    pub resources: Resources,
    /// What it may reach.
    pub network: Network,
    /// Whether its file system is read-only.
    pub read_only_root: bool,
    /// `user[:group]`, over the image's.
    pub user: Option<String>,
    /// Seconds from TERM to KILL that the agent grants the process.
    pub grace_seconds: u32,
    /// Labels for people who look at the runtime directly.
    pub labels: BTreeMap<String, String>,
}

/// The runtime accepted a launch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launched {
    /// Its own name for the container, where that cannot be told from the
    /// attempt's id.
    pub handle: Option<String>,
}

/// An attempt, and the runtime's own name for its container where a launch
/// told one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Which attempt.
    pub attempt: AttemptKey,
    /// What [`Launched`] said. Without it, a runtime that needs one may say
    /// [`Sighting::Gone`] of a container that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
}

impl From<AttemptKey> for Known {
    fn from(attempt: AttemptKey) -> Self {
        Known { attempt, handle: None }
    }
}

/// Whether the runtime has room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes, and it is reserved.
    Admitted,
    /// Not now.
    Full,
    /// Not ever: it asks for more than there is in all.
    TooLarge(String),
}

/// What the runtime sees of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It is coming up.
    Pending,
    /// It runs.
    Running,
    /// It has ended.
    Exited {
        /// The agent's exit code, where it is known.
        code: Option<i32>,
        /// Whether the kernel killed in it for lack of memory.
        out_of_memory: bool,
        /// What the platform says about it.
        message: Option<String>,
    },
    /// It has ended before anything ran in it.
    NotStarted {
        /// Why, as far as the platform says.
        cause: Cause,
        /// What the platform says about it.
        message: String,
    },
    /// There is no trace of it.
    Gone,
}

/// Why an image could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is none of that name.
    #[error("no image {0}")]
    NotFound(ImageReference),
    /// These credentials do not give access to it.
    #[error("access to image {0} is denied")]
    Denied(ImageReference),
    /// It is there and cannot run here.
    #[error("image {image} cannot be used: {why}")]
    Unusable {
        /// The image.
        image: ImageReference,
        /// Such as its platform.
        why: String,
    },
    /// The registry or engine did not answer.
    #[error("the image could not be looked up")]
    Unavailable(#[source] Source),
}

/// Why a runtime call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no room after all; the launch is tried again later.
    #[error("the platform has no room: {0}")]
    NoCapacity(String),
    /// The container cannot be started as asked, now or ever.
    #[error("the container was refused: {0}")]
    Refused(String),
    /// The runtime did not answer.
    #[error("the container runtime did not answer")]
    Unavailable(#[source] Source),
}

/// What runs containers.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// What `image` stands for now, as `project` may see it with
    /// `credentials`. Makes it present where that is what it takes to run it.
    async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError>;

    /// Reserves room for an attempt until it is forgotten. Asking again for
    /// the same attempt changes nothing.
    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission;

    /// Starts the container, unless this attempt's was started before.
    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError>;

    /// Sends TERM to the container's first process; one that is gone is fine.
    /// With `kill`, ends it as soon as the platform can.
    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError>;

    /// What is seen of these attempts, in the same order.
    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError>;

    /// Every attempt of ours that may run, and those that have ended where they
    /// stay until they are forgotten.
    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError>;

    /// The size that a container which may use so much is paid for as, where
    /// that costs something; or why there can be none, ever.
    fn sold(&self, _: Resources) -> Result<Option<Resources>, String> {
        Ok(None)
    }

    /// Ends what is left of an attempt, frees its room, removes such traces as
    /// the platform lets be removed.
    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError>;
}

/// A runtime that is not there, and why: for who never asks for a container.
#[derive(Clone, Copy, Debug)]
pub struct NoRuntime(pub &'static str);

impl NoRuntime {
    fn absent<T>(self) -> Result<T, RuntimeError> {
        Err(RuntimeError::Unavailable(self.0.into()))
    }
}

#[async_trait]
impl Runtime for NoRuntime {
    async fn resolve(
        &self,
        _: ProjectId,
        _: &ImageReference,
        _: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        Err(ResolveError::Unavailable(self.0.into()))
    }

    async fn admit(&self, _: AttemptKey, _: Resources) -> Admission {
        Admission::Full
    }

    async fn launch(&self, _: &Launch) -> Result<Launched, RuntimeError> {
        self.absent()
    }

    async fn stop(&self, _: AttemptKey, _: bool) -> Result<(), RuntimeError> {
        self.absent()
    }

    async fn inspect(&self, _: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        self.absent()
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        self.absent()
    }

    async fn forget(&self, _: AttemptKey) -> Result<(), RuntimeError> {
        self.absent()
    }
}
