//! Who may fetch an image: kept, sealed, with a registered image of a name that
//! follows from it.

use shared::{
    auth::{Secret, signing::sha256_hex},
    job::{ImageReference, Name, ProjectId},
    ops::images::{self, RegisteredImage},
    service::Service,
    wire::Problem,
};

use crate::faults::Fault;

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

fn malformed(image: &str, why: &str) -> Fault {
    Fault::new("InvalidParameter.ImageIdMalformed", format!("The image `{image}`: {why}."))
}

/// The name by which the task's image is known: as it was given, or that of an
/// image with its user, which is registered with the job if that is accepted.
pub(crate) async fn image(
    service: &Service,
    project: ProjectId,
    image: String,
    login: Option<Login>,
) -> Result<(String, Option<RegisteredImage>), Fault> {
    let reference: ImageReference =
        image.parse().map_err(|error| malformed(&image, &format!("{error}")))?;
    if is_id(&image) {
        let known = match image.parse::<Name>() {
            Ok(name) => images::load(service, project, &name).await?.is_some(),
            Err(_) => false,
        };
        let unknown = || malformed(&image, "there is none of this id");
        return if known { Ok((image, None)) } else { Err(unknown()) };
    }
    let Some(Login { user, password }) = login else { return Ok((image, None)) };
    let digest = sha256_hex(format!("{image}\n{user}").as_bytes());
    let name: Name = format!("batch-{}", &digest[..16])
        .parse()
        .map_err(|error| Problem::internal(format!("{error}")))?;
    let credentials = Some((user, Secret::new(password)));
    let registered = images::sealed(service, project, name, reference, credentials);
    Ok((registered.name.to_string(), Some(registered)))
}

/// Whether it is the id of an image, and not a reference.
fn is_id(image: &str) -> bool {
    image.starts_with("img-") && !image.contains(['/', ':', '@'])
}
