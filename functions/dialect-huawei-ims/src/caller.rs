//! Who asks: by a Keystone token, or else by an AK/SK signature.

use shared::{
    auth::{self, Identity},
    job::{AccessKeyId, ProjectId},
    service::Service,
};

use crate::{
    API, Sent,
    faults::Fault,
    sign,
    tokens::{self, Scope},
};

/// Who asks, by whatever proves it: for what Keystone itself is asked.
pub async fn known(service: &Service, sent: &Sent) -> Result<Identity, Fault> {
    let (key, _) = credential(service, sent)?;
    Ok(auth::verified(service, key, API).await?)
}

/// Who asks of what is a project's, if each project that the request names is
/// theirs: the SDKs name it in a header as well.
pub async fn known_in(
    service: &Service,
    sent: &Sent,
    project: Option<&str>,
) -> Result<Identity, Fault> {
    let (key, scope) = credential(service, sent)?;
    if scope != Scope::Project {
        return Err(Fault::Unauthenticated("the token is not for a project: ask for one that is"));
    }
    let who = auth::verified(service, key, API).await?;
    for named in project.into_iter().chain(sent.header("x-project-id")) {
        let named: ProjectId = named.parse().map_err(|_| Fault::WrongProject)?;
        if named != who.project {
            return Err(Fault::OtherProject);
        }
    }
    Ok(who)
}

/// The key that asks, and what its credential is good for.
fn credential(service: &Service, sent: &Sent) -> Result<(AccessKeyId, Scope), Fault> {
    match (sent.header("x-auth-token"), sent.header("authorization")) {
        (Some(token), _) => {
            let (token, issue) = tokens::issued(service, token)?;
            Ok((token.key, issue.scope))
        }
        (None, Some(header)) => Ok((sign::signer(service, sent, header)?, Scope::Project)),
        (None, None) => {
            let why = "X-Auth-Token or an AK/SK signature is required";
            Err(Fault::Unauthenticated(why))
        }
    }
}
