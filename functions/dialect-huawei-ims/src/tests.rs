//! What clients are answered, on the platform in memory.

mod jobs;
mod keystone;
mod signed;

use serde_json::{Value, json};
use shared::conformance::memory::{Answer, Ask, World};

use crate::HuaweiIms;

/// A request of the world's project, by nobody.
fn ask(world: &World, target: &str) -> Ask {
    world.ask(target).nameless().header("host", "ims.example:8443")
}

/// Somebody who has the project's key asks for a token.
async fn token_for(world: &World, scope: Value) -> Answer {
    let user = json!({
        "name": world.key,
        "password": world.secret.reveal(),
        "domain": {"name": "any"},
    });
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let mut auth = json!({"identity": identity});
    if !scope.is_null() {
        auth["scope"] = scope;
    }
    log_in(world, &json!({"auth": auth})).await
}

/// This body is sent to where tokens are issued.
async fn log_in(world: &World, body: &Value) -> Answer {
    let asked = ask(world, "/v3/auth/tokens").method(http::Method::POST);
    asked.json(body.to_string()).speak(&HuaweiIms).await
}

/// The project's token.
async fn token(world: &World) -> String {
    let answer = token_for(world, Value::Null).await.expect(201);
    answer.header("x-subject-token").unwrap().to_owned()
}

/// What is at this path, by the project's token.
async fn get(world: &World, path: &str) -> Answer {
    let token = token(world).await;
    ask(world, path).header("x-auth-token", &token).speak(&HuaweiIms).await
}

/// The job, or a part of one, as it must be there.
async fn shown(world: &World, id: &str) -> Value {
    get(world, &format!("/v1/{}/jobs/{id}", world.project)).await.expect(200).json()
}

/// Fails the test unless it is this fault of the image service.
fn refused(answer: &Answer, status: u16, code: &str) {
    let json = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{json}");
    assert_eq!(json["error"]["code"], code, "{json}");
    assert!(!json["error"]["message"].as_str().unwrap().is_empty(), "{json}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let is_of_gateway = code.starts_with("APIGW");
    assert_eq!(json["error_code"] == code, is_of_gateway, "{json}");
    if is_of_gateway {
        assert_eq!(json["error_msg"], json["error"]["message"]);
        assert_eq!(json["request_id"], answer.header("x-request-id").unwrap());
    }
}
