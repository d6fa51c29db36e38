//! Who may ask, and how that is proven.

use std::time::Duration;

use super::*;
use shared::{
    auth::{AccessToken, signing::sha256_hex},
    ops::keys,
};

const DESCRIBE: &str = r#"{"JobIds": []}"#;

#[tokio::test(start_paused = true)]
async fn every_way_to_sign_and_to_send_is_taken() {
    let client = Client::new().await;
    assert_eq!(client.got("DescribeJobs", json!({})).await["TotalCount"], 0);
    let own = [("Filters.0.Name", "job-name"), ("Filters.0.Values.0", "a b&c"), ("Limit", "5")];
    for hash in [Hash::Sha1, Hash::Sha256] {
        for method in [Method::GET, Method::POST] {
            let pairs = client.signed(method.as_str(), hash, "DescribeJobs", &own);
            let answer = said(&client.older(method, &pairs).await);
            assert_eq!(answer.unwrap()["TotalCount"], 0);
        }
    }
    // Without a word for the hash it is SHA-1.
    let mut pairs = client.signed("GET", Hash::Sha1, "DescribeJobs", &[]);
    pairs.retain(|(name, _)| name != "SignatureMethod" && name != "Signature");
    let text = sign::in_one("GET", HOST, &pairs);
    let signature = sign::older(client.world.secret.reveal(), Hash::Sha1, &text);
    pairs.push(("Signature".into(), signature));
    said(&client.older(Method::GET, &pairs).await).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tc3_get_carries_its_parameters_in_the_query() {
    let client = Client::new().await;
    let media_type = "application/x-www-form-urlencoded";
    let query = "Filters.0.Name=job-name&Filters.0.Values.0=a%2Fb&Limit=5";
    let at = client.now();
    let headers = [("content-type", media_type.to_owned()), ("host", HOST.to_owned())];
    let canonical = sign::canonical("GET", query, &headers, &sha256_hex(b""));
    let signature = sign::tc3(client.world.secret.reveal(), at, "batch", &canonical);
    let ask = |value: &str| {
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{}/batch/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}",
            client.world.key,
            at.strftime("%Y-%m-%d"),
        );
        client
            .world
            .ask("/")
            .query("Filters.0.Name", "job-name")
            .query("Filters.0.Values.0", value)
            .query("Limit", "5")
            .header("content-type", media_type)
            .header("authorization", &authorization)
            .header("host", HOST)
            .header("x-tc-action", "DescribeJobs")
            .header("x-tc-timestamp", &at.as_second().to_string())
            .header("x-tc-version", "2017-03-12")
    };
    said(&ask("a/b").speak(&TencentBatch).await).unwrap();
    let changed = ask("a/c").speak(&TencentBatch).await;
    assert_eq!(code(&changed), "AuthFailure.SignatureFailure");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_service_from_the_endpoint_is_let_in() {
    let client = Client::new().await;
    for (service, host) in [
        ("127", "127.0.0.1"),
        ("127", HOST),
        ("batch", "127.0.0.1"),
        ("localhost:8080", HOST),
        ("abcdefghijklmnopqrstuvwxyz012345", HOST),
    ] {
        let change = |tc3| Tc3 { service: service.into(), host: host.into(), ..tc3 };
        let answer = client.sent("DescribeJobs", DESCRIBE, change).await;
        assert_eq!(said(&answer).unwrap()["TotalCount"], 0, "{service} {host}");
    }
    for host in ["127.0.0.1:80", "127.0.0", "localhost", ""] {
        let change = |tc3| Tc3 { service: "127".into(), host: host.into(), ..tc3 };
        let answer = client.sent("DescribeJobs", DESCRIBE, change).await;
        assert_eq!(code(&answer), "AuthFailure.SignatureFailure", "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_changed_part_of_an_authorization_is_refused() {
    let client = Client::new().await;
    let good = client.tc3(DESCRIBE).authorization();
    let refused = async |authorization: String| {
        let more = vec![("authorization", authorization)];
        code(&client.sent("DescribeJobs", DESCRIBE, |tc3| Tc3 { more, ..tc3 }).await)
    };
    let day = |days: i64| {
        let at = client.now() + jiff::SignedDuration::from_hours(24 * days);
        at.strftime("/%Y-%m-%d/").to_string()
    };
    let (key, today) = (client.world.key.to_string(), day(0));
    let (form, mismatch) = ("AuthFailure.InvalidAuthorization", "AuthFailure.SignatureFailure");
    for (from, to, code) in [
        ("TC3-HMAC-SHA256", "TC3-HMAC-SHA1", form),
        (&key, "AKIDEXAMPLE", "AuthFailure.SecretIdNotFound"),
        (&today, &day(-1), mismatch),
        (&today, &day(1), mismatch),
        (&today, "/2023-13-41/", mismatch),
        (&today, "//", mismatch),
        ("/batch/", "/cvm/", mismatch),
        ("/batch/", "//", form),
        ("/tc3_request", "/tc4_request", form),
        ("content-type;host", "host;content-type", mismatch),
        ("content-type;host", "content-type;host;x-tc-action", mismatch),
        ("content-type;host", "content-type;host;x-tc-nothing", form),
        ("content-type;host", "content-type", form),
        ("Signature=", "Signature=0", mismatch),
    ] {
        assert_eq!(refused(good.replace(from, to)).await, code, "{from} -> {to}");
    }
    for place in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[place] ^= 1;
        let code = refused(String::from_utf8(changed).unwrap()).await;
        assert!(code.starts_with("AuthFailure."), "byte {place}: {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_changed_byte_of_a_body_is_refused() {
    let client = Client::new().await;
    let body = r#"{"JobIds": [], "Limit": 20}"#;
    said(&client.sent("DescribeJobs", body, |tc3| tc3).await).unwrap();
    for place in 0..body.len() {
        let mut changed = body.to_owned().into_bytes();
        changed[place] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        let answer = client.sent("DescribeJobs", body, |tc3| Tc3 { sent: changed, ..tc3 }).await;
        assert_eq!(code(&answer), "AuthFailure.SignatureFailure", "byte {place}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_changed_parameter_of_an_older_signature_is_refused() {
    let client = Client::new().await;
    let pairs = client.signed("GET", Hash::Sha256, "DescribeJobs", &[("Limit", "20")]);
    let unsigned = |name: &str| ["Signature", "SecretId", "Timestamp"].contains(&name);
    for place in (0..pairs.len()).filter(|place| !unsigned(&pairs[*place].0)) {
        let mut changed = pairs.clone();
        if changed[place].0 == "SignatureMethod" {
            changed[place].1 = "HmacSHA1".into();
        } else {
            changed[place].1.push('1');
        }
        let answer = client.older(Method::GET, &changed).await;
        assert_eq!(code(&answer), "AuthFailure.SignatureFailure", "{}", changed[place].0);
    }
    let posted = client.older(Method::POST, &pairs).await;
    assert_eq!(code(&posted), "AuthFailure.SignatureFailure");
    said(&client.older(Method::GET, &pairs).await).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_of_an_older_signature_is_good_once() {
    let client = Client::new().await;
    for (hash, method) in [(Hash::Sha1, Method::GET), (Hash::Sha256, Method::POST)] {
        let pairs = client.signed(method.as_str(), hash, "DescribeJobs", &[]);
        said(&client.older(method.clone(), &pairs).await).unwrap();
        // As it was, in another order, and as late as its time is good.
        let mut turned = pairs.clone();
        turned.reverse();
        for seconds in [0, 1, 299] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            for pairs in [&pairs, &turned] {
                let again = client.older(method.clone(), pairs).await;
                assert_eq!(code(&again), "AuthFailure.SignatureFailure", "{seconds}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_another_request_drew_too_is_good() {
    let client = Client::new().await;
    let drawn = async |own: &[(&str, &str)]| {
        client.nonce.set(65_534);
        let pairs = client.signed("GET", Hash::Sha1, "DescribeJobs", own);
        said(&client.older(Method::GET, &pairs).await)
    };
    drawn(&[]).await.unwrap();
    drawn(&[("Limit", "5")]).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    drawn(&[]).await.unwrap();
    assert_eq!(drawn(&[]).await.unwrap_err(), "AuthFailure.SignatureFailure");
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_takes_in_what_stands_beside_it_is_none() {
    let client = Client::new().await;
    let mut pairs = client.signed("GET", Hash::Sha1, "DescribeJobs", &[]);
    let signed = sign::in_one("GET", HOST, &pairs);
    said(&client.older(Method::GET, &pairs).await).unwrap();
    pairs.retain(|(name, _)| name != "Region");
    let (_, nonce) = pairs.iter_mut().find(|(name, _)| name == "Nonce").unwrap();
    *nonce = format!("{nonce}&Region={REGION}");
    assert_eq!(sign::in_one("GET", HOST, &pairs), signed);
    let again = client.older(Method::GET, &pairs).await;
    assert_eq!(code(&again), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_or_not_let_is_told_so() {
    let client = Client::new().await;
    let refused =
        async |change: fn(Tc3) -> Tc3| code(&client.sent("DescribeJobs", DESCRIBE, change).await);
    let wrong = refused(|tc3| Tc3 { secret: "wrong".into(), ..tc3 }).await;
    assert_eq!(wrong, "AuthFailure.SignatureFailure");
    let nobody = refused(|tc3| Tc3 { key: "AKIDEXAMPLE".into(), ..tc3 }).await;
    assert_eq!(nobody, "AuthFailure.SecretIdNotFound");
    let stranger = refused(|tc3| {
        let key = format!("tp{}", "a".repeat(39));
        Tc3 { key, ..tc3 }
    });
    assert_eq!(stranger.await, "AuthFailure.SecretIdNotFound");
    for seconds in [-301, 301] {
        let late = client.sent("DescribeJobs", DESCRIBE, |tc3| {
            let at = tc3.at + jiff::SignedDuration::from_secs(seconds);
            Tc3 { at, ..tc3 }
        });
        assert_eq!(code(&late.await), "AuthFailure.SignatureExpire");
    }
    let token = refused(|tc3| Tc3 { more: vec![("x-tc-token", "made up".into())], ..tc3 }).await;
    assert_eq!(token, "AuthFailure.TokenFailure");
    let malformed = refused(|tc3| Tc3 { more: vec![("authorization", "TC3".into())], ..tc3 }).await;
    assert_eq!(malformed, "AuthFailure.InvalidAuthorization");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_same_key_goes_with_it() {
    let client = Client::new().await;
    let expires_at = client.now() + jiff::SignedDuration::from_mins(1);
    let token = AccessToken { key: client.world.key, expires_at };
    let token = token.seal(&client.world.service.keyring);
    let more = vec![("x-tc-token", token)];
    let answer = client.sent("DescribeJobs", DESCRIBE, |tc3| Tc3 { more, ..tc3 }).await;
    said(&answer).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_disabled_or_of_other_apis_is_refused() {
    let mut client = Client::new().await;
    let (service, project) = (client.world.service.clone(), client.world.project);
    let other = ["ucloud-ugc".to_owned()].into();
    let (limited, secret) = keys::create(&service, project, None, other).await.unwrap();
    let used = std::mem::replace(&mut client.world.key, limited.id);
    let kept = std::mem::replace(&mut client.world.secret, secret);
    let refused = client.code("DescribeJobs", json!({})).await;
    assert_eq!(refused, "UnauthorizedOperation.UserNotAllowedToUseBatch");
    let submitted = client.code("SubmitJob", submission(json!({ "Tasks": [] }))).await;
    assert_eq!(submitted, "UnauthorizedOperation.UserNotAllowedToUseBatch");
    client.world.key = used;
    client.world.secret = kept;
    keys::disable(&service, project, used).await.unwrap();
    assert_eq!(client.code("DescribeJobs", json!({})).await, "AuthFailure.SecretIdNotFound");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_of_this_api_is_refused_by_name() {
    let client = Client::new().await;
    assert_eq!(client.code("DescribeUniverse", json!({})).await, "InvalidAction");
    assert_eq!(client.code("DescribeJobs", json!({ "Colour": 1 })).await, "UnknownParameter");
    let sent = |change: fn(Tc3) -> Tc3| client.sent("DescribeJobs", DESCRIBE, change);
    let version = sent(|tc3| Tc3 { version: "2020-01-01".into(), ..tc3 }).await;
    assert_eq!(code(&version), "NoSuchVersion");
    let region = sent(|tc3| Tc3 { region: Some("mars-north".into()), ..tc3 }).await;
    assert_eq!(code(&region), "UnsupportedRegion");
    said(&sent(|tc3| Tc3 { region: None, ..tc3 }).await).unwrap();
    let broken = client.sent("DescribeJobs", "{", |tc3| tc3).await;
    assert_eq!(code(&broken), "InvalidRequest");
    let deleted = client.world.ask("/").method(Method::DELETE).speak(&TencentBatch).await;
    assert_eq!(code(&deleted), "UnsupportedProtocol");
    let nothing = client.world.ask("/").nameless().speak(&TencentBatch).await;
    assert_eq!(code(&nothing), "MissingParameter");
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_refused() {
    let client = Client::new().await;
    let large = format!(r#"{{"JobIds": ["{}"]}}"#, "a".repeat(11 << 20));
    let answer = client.sent("DescribeJobs", &large, |tc3| tc3).await;
    assert_eq!(code(&answer), "RequestSizeLimitExceeded");
    let long = "a".repeat(40 << 10);
    let pairs = client.signed("GET", Hash::Sha1, "DescribeJobs", &[("JobIds.0", &long)]);
    let answer = client.older(Method::GET, &pairs).await;
    assert_eq!(code(&answer), "RequestSizeLimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn its_requests_are_told_from_others() {
    use shared::dialect::{Asked, Dialect};
    let pair = |name: &str| (name.to_owned(), "x".to_owned());
    let (both, one) = ([pair("Action"), pair("SecretId")], [pair("Action")]);
    let (mut named, plain) = (http::HeaderMap::new(), http::HeaderMap::new());
    named.insert("x-tc-action", http::HeaderValue::from_static("DescribeJob"));
    for (path, headers, parameters, ours) in [
        ("/", &named, &one[..], true),
        ("/", &plain, &both[..], true),
        ("/", &plain, &one[..], false),
        ("/jobs", &named, &both[..], false),
    ] {
        let method = &Method::POST;
        let asked = Asked { method, path, headers, parameters };
        assert_eq!(TencentBatch.recognises(&asked), ours, "{asked:?}");
    }
}
