//! Who is let in, by either signature, and who is not.

use std::{collections::BTreeSet, time::Duration};

use shared::{
    auth::AccessToken,
    conformance::memory::World,
    job::{AccessKeyId, ProjectId},
    ops::keys,
    platform::Clock,
};

use crate::{
    AlibabaEhpc,
    testing::{Client, Signed, refusal},
    words,
};

const DEFAULT: [(&str, &str); 1] = [("ClusterId", "default")];

const BOTH: [Signed; 2] = [Signed::Query, Signed::Headers];

fn is(refused: &(u16, String), status: u16, code: &str) -> bool {
    (refused.0, refused.1.as_str()) == (status, code)
}

#[tokio::test(start_paused = true)]
async fn either_signature_is_taken_and_its_nonce_once() {
    let world = World::new().await;
    for signed in BOTH {
        let client = Client { nonce: Some(format!("{signed:?}")), ..Client::new(&world, signed) };
        let answer = client.call("ListTasks", &DEFAULT).await;
        assert_eq!(answer["TotalCount"], 0, "{answer}");
        assert_eq!(answer["RequestId"].as_str().map(str::len), Some(36));
        let again = client.refused("ListTasks", &DEFAULT).await;
        assert!(is(&again, 400, "SignatureNonceUsed"), "{again:?}");
        // A number that another key has used is good.
        let neighbour = world.neighbour().await;
        let other = Client { nonce: client.nonce.clone(), ..Client::new(&neighbour, signed) };
        other.call("ListTasks", &DEFAULT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_and_any_change_after_signing_are_refused() {
    let world = World::new().await;
    for signed in BOTH {
        let client = Client { secret: "wrong".into(), ..Client::new(&world, signed) };
        let refused = client.refused("ListTasks", &DEFAULT).await;
        assert!(is(&refused, 400, "SignatureDoesNotMatch"), "{refused:?}");
        let right = Client::new(&world, signed);
        let more = right.request("ListTasks", &DEFAULT).query("Archived", "true");
        let other = right.request("ListTasks", &DEFAULT).method(http::Method::DELETE);
        for changed in [more, other] {
            let answer = changed.speak(&AlibabaEhpc).await;
            assert!(is(&refusal(&answer), 400, "SignatureDoesNotMatch"), "{}", answer.text());
            let message = answer.json()["Message"].as_str().unwrap().to_owned();
            assert!(message.split(':').nth(1).is_some_and(|signed| !signed.is_empty()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_header_of_the_api_and_the_body_are_held_to_the_signature() {
    let world = World::new().await;
    let client = Client::new(&world, Signed::Headers);
    let asked = || client.request("ListTasks", &DEFAULT);
    for changed in [
        asked().header("x-acs-action", "StopServerlessJobs"),
        asked().header("x-acs-version", "2018-04-13"),
        asked().header("x-acs-signature-nonce", "another"),
        asked().header("host", "elsewhere"),
        asked().header("accept", "text/xml"),
        asked().body("application/x-www-form-urlencoded", "Archived=true"),
    ] {
        let answer = changed.speak(&AlibabaEhpc).await;
        assert!(is(&refusal(&answer), 400, "SignatureDoesNotMatch"), "{}", answer.text());
    }
    let unsigned = asked().header("x-acs-security-token", "t").speak(&AlibabaEhpc).await;
    assert!(is(&refusal(&unsigned), 400, "IncompleteSignature"), "{}", unsigned.text());
    let elsewhere = Client::new(&world, Signed::Query).request("ListTasks", &DEFAULT);
    // Nobody has signed the headers of the older scheme.
    let answer = elsewhere.header("x-acs-action", "StopServerlessJobs").speak(&AlibabaEhpc).await;
    assert_eq!(answer.expect(200).json()["TotalCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_there_or_no_longer_good_is_told_from_a_wrong_secret() {
    let world = World::new().await;
    let stranger = AccessKeyId::new(ProjectId::new([9; 16]), [9; 8]);
    for signed in BOTH {
        for key in ["nonsense".to_owned(), stranger.to_string()] {
            let client = Client { key, ..Client::new(&world, signed) };
            let refused = client.refused("ListTasks", &DEFAULT).await;
            assert!(is(&refused, 404, "InvalidAccessKeyId.NotFound"), "{refused:?}");
        }
        let new = keys::create(&world.service, world.project, None, BTreeSet::new()).await;
        let (record, secret) = new.unwrap();
        let secret = secret.reveal().to_owned();
        let client = Client { key: record.id.to_string(), secret, ..Client::new(&world, signed) };
        client.call("ListTasks", &DEFAULT).await;
        keys::disable(&world.service, world.project, record.id).await.unwrap();
        let refused = client.refused("ListTasks", &DEFAULT).await;
        assert!(is(&refused, 400, "InvalidAccessKeyId.Inactive"), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_for_other_apis_is_refused_as_each_action_says_it() {
    let world = World::new().await;
    let apis = BTreeSet::from(["native".to_owned()]);
    let new = keys::create(&world.service, world.project, None, apis).await;
    let (record, secret) = new.unwrap();
    for signed in BOTH {
        let secret = secret.reveal().to_owned();
        let client = Client { key: record.id.to_string(), secret, ..Client::new(&world, signed) };
        let refused = client.refused("ListTasks", &DEFAULT).await;
        assert!(is(&refused, 407, "NotAuthorized"), "{refused:?}");
        let refused = client.refused("ListServerlessJobs", &DEFAULT).await;
        assert!(is(&refused, 403, "Forbidden.RAM"), "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_may_be_off_by_fifteen_minutes() {
    let world = World::new().await;
    tokio::time::advance(Duration::from_hours(1)).await;
    let now = world.memory.clock.now().as_second();
    for signed in BOTH {
        for (off, is_good) in [(-900, true), (900, true), (-902, false), (902, false)] {
            let at = jiff::Timestamp::from_second(now + off).unwrap();
            let date = Some(words::rfc3339(at));
            let client = Client { date, ..Client::new(&world, signed) };
            let answer = client.ask("ListTasks", &DEFAULT).await;
            if is_good {
                assert_eq!(answer.status, 200, "{}", answer.text());
            } else {
                assert!(is(&refusal(&answer), 400, "InvalidTimeStamp.Expired"), "{off}");
            }
        }
        for date in ["2026-03-01 12:00:00Z", "1772366400", "2026-03-01T12:00:00+0000"] {
            let client = Client { date: Some(date.into()), ..Client::new(&world, signed) };
            let refused = client.refused("ListTasks", &DEFAULT).await;
            assert!(is(&refused, 400, "InvalidTimeStamp.Format"), "{date}: {refused:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_of_temporary_credentials_is_an_access_token_of_the_same_key() {
    let world = World::new().await;
    let now = world.memory.clock.now();
    let token = |key, seconds| {
        let expires_at = now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        AccessToken { key, expires_at }.seal(&world.service.keyring)
    };
    let other = world.neighbour().await.key;
    for signed in BOTH {
        for (token, code) in [
            (token(world.key, 60), None),
            (token(world.key, -60), Some("InvalidSecurityToken.Expired")),
            (token(other, 60), Some("InvalidSecurityToken.MismatchWithAccessKey")),
            ("made-up".to_owned(), Some("InvalidSecurityToken.Malformed")),
        ] {
            let client = Client { token: Some(token), ..Client::new(&world, signed) };
            let answer = client.ask("ListTasks", &DEFAULT).await;
            match code {
                None => assert_eq!(answer.status, 200, "{}", answer.text()),
                Some(code) => assert!(is(&refusal(&answer), 400, code), "{}", answer.text()),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_request_lacks_is_named() {
    let world = World::new().await;
    let whole = [
        ("AccessKeyId", "k"),
        ("Signature", "s"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("SignatureNonce", "n"),
        ("Timestamp", "2026-03-01T12:00:00Z"),
    ];
    for (name, code) in [
        ("AccessKeyId", "MissingAccessKeyId"),
        ("Signature", "IncompleteSignature"),
        ("SignatureMethod", "MissingSignatureMethod"),
        ("SignatureVersion", "MissingSignatureVersion"),
        ("SignatureNonce", "MissingSignatureNonce"),
        ("Timestamp", "MissingTimestamp"),
    ] {
        let pairs = whole.iter().filter(|(key, _)| *key != name);
        let ask = world.ask("/").nameless();
        let ask = pairs.fold(ask, |ask, (name, value)| ask.query(name, value));
        let refused = refusal(&ask.speak(&AlibabaEhpc).await);
        assert!(is(&refused, 400, code), "{refused:?}");
    }
    for (name, value) in [("SignatureMethod", "HMAC-SHA256"), ("SignatureVersion", "2.0")] {
        let pairs = whole.iter().map(|(key, old)| (*key, if *key == name { value } else { old }));
        let ask = world.ask("/").nameless();
        let ask = pairs.fold(ask, |ask, (name, value)| ask.query(name, value));
        let refused = refusal(&ask.speak(&AlibabaEhpc).await);
        assert!(is(&refused, 400, "InvalidParameter"), "{refused:?}");
    }
    let client = Client { version: "2024-07-30", ..Client::new(&world, Signed::Headers) };
    assert!(is(&client.refused("ListTasks", &DEFAULT).await, 400, "NoSuchVersion"));
    let client = Client::new(&world, Signed::Query);
    assert!(is(&client.refused("ListNothing", &DEFAULT).await, 404, "InvalidAction.NotFound"));
    assert!(is(&client.refused("", &DEFAULT).await, 400, "MissingAction"));
}
