//! Registered images: a name in a project for a reference and the credentials
//! it takes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{
    auth::Secret,
    job::{ImageReference, Name, ProjectId, Sealed},
    platform::{Expect, Op, Query, RegistryCredentials},
    service::Service,
    wire::Problem,
};

/// A registered image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredImage {
    /// The stored shape's version.
    pub v: u8,
    /// Its name in the project.
    pub name: Name,
    /// What it stands for.
    pub reference: ImageReference,
    /// The registry's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The registry's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sealed>,
    /// When it was registered, or last changed.
    pub updated_at: Timestamp,
}

/// Registers the image, or replaces what the name stood for.
pub async fn put(
    service: &Service,
    project: ProjectId,
    name: Name,
    reference: ImageReference,
    credentials: Option<(String, Secret)>,
) -> Result<RegisteredImage, Problem> {
    let image = sealed(service, project, name, reference, credentials);
    service.platform.table.commit(vec![written(project, &image)]).await?;
    Ok(image)
}

/// The image as it would be registered: a job that it goes along with registers
/// it, if it is accepted.
pub fn sealed(
    service: &Service,
    project: ProjectId,
    name: Name,
    reference: ImageReference,
    credentials: Option<(String, Secret)>,
) -> RegisteredImage {
    let clock = service.platform.clock.as_ref();
    let scope = scope(project, &name);
    let (username, password) = credentials.unzip();
    RegisteredImage {
        v: 1,
        reference,
        username,
        password: password.map(|p| service.keyring.seal(clock, &scope, p.reveal())),
        updated_at: clock.now(),
        name,
    }
}

pub(super) fn written(project: ProjectId, image: &RegisteredImage) -> Op {
    Op::Put(rows::image(project, &image.name), Expect::Anything, rows::plain(image))
}

/// The image of that name, or `None`.
pub async fn load(
    service: &Service,
    project: ProjectId,
    name: &Name,
) -> Result<Option<RegisteredImage>, Problem> {
    let row = service.platform.table.get(&rows::image(project, name)).await?;
    row.as_ref().map(rows::read).transpose()
}

/// What the registry is to be told.
pub fn credentials(
    service: &Service,
    project: ProjectId,
    image: &RegisteredImage,
) -> Option<RegistryCredentials> {
    let username = image.username.clone()?;
    let sealed = image.password.as_ref()?;
    let password = service.keyring.open(&scope(project, &image.name), sealed)?;
    Some(RegistryCredentials { username, password: password.reveal().to_owned() })
}

/// Every registered image of a project.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<RegisteredImage>, Problem> {
    let mut query = Query::partition(project.to_string()).prefix("image#");
    let mut images = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            images.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(images);
        }
    }
}

/// Forgets the name. Jobs that were submitted with it keep what it stood for.
pub async fn delete(service: &Service, project: ProjectId, name: &Name) -> Result<(), Problem> {
    if load(service, project, name).await?.is_none() {
        return Err(Problem::not_found("image", name));
    }
    let delete = Op::Delete(rows::image(project, name), Expect::Anything);
    Ok(service.platform.table.commit(vec![delete]).await?)
}

fn scope(project: ProjectId, name: &Name) -> String {
    format!("{project}/image/{name}")
}
