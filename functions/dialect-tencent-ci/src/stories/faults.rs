//! Who may ask, and what is said to everybody else.

use std::time::Duration;

use http::{HeaderMap, Method};
use jiff::SignedDuration;
use shared::{
    auth::{AccessToken, Secret},
    dialect::{Asked, Dialect},
    ops::keys,
    platform::Clock,
    wire::{Body, Problem},
};

use super::jobs::ROTATE;
use crate::{
    TencentCi,
    testing::{Client, refusal},
};

#[tokio::test(start_paused = true)]
async fn only_a_good_key_and_its_signature_are_let_in() {
    let client = Client::new().await;
    let get = || async { client.refused(Method::GET, "/jobs?tag=A", "").await };
    client.get("/jobs?tag=A").await;

    let wrong = Client { secret: Secret::new("wrong"), ..Client::of(client.world.clone()) };
    let (status, code, _) = wrong.refused(Method::GET, "/jobs?tag=A", "").await;
    assert_eq!((status, code.as_str()), (403, "SignatureDoesNotMatch"));

    for key in ["AKIDEXAMPLE".to_owned(), {
        let project = client.world.project;
        shared::job::AccessKeyId::new(project, [9; 8]).to_string()
    }] {
        let unknown = Client { key, ..Client::of(client.world.clone()) };
        let (status, code, _) = unknown.refused(Method::GET, "/jobs?tag=A", "").await;
        assert_eq!((status, code.as_str()), (403, "InvalidAccessKeyId"));
    }

    let nameless = client.world.ask("/jobs").nameless().speak(&TencentCi).await;
    assert_eq!(refusal(&nameless).1, "AccessDenied");
    assert_eq!(nameless.status, 403);

    keys::disable(&client.world.service, client.world.project, client.world.key).await.unwrap();
    let (status, code, _) = get().await;
    assert_eq!((status, code.as_str()), (403, "AccessDenied"));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_limited_to_other_apis_is_refused() {
    let world = Client::new().await.world;
    for (api, status) in [("tencent-ci", 200), ("huawei-ims", 403)] {
        let apis = std::iter::once(api.to_owned()).collect();
        let made = keys::create(&world.service, world.project, None, apis).await.unwrap();
        let (key, secret) = (made.0.id.to_string(), made.1);
        let client = Client { key, secret, ..Client::of(world.clone()) };
        let answer = client.ask(Method::GET, "/jobs?tag=A", "").await.expect(status);
        if status == 403 {
            assert_eq!(refusal(&answer).1, "AccessDenied");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_along_is_one_of_the_key_that_signs() {
    let client = Client::new().await;
    let token = |key, seconds| {
        let expires_at = client.world.memory.clock.now() + SignedDuration::from_secs(seconds);
        AccessToken { key, expires_at }.seal(&client.world.service.keyring)
    };
    let ask = async |token: &str| {
        let authorization = client.authorization(&Method::GET, "/picqueue", 0);
        let ask = client.world.ask("/picqueue").header("host", client.host);
        let ask = ask.header("authorization", &authorization);
        ask.header("x-ci-security-token", token).speak(&TencentCi).await
    };
    for good in [token(client.world.key, 60), String::new()] {
        let _ = ask(&good).await.expect(200);
    }
    let other = client.world.neighbour().await.key;
    for bad in [
        token(client.world.key, 0),
        token(other, 60),
        "made up".to_owned(),
        "caff\u{e8}".to_owned(),
    ] {
        let (status, code, why) = refusal(&ask(&bad).await);
        assert_eq!((status, code.as_str()), (403, "AccessDenied"), "{bad}");
        assert_eq!(why, "The security token is not a valid one of this key.");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_good_for_a_while() {
    let client = Client::new().await;
    for (seconds, status, code) in [
        (0, 200, ""),
        (-9_999, 200, ""),
        (-10_001, 403, "AccessDenied"),
        (61, 403, "RequestTimeTooSkewed"),
    ] {
        let authorization = client.authorization(&Method::GET, "/picqueue", seconds);
        let ask = client.world.ask("/picqueue").header("host", client.host);
        let answer = ask.header("authorization", &authorization).speak(&TencentCi).await;
        assert_eq!(answer.status, status, "{seconds}");
        if status != 200 {
            assert_eq!(refusal(&answer).1, code);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_may_come_in_the_query() {
    let client = Client::new().await;
    let authorization = client.authorization(&Method::GET, "/picqueue", 0);
    let mut ask = client.world.ask("/picqueue").nameless().header("host", client.host);
    for field in authorization.split('&') {
        let (name, value) = field.split_once('=').unwrap();
        ask = ask.query(name, value);
    }
    let _ = ask.speak(&TencentCi).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn the_bucket_is_in_the_host_the_path_or_the_default_one() {
    let client = Client::new().await;
    let bucket = async |host: &'static str, target: &str, signed: &str| {
        let client = Client { host, ..Client::of(client.world.clone()) };
        let authorization = client.authorization(&Method::GET, signed, 0);
        let ask = client.world.ask(target).header("host", host);
        let answer =
            ask.header("authorization", &authorization).speak(&TencentCi).await.expect(200);
        let read = crate::tree::Fields::read("Response", &answer.body).unwrap();
        read.fields("QueueList").unwrap().text("BucketId").unwrap().to_owned()
    };
    assert_eq!(bucket("b-1.ci.ap-x.myqcloud.com", "/picqueue", "/picqueue").await, "b-1");
    assert_eq!(bucket("b-2.cos.ap-x.example.org", "/picqueue", "/picqueue").await, "b-2");
    assert_eq!(bucket("127.0.0.1", "/ci/b-3/picqueue", "/picqueue").await, "b-3");
    assert_eq!(bucket("127.0.0.1", "/ci/b-3/picqueue", "/ci/b-3/picqueue").await, "b-3");
    // Within the same second it would be the same signature.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(bucket("127.0.0.1", "/picqueue", "/picqueue").await, "default");
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_good_for_no_other_bucket_than_its_first() {
    let client = Client::new().await;
    let fixed = Client { host: "127.0.0.1", ..Client::of(client.world.clone()) };
    let authorization = fixed.authorization(&Method::GET, "/picqueue", 0);
    let ask = async |host: &str, target: &str, authorization: &str| {
        let ask = client.world.ask(target).header("host", host);
        ask.header("authorization", authorization).speak(&TencentCi).await
    };
    for _ in 0..2 {
        let _ = ask("127.0.0.1", "/ci/b-1/picqueue", &authorization).await.expect(200);
    }
    for target in ["/ci/b-2/picqueue", "/picqueue"] {
        let replayed = ask("127.0.0.1", target, &authorization).await.expect(503);
        assert_eq!(refusal(&replayed).1, "SlowDown", "{target}");
    }
    // What signs the bucket is good for that one alone.
    let whole = fixed.authorization(&Method::GET, "/ci/b-1/picqueue", 0);
    let _ = ask("127.0.0.1", "/ci/b-1/picqueue", &whole).await.expect(200);
    let replayed = ask("127.0.0.1", "/ci/b-2/picqueue", &whole).await.expect(403);
    assert_eq!(refusal(&replayed).1, "SignatureDoesNotMatch");
    // A host that names one goes before the path.
    let named = client.authorization(&Method::GET, "/picqueue", 0);
    let moved = ask(client.host, "/ci/b-2/picqueue", &named).await.expect(403);
    assert_eq!(refusal(&moved).1, "SignatureDoesNotMatch");
}

#[tokio::test(start_paused = true)]
async fn a_host_may_be_signed_with_its_port_or_without() {
    let client = Client::new().await;
    for signed in ["127.0.0.1", "127.0.0.1:8080"] {
        let signer = Client { host: signed, ..Client::of(client.world.clone()) };
        let authorization = signer.authorization(&Method::GET, "/picqueue", 0);
        let ask = client.world.ask("/picqueue").header("host", "127.0.0.1:8080");
        let _ = ask.header("authorization", &authorization).speak(&TencentCi).await.expect(200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_of_this_api_is_said_to_be_none() {
    let client = Client::new().await;
    for (method, target) in [
        (Method::GET, "/workflow"),
        (Method::DELETE, "/jobs"),
        (Method::GET, "/"),
        (Method::PUT, "/template"),
    ] {
        let (status, code, _) = client.refused(method, target, "").await;
        assert_eq!((status, code.as_str()), (400, "InvalidURI"), "{target}");
    }
    for (target, xml) in
        [("/jobs", "<Request"), ("/jobs", ""), ("/template", "{}"), ("/jobs", "<Other/>")]
    {
        let (status, code, _) = client.refused(Method::POST, target, xml).await;
        assert_eq!((status, code.as_str()), (400, "MalformedXML"), "{xml}");
    }
    let long = ROTATE.replace("This is my data.", &"x".repeat(300 << 10));
    let (status, code, _) = client.refused(Method::POST, "/jobs", &long).await;
    assert_eq!((status, code.as_str()), (400, "EntityTooLarge"));
    let strange = Client { host: "a$b.ci.ap-x.myqcloud.com", ..Client::of(client.world.clone()) };
    let (status, code, _) = strange.refused(Method::GET, "/jobs?tag=A", "").await;
    assert_eq!((status, code.as_str()), (404, "NoSuchBucket"));
}

#[test]
fn its_requests_are_told_from_others() {
    let recognised = |path: &str, header: Option<(&'static str, &str)>, query: &[(&str, &str)]| {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let parameters: Vec<_> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked =
            Asked { method: &Method::POST, path, headers: &headers, parameters: &parameters };
        TencentCi.recognises(&asked)
    };
    assert!(recognised("/jobs", None, &[]));
    assert!(recognised("/ci/bucket/anything", None, &[]));
    assert!(recognised("/anything", Some(("authorization", "q-sign-algorithm=sha1&q-ak=a")), &[]));
    assert!(recognised("/anything", None, &[("q-sign-algorithm", "sha1")]));
    assert!(recognised("/anything", Some(("host", "b.ci.ap-x.myqcloud.com")), &[]));
    assert!(!recognised("/", None, &[("Action", "SubmitJob")]));
    assert!(!recognised("/", Some(("authorization", "TC3-HMAC-SHA256 Credential=a")), &[]));
    assert!(!recognised("/v3/auth/tokens", Some(("host", "127.0.0.1:8080")), &[]));
}

#[test]
fn what_a_host_could_not_read_is_said_as_all_else() {
    let reply = TencentCi.fault(&Problem::Malformed("the query is not UTF-8".into()));
    assert_eq!(reply.status, 400);
    let Body::Bytes(bytes) = &reply.body else { panic!("it is all there") };
    let error = crate::tree::Fields::read("Error", bytes).unwrap();
    for name in ["Code", "Message", "Resource", "RequestId", "TraceId"] {
        assert!(error.text(name).is_some(), "{name}");
    }
}
