//! Who asks: by a Keystone token, or else by an AK/SK signature.

use shared::{
    auth::{self, Identity},
    job::ProjectId,
    service::Service,
};

use crate::{API, Sent, faults::Fault, sign, tokens};

/// Who asks.
pub async fn known(service: &Service, sent: &Sent) -> Result<Identity, Fault> {
    let key = match (sent.header("x-auth-token"), sent.header("authorization")) {
        (Some(token), _) => tokens::open(service, token)?.key,
        (None, Some(header)) => sign::signer(service, sent, header)?,
        (None, None) => {
            let why = "X-Auth-Token or an AK/SK signature is required";
            return Err(Fault::Unauthenticated(why));
        }
    };
    Ok(auth::verified(service, key, API).await?)
}

/// Who asks, if each project that the request names is theirs: the SDKs name
/// it in a header as well.
pub async fn known_in(
    service: &Service,
    sent: &Sent,
    project: Option<&str>,
) -> Result<Identity, Fault> {
    let who = known(service, sent).await?;
    for named in project.into_iter().chain(sent.header("x-project-id")) {
        let named: ProjectId = named.parse().map_err(|_| Fault::WrongProject)?;
        if named != who.project {
            return Err(Fault::OtherProject);
        }
    }
    Ok(who)
}
