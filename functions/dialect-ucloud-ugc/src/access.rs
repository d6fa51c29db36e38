//! Who asks: by a signature on the control plane, by a token on the task plane.

use shared::{
    auth::{AccessToken, Identity, verified},
    job::AccessKeyId,
    ops::projects,
    service::Service,
    wire::Problem,
};

use crate::{
    API,
    asked::Parameters,
    faults::{Code, Fault},
    sign,
};

/// Who has signed the request.
pub async fn by_signature(service: &Service, asked: &Parameters) -> Result<Identity, Fault> {
    let key = signer(service, asked)?.ok_or(Code::NoSignature)?;
    let who = verified(service, key, API).await?;
    of_project(service, asked, who).await
}

/// Whose token the request has. If it is signed as well, that has to be right:
/// but where a name is there twice, the token alone counts.
pub async fn by_token(service: &Service, asked: &Parameters) -> Result<Identity, Fault> {
    let signer = if asked.repeats() { None } else { signer(service, asked)? };
    let token = AccessToken::open(asked.required("AccessToken")?, &service.keyring);
    let token = token.ok_or(Code::TokenInvalid)?;
    if token.expires_at <= service.platform.clock.now() {
        return Err(Code::TokenExpired.into());
    }
    if signer.is_some_and(|signer| signer.project() != token.key.project()) {
        return Err(Code::TokenInvalid.into());
    }
    let who = match verified(service, token.key, API).await {
        // Whoever has disabled the key has ended its tokens.
        Err(Problem::Unauthenticated(_)) => return Err(Code::TokenInvalid.into()),
        who => who?,
    };
    of_project(service, asked, who).await
}

/// The key that the request is signed with, if it is signed.
fn signer(service: &Service, asked: &Parameters) -> Result<Option<AccessKeyId>, Fault> {
    if asked.text(sign::SIGNATURE).is_none() {
        return Ok(None);
    }
    let key: Option<AccessKeyId> = asked.text("PublicKey").and_then(|text| text.parse().ok());
    let key = key.ok_or(Code::UnknownKey)?;
    let secret = service.keyring.secret_of(key);
    if asked.repeats() || !sign::is_signed(asked, secret.reveal()) {
        return Err(Code::WrongSignature.into());
    }
    Ok(Some(key))
}

/// The key's project is the one that is meant; where another is named, by its id
/// or its name, there is none of that name.
async fn of_project(
    service: &Service,
    asked: &Parameters,
    who: Identity,
) -> Result<Identity, Fault> {
    let Some(named) = asked.text("ProjectId") else { return Ok(who) };
    if named == who.project.to_string() {
        return Ok(who);
    }
    let project = projects::load(service, who.project).await?;
    if project.name == named {
        return Ok(who);
    }
    Err(Fault::new(Code::UnknownProject, named))
}
