//! Version 1: HMAC-SHA1 of all parameters, those of a form body included.

use data_encoding::BASE64;
use http::Method;
use shared::{
    auth::signing::{canonical_query, hmac_sha1, unreserved},
    wire::Request,
};

use super::{Claim, Scheme, incomplete};
use crate::faults::Fault;

/// What the parameters say of their sender.
pub fn claim(request: &Request, form: &[(String, String)]) -> Result<Claim, Fault> {
    let pairs: Vec<_> = request.query.iter().chain(form).cloned().collect();
    let find = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let required = |name: &str| find(name).ok_or_else(|| Fault::missing(name));
    let key = required("AccessKeyId")?;
    let signature = find("Signature").ok_or_else(|| incomplete("there is no Signature"))?;
    only(&required("SignatureMethod")?, "SignatureMethod", "HMAC-SHA1")?;
    only(&required("SignatureVersion")?, "SignatureVersion", "1.0")?;
    if let Some(kind) = find("SignatureType") {
        return Err(unknown("SignatureType", &kind));
    }
    Ok(Claim {
        scheme: Scheme::Query,
        key,
        signature,
        nonce: required("SignatureNonce")?,
        date: required("Timestamp")?,
        token: find("SecurityToken"),
        string_to_sign: string_to_sign(&request.method, &pairs),
    })
}

fn only(said: &str, name: &str, known: &str) -> Result<(), Fault> {
    if said.eq_ignore_ascii_case(known) { Ok(()) } else { Err(unknown(name, said)) }
}

fn unknown(name: &str, said: &str) -> Fault {
    let known = "HMAC-SHA1 of version 1.0, or the header ACS3-HMAC-SHA256";
    Fault::bad("InvalidParameter", format!("The {name} {said} is not known here: it is {known}."))
}

fn string_to_sign(method: &Method, pairs: &[(String, String)]) -> String {
    let signed = canonical_query(pairs.iter().filter(|(name, _)| name != "Signature"));
    format!("{method}&%2F&{}", unreserved(&signed))
}

pub fn signature(secret: &str, string_to_sign: &str) -> String {
    let key = format!("{secret}&");
    BASE64.encode(&hmac_sha1(key.as_bytes(), string_to_sign.as_bytes()))
}

#[cfg(test)]
mod tests {
    use shared::wire::query_pairs;

    use super::*;

    const COMMON: &str = "Version=2018-04-12&Format=JSON&RegionId=cn-hangzhou\
        &Timestamp=2024-03-03T02%3A00%3A00Z&SignatureMethod=HMAC-SHA1&SignatureType=\
        &SignatureVersion=1.0&SignatureNonce=9ff4af95f134b9e0637871b2f4a38d3f&AccessKeyId=testid";

    fn signed(method: &Method, query: &str) -> String {
        signature("testsecret", &string_to_sign(method, &query_pairs(query).unwrap()))
    }

    #[test]
    fn what_the_vendors_client_signed_is_signed_the_same() {
        let own = "ClusterId=ehpc-hz-FYUr32%2A%2A%2A%2A&PageNumber=1&PageSize=10&Action=ListTasks";
        let query = format!("{own}&{COMMON}");
        let expected = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DListTasks%26ClusterId%3Dehpc-hz-\
            FYUr32%252A%252A%252A%252A%26Format%3DJSON%26PageNumber%3D1%26PageSize%3D10%26RegionId\
            %3Dcn-hangzhou%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D9ff4af95f134b9e0637871\
            b2f4a38d3f%26SignatureType%3D%26SignatureVersion%3D1.0%26Timestamp%3D2024-03-03T02\
            %253A00%253A00Z%26Version%3D2018-04-12";
        let pairs = query_pairs(&query).unwrap();
        assert_eq!(string_to_sign(&Method::GET, &pairs), expected);
        assert_eq!(signed(&Method::GET, &query), "DEH+MRBQ5Jn9xhqm6MDgdravApA=");
        // Its own signature is no part of what is signed.
        let whole = format!("{query}&Signature=DEH%2BMRBQ5Jn9xhqm6MDgdravApA%3D");
        assert_eq!(signed(&Method::GET, &whole), "DEH+MRBQ5Jn9xhqm6MDgdravApA=");
    }

    #[test]
    fn blanks_stars_and_tildes_are_signed_as_the_client_signs_them() {
        let container =
            "%7B%22Image%22%3A+%22a%2Fb%3A1%22%2C+%22Arg%22%3A+%5B%22x+y%22%2C+%22%2A~%22%5D%7D";
        let own = format!(
            "ClusterId=ehpc-hz-1&JobName=testjob&Container={container}&Action=SubmitServerlessJob"
        );
        let query = format!("{own}&{COMMON}");
        assert_eq!(signed(&Method::POST, &query), "OP928xaC4Kj0ciok7kqeoakPUJw=");
    }

    #[test]
    fn a_request_off_the_wire_is_signed_the_same() {
        let query = "ClusterId=ehpc-hz-FYUr32%2A%2A%2A%2A&PageNumber=1&PageSize=10\
            &Version=2018-04-12&Action=ListTasks&Format=JSON&RegionId=cn-hangzhou\
            &Timestamp=2026-11-22T03%3A10%3A53Z&SignatureMethod=HMAC-SHA1&SignatureType=\
            &SignatureVersion=1.0&SignatureNonce=9ff4af95f134b9e0637871b2f4a38d3f\
            &AccessKeyId=testid&Signature=rv2HbbsLr8Uh7dLjLcQ%2BJk3kUDg%3D";
        assert_eq!(signed(&Method::GET, query), "rv2HbbsLr8Uh7dLjLcQ+Jk3kUDg=");
    }
}
