//! Tokens, and what they are asked for with.

use http::Method;
use serde_json::{Value, json};
use shared::{auth::AccessToken, conformance::memory::World, ops::keys, platform::Clock};

use super::{ask, get, log_in, refused, token, token_for};
use crate::HuaweiIms;

#[tokio::test(start_paused = true)]
async fn a_password_brings_a_token_with_its_project_and_where_everything_is() {
    let world = World::new().await;
    let answer =
        token_for(&world, json!({"project": {"name": "eu-de", "domain": {"name": "d"}}})).await;
    let answer = answer.expect(201);
    assert!(answer.header("x-subject-token").unwrap().len() < 1_000);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let token = &body["token"];
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(token["issued_at"], "2026-03-01T12:00:00.000000Z");
    assert_eq!(token["expires_at"], "2026-03-02T12:00:00.000000Z");
    assert_eq!(token["user"]["name"], world.key.to_string());
    assert_eq!(token["project"]["id"], world.project.to_string());
    assert_eq!(token["project"]["name"], "project");
    assert!(token["project"]["domain"]["id"].is_string());
    assert!(!token["roles"].as_array().unwrap().is_empty());

    // As clients look for the image service.
    let catalog = token["catalog"].as_array().unwrap();
    let image = catalog.iter().find(|service| service["type"] == "image").unwrap();
    let endpoints = image["endpoints"].as_array().unwrap();
    for region in ["eu-de", "eu-nl", "cn-north-4"] {
        let endpoint = endpoints.iter().find(|endpoint| endpoint["region_id"] == region).unwrap();
        assert_eq!(endpoint["interface"], "public");
        assert_eq!(endpoint["url"], "http://ims.example:8443");
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_name_user_and_scope_is_understood() {
    let world = World::new().await;
    let (key, secret) = (world.key.to_string(), world.secret.reveal());
    let project = world.project.to_string();
    let logged_in = async |user: Value, scope: Value| {
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let mut auth = json!({"identity": identity});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        log_in(&world, &json!({"auth": auth})).await
    };
    for user in [
        json!({"name": key, "password": secret, "domain": {"name": "d"}}),
        json!({"name": key, "password": secret, "domain": {"id": "d"}}),
        json!({"id": key, "password": secret}),
    ] {
        let _ = logged_in(user, Value::Null).await.expect(201);
    }
    let user = json!({"id": key, "password": secret});
    for (scope, has_project, has_domain) in [
        (Value::Null, true, false),
        (json!({"project": {"id": project}}), true, false),
        (json!({"project": {"name": project, "domain": {"id": "d"}}}), true, false),
        (json!({"project": {"name": "project", "domain": {"id": "d"}}}), true, false),
        (json!({"project": {"name": "eu-de", "domain": {"name": "d"}}}), true, false),
        (json!({"project": {"name": "eu-de_project", "domain": {"name": "d"}}}), true, false),
        (json!({"domain": {"name": "d"}}), false, true),
        (json!({"domain": {"id": "d"}}), false, true),
        (json!("unscoped"), false, false),
        (json!({"unscoped": {}}), false, false),
    ] {
        let token = logged_in(user.clone(), scope.clone()).await.expect(201).json();
        let token = token["token"].as_object().unwrap().clone();
        assert_eq!(token.contains_key("project"), has_project, "{scope}");
        assert_eq!(token.contains_key("domain"), has_domain, "{scope}");
        assert_eq!(token.contains_key("catalog"), has_project || has_domain, "{scope}");
    }
    for scope in [
        json!({"project": {"id": world.neighbour().await.project}}),
        json!({"project": {"name": "another"}}),
        json!({"project": {"name": "eu-de_another"}}),
        json!({"project": {}}),
        json!({"system": {"all": true}}),
        json!({"OS-TRUST:trust": {"id": "t"}}),
        json!("everything"),
    ] {
        unauthorized(&logged_in(user.clone(), scope).await);
    }
}

/// As Keystone says it.
fn unauthorized(answer: &shared::conformance::memory::Answer) {
    let json = answer.json();
    assert_eq!(answer.status, 401, "{json}");
    assert_eq!(
        (&json["error"]["code"], &json["error"]["title"]),
        (&401.into(), &"Unauthorized".into())
    );
    assert!(answer.header("x-subject-token").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_proves_nothing_brings_no_token() {
    let world = World::new().await;
    let (key, secret) = (world.key.to_string(), world.secret.reveal());
    let by = |user: Value| {
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        json!({"auth": {"identity": identity}})
    };
    for body in [
        by(json!({"name": key, "password": "wrong"})),
        by(json!({"name": "nobody", "password": secret})),
        by(json!({"name": world.neighbour().await.key, "password": secret})),
        json!({"auth": {"identity": {"methods": ["totp"], "totp": {}}}}),
        json!({"auth": {"identity": {"methods": ["password", "totp"]}}}),
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "wrong"}}}}),
    ] {
        unauthorized(&log_in(&world, &body).await);
    }
    for body in [
        json!({}),
        json!({"auth": {}}),
        json!([]),
        by(json!({"name": key})),
        by(json!({"password": secret})),
        json!({"auth": {"identity": {"methods": ["token"]}}}),
    ] {
        let answer = log_in(&world, &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error"]["code"]),
            (400, &400.into()),
            "{body}"
        );
    }
    let broken = ask(&world, "/v3/auth/tokens").method(Method::POST).json("{");
    assert_eq!(broken.speak(&HuaweiIms).await.status, 400);

    keys::disable(&world.service, world.project, world.key).await.unwrap();
    unauthorized(&log_in(&world, &by(json!({"name": key, "password": secret}))).await);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_a_day_and_as_long_as_its_key() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let path = format!("/v1/{}/jobs/{job}", world.project);
    let by = |token: &str| ask(&world, &path).header("x-auth-token", token).speak(&HuaweiIms);
    let token = token(&world).await;
    let _ = by(&token).await.expect(200);
    let mut forged = token.clone().into_bytes();
    forged[30] ^= 1;
    refused(&by(&String::from_utf8(forged).unwrap()).await, 401, "APIGW.0301");

    tokio::time::advance(std::time::Duration::from_secs(24 * 3600 - 1)).await;
    let _ = by(&token).await.expect(200);
    // One that was asked for with it lives no longer.
    let identity = json!({"methods": ["token"], "token": {"id": token}});
    let again = log_in(&world, &json!({"auth": {"identity": identity}})).await.expect(201);
    let again = again.header("x-subject-token").unwrap().to_owned();
    let _ = by(&again).await.expect(200);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    refused(&by(&token).await, 401, "APIGW.0301");
    refused(&by(&again).await, 401, "APIGW.0301");

    let fresh = super::token(&world).await;
    let _ = by(&fresh).await.expect(200);
    keys::disable(&world.service, world.project, world.key).await.unwrap();
    refused(&by(&fresh).await, 401, "APIGW.0301");
}

#[tokio::test(start_paused = true)]
async fn only_a_token_for_the_project_opens_what_is_the_projects() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    for (scope, is_of_project) in [
        (json!({"project": {"id": world.project}}), true),
        (json!({"domain": {"name": "d"}}), false),
        (json!("unscoped"), false),
    ] {
        let answer = token_for(&world, scope).await.expect(201);
        let token = answer.header("x-subject-token").unwrap();
        let by = |path: &str| ask(&world, path).header("x-auth-token", token);
        for (method, path, status) in [
            (Method::GET, format!("/v1/{}/jobs/{job}", world.project), 200),
            (Method::GET, format!("/v1/cloudimages/job/{job}"), 200),
            (Method::POST, "/v2/cloudimages/action".to_owned(), 400),
        ] {
            let answer = by(&path).method(method).speak(&HuaweiIms).await;
            if is_of_project {
                let _ = answer.expect(status);
            } else {
                refused(&answer, 401, "APIGW.0301");
                assert!(answer.text().contains("is not for a project"), "{}", answer.text());
            }
        }
        for path in ["/v3/auth/tokens", "/v3/auth/catalog", "/v3/projects", "/v3/auth/domains"] {
            let _ = by(path).header("x-subject-token", token).speak(&HuaweiIms).await.expect(200);
        }
        // Another one is asked for with it.
        let identity = json!({"methods": ["token"], "token": {"id": token}});
        let auth = json!({"identity": identity, "scope": {"project": {"id": world.project}}});
        let _ = log_in(&world, &json!({ "auth": auth })).await.expect(201);
    }
    // One that another API has issued is for a key's own project.
    let expires_at = world.memory.clock.now() + jiff::SignedDuration::from_hours(12);
    let native = AccessToken { key: world.key, expires_at }.seal(&world.service.keyring);
    let asked = ask(&world, &format!("/v1/cloudimages/job/{job}"));
    let _ = asked.header("x-auth-token", &native).speak(&HuaweiIms).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_about_with_a_token() {
    let world = World::new().await;
    let token = token(&world).await;
    let about = |subject: &str, by: &str| {
        let asked = ask(&world, "/v3/auth/tokens").header("x-auth-token", by);
        asked.header("x-subject-token", subject).speak(&HuaweiIms)
    };
    let answer = about(&token, &token).await.expect(200);
    assert_eq!(answer.header("x-subject-token"), Some(token.as_str()));
    let body = answer.json();
    assert_eq!(body["token"]["project"]["id"], world.project.to_string());
    assert_eq!(body["token"]["issued_at"], "2026-03-01T12:00:00.000000Z");
    assert!(body["token"]["catalog"].is_array());
    let asked = ask(&world, "/v3/auth/tokens?nocatalog").header("x-auth-token", &token);
    let short = asked.header("x-subject-token", &token).speak(&HuaweiIms).await.json();
    assert!(short["token"].get("catalog").is_none(), "{short}");

    tokio::time::advance(std::time::Duration::from_millis(7_200_250)).await;
    let identity = json!({"methods": ["token"], "token": {"id": token}});
    let auth = json!({"identity": identity, "scope": "unscoped"});
    let again = log_in(&world, &json!({ "auth": auth })).await.expect(201);
    let subject = again.header("x-subject-token").unwrap().to_owned();
    let shown = about(&subject, &token).await.expect(200).json();
    assert_eq!(shown, again.json(), "what was said of it when it was issued");
    assert_eq!(shown["token"]["methods"], json!(["token"]));
    assert_eq!(shown["token"]["issued_at"], "2026-03-01T14:00:00.250000Z");
    assert_eq!(shown["token"]["expires_at"], body["token"]["expires_at"]);

    // One that another API has issued is a key's all the same.
    let expires_at = world.memory.clock.now() + jiff::SignedDuration::from_hours(12);
    let native = AccessToken { key: world.key, expires_at }.seal(&world.service.keyring);
    let shown = about(&native, &token).await.expect(200).json();
    assert_eq!(shown["token"]["methods"], json!(["password"]));
    assert_eq!(shown["token"]["issued_at"], "2026-03-01T14:00:00.000000Z");

    assert_eq!(about("wrong", &token).await.expect(404).json()["error"]["code"], 404);
    let theirs = super::token(&world.neighbour().await).await;
    let _ = about(&theirs, &token).await.expect(404);
    unauthorized(&about(&token, "wrong").await);
    let alone = ask(&world, "/v3/auth/tokens").header("x-auth-token", &token);
    let _ = alone.speak(&HuaweiIms).await.expect(400);
}

#[tokio::test(start_paused = true)]
async fn the_version_is_told_to_anybody_by_the_address_they_know() {
    let world = World::new().await;
    for path in ["/v3", "/v3/"] {
        let version = ask(&world, path).speak(&HuaweiIms).await.expect(200).json();
        assert_eq!(version["version"]["status"], "stable");
        assert_eq!(version["version"]["links"][0]["href"], "http://ims.example:8443/v3/");
    }
    let nowhere = ask(&world, "/v3/nowhere").speak(&HuaweiIms).await.expect(404);
    assert_eq!(nowhere.json()["error"]["title"], "Not Found");
}

#[tokio::test(start_paused = true)]
async fn projects_domains_and_catalog_are_the_callers() {
    let world = World::new().await;
    let projects = async |query: &str| {
        let list = get(&world, &format!("/v3/projects{query}")).await.expect(200).json();
        list["projects"].as_array().unwrap().clone()
    };
    for query in ["", "?name=eu-de", "?name=project", "?name=cn-north-4_project"] {
        let found = projects(query).await;
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!(found[0]["id"], world.project.to_string());
    }
    assert!(projects("?name=another").await.is_empty());
    let own = get(&world, "/v3/auth/projects").await.expect(200).json();
    assert_eq!(own["projects"][0]["id"], world.project.to_string());
    let domains = get(&world, "/v3/auth/domains").await.expect(200).json();
    assert_eq!(domains["domains"][0]["id"], own["projects"][0]["domain_id"]);
    let catalog = get(&world, "/v3/auth/catalog").await.expect(200).json();
    assert_eq!(catalog["catalog"][0]["type"], "image");
    for path in ["/v3/projects", "/v3/auth/catalog", "/v3/auth/domains"] {
        unauthorized(&ask(&world, path).speak(&HuaweiIms).await);
    }
}
