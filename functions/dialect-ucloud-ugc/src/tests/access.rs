//! Who asks is known, and what is asked for.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use shared::{
    dialect::{Asked, Dialect},
    ops::keys,
    wire::Problem,
};

use super::*;

const UNKNOWN: &str = "0b560b1d-f3b1-43de-a492-08875d79211b";

#[tokio::test(start_paused = true)]
async fn a_signature_is_good_as_it_is_and_with_any_change_it_is_not() {
    let world = World::new().await;
    let pairs = sign(&world, &[("Action", "GetTaskList"), ("Region", "cn-bj2"), ("Limit", "3")]);
    said(&asking(&world, &pairs).speak(&UcloudUgc).await, 0);
    let private = world.secret.reveal();
    for place in 0..pairs.len() {
        let mut changed = pairs.clone();
        let (name, value) = &mut changed[place];
        let code = match name.as_str() {
            "Action" => {
                *value = "GetAllImages".into();
                171
            }
            // Of a key's text, the last character is not all used.
            "PublicKey" => {
                value.insert(5, 'x');
                172
            }
            _ => {
                value.push('1');
                171
            }
        };
        let answer = asking(&world, &changed).speak(&UcloudUgc).await;
        said(&answer, code);
        assert!(!answer.text().contains(private));
    }
    let without = |name: &str| {
        let left: Vec<_> = pairs.iter().filter(|(key, _)| key != name).cloned().collect();
        asking(&world, &left).speak(&UcloudUgc)
    };
    said(&without("Signature").await, 170);
    said(&without("PublicKey").await, 172);
    said(&without("Action").await, 160);
    let twice = [&pairs[..], &[("Limit".to_owned(), "3".to_owned())]].concat();
    said(&asking(&world, &twice).speak(&UcloudUgc).await, 171);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_unknown_is_said_to_be() {
    let world = World::new().await;
    let answer = said(&control(&world, "DescribeUHostInstance", &[]).await, 161);
    assert_eq!(answer["Message"], "Action not found: DescribeUHostInstance");
    said(&control(&world, "gettasklist", &[]).await, 161);
}

#[tokio::test(start_paused = true)]
async fn a_region_is_asked_for_where_it_always_was() {
    let world = World::new().await;
    for action in ["GetAccessToken", "GetTaskList", "GetTaskDetail", "GetAllImages", "DeleteImage"]
    {
        let pairs = sign(&world, &[("Action", action)]);
        let answer = said(&asking(&world, &pairs).speak(&UcloudUgc).await, 43006);
        assert_eq!(answer["Message"], "ParaMiss: Region");
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_named_is_the_keys_own() {
    let world = World::new().await;
    let theirs = world.neighbour().await.project.to_string();
    let ours = world.project.to_string();
    for (named, code) in [(ours.as_str(), 0), ("project", 0), (&theirs, 292), ("org-x", 292)] {
        said(&control(&world, "GetTaskList", &[("ProjectId", named)]).await, code);
        let code = if code == 0 { 43016 } else { code };
        let pairs = [("TaskId", UNKNOWN), ("ProjectId", named)];
        said(&task(&world, "GetTaskResult", &pairs).await, code);
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_expire_and_older_ones_stay_good() {
    let world = World::new().await;
    let answer = said(&control(&world, "GetAccessToken", &[]).await, 0);
    assert_eq!(
        (&answer["ExpireIn"], &answer["Action"]),
        (&7200.into(), &"GetAccessTokenResponse".into())
    );
    let first = answer["AccessToken"].as_str().expect("a token").to_owned();
    let short = [("ExpireIn", "60"), ("GrantType", "Task")];
    let answer = said(&control(&world, "GetAccessToken", &short).await, 0);
    assert_eq!(answer["ExpireIn"], 60);
    let second = answer["AccessToken"].as_str().expect("a token").to_owned();
    let ask = async |token: &str, code| {
        let pairs = [("Action", "GetTaskResult"), ("TaskId", UNKNOWN), ("AccessToken", token)];
        said(&asking(&world, &pairs).speak(&UcloudUgc).await, code)
    };
    ask(&first, 43016).await;
    ask(&second, 43016).await;
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(ask(&second, 43005).await["Message"], "TokenExpired");
    ask(&first, 43016).await;
    assert_eq!(ask("H2JKDKOW3HN24CGG1PV3DV779932C", 43004).await["Message"], "TokenNotVaild");
    for bad in ["0", "-5", "x", "2592001", "1.5"] {
        said(&control(&world, "GetAccessToken", &[("ExpireIn", bad)]).await, 43033);
    }
    said(&control(&world, "GetAccessToken", &[("GrantType", "Other")]).await, 43033);
}

#[tokio::test(start_paused = true)]
async fn a_signature_beside_a_token_has_to_be_right_and_of_the_same_project() {
    let world = World::new().await;
    let token = token(&world).await;
    let pairs = [("Action", "GetTaskResult"), ("TaskId", UNKNOWN), ("AccessToken", token.as_str())];
    let signed = sign(&world, &pairs);
    said(&asking(&world, &signed).speak(&UcloudUgc).await, 43016);
    let mut wrong = signed.clone();
    wrong.last_mut().expect("a signature").1.push('0');
    let answer = said(&asking(&world, &wrong).speak(&UcloudUgc).await, 171);
    assert_eq!(answer["State"], "");
    let theirs = sign(&world.neighbour().await, &pairs);
    said(&asking(&world, &theirs).speak(&UcloudUgc).await, 43004);
    // Where names are there twice, nobody knows what is signed.
    let twice = [
        &wrong[..],
        &[("OutputFileName".into(), "a".into()), ("OutputFileName".into(), "b".into())],
    ]
    .concat();
    said(&asking(&world, &twice).speak(&UcloudUgc).await, 43016);
    let pairs = [("Action", "GetTaskResult"), ("TaskId", UNKNOWN)];
    said(&asking(&world, &pairs).speak(&UcloudUgc).await, 43006);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_disabled_or_of_other_apis_is_refused() {
    let mut world = World::new().await;
    let token = token(&world).await;
    let pairs = [("Action", "GetTaskResult"), ("TaskId", UNKNOWN), ("AccessToken", token.as_str())];
    keys::disable(&world.service, world.project, world.key).await.expect("it is there");
    said(&asking(&world, &pairs).speak(&UcloudUgc).await, 43004);
    said(&control(&world, "GetTaskList", &[]).await, 172);
    let other = ["native".to_owned()].into();
    let (other, secret) =
        keys::create(&world.service, world.project, None, other).await.expect("it is made");
    (world.key, world.secret) = (other.id, secret);
    said(&control(&world, "GetTaskList", &[]).await, 299);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_said_in_the_apis_own_words() {
    let world = World::new().await;
    for (media_type, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/x-www-form-urlencoded", "a=%ff"),
    ] {
        let ask = world.ask("/?Action=GetTaskList").nameless().body(media_type, body);
        said(&ask.speak(&UcloudUgc).await.expect(200), 43007);
    }
    let fault = UcloudUgc.fault(&Problem::Malformed("no request".into()));
    assert_eq!(fault.status, 200);
    let fault = UcloudUgc.fault(&Problem::Unavailable("down".into()));
    assert_eq!(fault.status, 200);
}

fn recognised(parameters: &[(&str, &str)], header: Option<&'static str>) -> bool {
    let mut headers = HeaderMap::new();
    if let Some(name) = header {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let parameters: Vec<_> = parameters.iter().map(pair).collect();
    let (method, path) = (&Method::GET, "/prefix");
    UcloudUgc.recognises(&Asked { method, path, headers: &headers, parameters: &parameters })
}

#[test]
fn its_requests_are_told_from_those_of_others() {
    assert!(recognised(&[("Action", "SubmitTask")], None));
    assert!(recognised(&[("Action", "Other"), ("PublicKey", "x")], None));
    assert!(recognised(&[("AccessToken", "x")], None));
    assert!(!recognised(&[("Action", "Other")], None));
    assert!(!recognised(&[], None));
    assert!(!recognised(&[("Action", "SubmitTask")], Some("x-tc-action")));
    assert!(!recognised(&[("Action", "SubmitTask"), ("SecretId", "x")], None));
    assert!(!recognised(&[("Action", "SubmitTask"), ("AccessKeyId", "x")], None));
}
