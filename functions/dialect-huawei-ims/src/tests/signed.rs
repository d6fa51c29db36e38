//! Requests that a key signs.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use shared::{
    conformance::memory::{Answer, World},
    platform::Clock,
};

use super::{ask, refused};
use crate::{HuaweiIms, Sent, sign::tests::authorization};

/// What the SDK signs.
const SIGNED: [&str; 5] = ["content-type", "host", "user-agent", "x-project-id", "x-sdk-date"];

/// A request that can be spoilt between its signing and its sending.
#[derive(Clone)]
struct Letter {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Letter {
    /// A look at a job, at the world's time and so many seconds.
    fn of(world: &World, job: &str, seconds: i64) -> Self {
        let at = world.memory.clock.now() + jiff::SignedDuration::from_secs(seconds);
        Letter {
            method: Method::GET,
            path: format!("/v1/{}/jobs/{job}", world.project),
            query: Vec::new(),
            headers: vec![
                ("content-type", "application/json".into()),
                ("host", "ims.example:8443".into()),
                ("user-agent", "huaweicloud-usdk-python/3.0".into()),
                ("x-project-id", world.project.to_string()),
                ("x-sdk-date", at.strftime("%Y%m%dT%H%M%SZ").to_string()),
            ],
            body: String::new(),
        }
    }

    fn signed(mut self, access: &str, secret: &str) -> Self {
        let header = |(name, value): &(&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let sent = Sent {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.iter().map(header).collect::<HeaderMap>(),
            body: Bytes::from(self.body.clone()),
        };
        let authorization = authorization(&sent, access, secret, &SIGNED);
        self.headers.push(("authorization", authorization));
        self
    }

    fn by(self, world: &World) -> Self {
        self.signed(&world.key.to_string(), world.secret.reveal())
    }

    /// With one of its headers spoilt.
    fn with(mut self, name: &str, spoil: impl FnOnce(&str) -> String) -> Self {
        let header = self.headers.iter_mut().find(|(known, _)| *known == name).unwrap();
        header.1 = spoil(&header.1);
        self
    }

    async fn sent(self, world: &World) -> Answer {
        let mut asked = ask(world, &self.path).method(self.method);
        for (name, value) in &self.query {
            asked = asked.query(name, value);
        }
        if !self.body.is_empty() {
            asked = asked.body("application/json", &self.body);
        }
        for (name, value) in &self.headers {
            asked = asked.header(name, value);
        }
        asked.speak(&HuaweiIms).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_request_is_its_keys() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let answer = Letter::of(&world, &job, 0).by(&world).sent(&world).await;
    assert_eq!(answer.expect(200).json()["job_id"], job);

    let letter = Letter {
        method: Method::POST,
        path: "/v2/cloudimages/action".into(),
        query: vec![("b".into(), "x y".into()), ("a".into(), "1".into())],
        body: r#"{"name": "img1"}"#.into(),
        ..Letter::of(&world, &job, 0)
    };
    refused(&letter.by(&world).sent(&world).await, 400, "IMG.0105");
}

#[tokio::test(start_paused = true)]
async fn whatever_is_changed_on_the_way_spoils_it() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let letter = Letter {
        query: vec![("a".into(), "1".into())],
        body: r#"{"name": "img1"}"#.into(),
        ..Letter::of(&world, &job, 0)
    };
    let good = letter.by(&world);
    let _ = good.clone().sent(&world).await.expect(200);

    let other = world.neighbour().await;
    let spoilt = [
        Letter { query: vec![("a".into(), "2".into())], ..good.clone() },
        Letter { query: Vec::new(), ..good.clone() },
        Letter { body: r#"{"name": "img2"}"#.into(), ..good.clone() },
        Letter { path: format!("{}0", good.path), ..good.clone() },
        Letter { path: "/v1/cloudimages/job/x".into(), ..good.clone() },
        Letter { method: Method::POST, path: "/v2/cloudimages/action".into(), ..good.clone() },
        good.clone().with("host", |host| format!("{host}0")),
        good.clone().with("user-agent", str::to_uppercase),
        good.clone().with("content-type", |kind| format!("{kind}; charset=utf-8")),
        good.clone().with("x-project-id", |_| other.project.to_string()),
        good.clone().with("x-sdk-date", |_| "20260301T120001Z".into()),
        good.clone().with("authorization", |said| said.replace("Signature=", "Signature=0")),
        good.clone().with("authorization", |said| said.replace("host;", "")),
        good.clone().with("authorization", |said| {
            said.replace(&world.key.to_string(), &other.key.to_string())
        }),
        good.clone().with("authorization", |said| said.replace("SHA256", "SM3")),
    ];
    for letter in spoilt {
        let what = format!("{} {} {:?}", letter.method, letter.path, letter.headers);
        let answer = letter.sent(&world).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        refused(&answer, 401, "APIGW.0301");
    }
    let signature = good.headers.last().unwrap().1.clone();
    for place in signature.len() - 64..signature.len() {
        let letter = good.clone().with("authorization", |said| {
            let digit = if &said[place..=place] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &said[..place], &said[place + 1..])
        });
        refused(&letter.sent(&world).await, 401, "APIGW.0301");
    }
}

#[tokio::test(start_paused = true)]
async fn the_clocks_may_be_a_quarter_of_an_hour_apart() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    for seconds in [-900, 900] {
        let answer = Letter::of(&world, &job, seconds).by(&world).sent(&world).await;
        let _ = answer.expect(200);
    }
    for seconds in [-901, 901] {
        refused(
            &Letter::of(&world, &job, seconds).by(&world).sent(&world).await,
            401,
            "APIGW.0301",
        );
    }
    let dateless = Letter::of(&world, &job, 0).by(&world).with("x-sdk-date", |_| "now".into());
    refused(&dateless.sent(&world).await, 401, "APIGW.0301");
}

#[tokio::test(start_paused = true)]
async fn who_has_no_key_and_who_has_the_wrong_one_are_told_the_same() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let letter = Letter::of(&world, &job, 0);
    let wrong = letter.clone().signed(&world.key.to_string(), "wrong").sent(&world).await;
    let unknown = letter.clone().signed("AKIDEXAMPLE", "SKSECRETEXAMPLE").sent(&world).await;
    refused(&wrong, 401, "APIGW.0301");
    assert_eq!(wrong.json()["error"], unknown.json()["error"]);
    refused(&letter.clone().sent(&world).await, 401, "APIGW.0301");
    // The native API's credentials are none here.
    let basic = world.ask(&letter.path).speak(&HuaweiIms).await;
    refused(&basic, 401, "APIGW.0301");

    // Another project's key signs well, for what is not its own.
    let other = world.neighbour().await;
    let theirs = letter.clone().by(&other).sent(&world).await;
    refused(&theirs, 400, "IMG.0030");
}

#[tokio::test(start_paused = true)]
async fn a_signature_by_temporary_keys_is_refused() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let signed = Letter::of(&world, &job, 0).by(&world);
    for token in [super::token(&world).await, "made up".into(), "caff\u{e8}".into()] {
        let mut letter = signed.clone();
        letter.headers.push(("x-security-token", token));
        let answer = letter.sent(&world).await;
        refused(&answer, 401, "APIGW.0301");
        assert!(answer.text().contains("temporary keys are not taken"), "{}", answer.text());
    }
    let _ = signed.sent(&world).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_limited_to_other_apis_may_not_look() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    for (apis, is_good) in [("huawei-ims", true), ("native", false)] {
        let apis = [apis.to_owned()].into();
        let made = shared::ops::keys::create(&world.service, world.project, None, apis).await;
        let (key, secret) = made.unwrap();
        let letter = Letter::of(&world, &job, 0).signed(&key.id.to_string(), secret.reveal());
        let answer = letter.sent(&world).await;
        if is_good {
            let _ = answer.expect(200);
        } else {
            refused(&answer, 403, "IMG.0026");
        }
    }
}
