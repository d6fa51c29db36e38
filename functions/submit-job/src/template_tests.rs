//! What submitting from a template promises.

use serde_json::{Value, json};
use shared::{
    conformance::memory::{Answer, World},
    ops::templates::{self, Draft},
};

use super::SubmitJob;

async fn save(world: &World, name: &str, template: Value) {
    let of = |field: &str| template[field].as_object().cloned().unwrap_or_default();
    let parameters = serde_json::from_value(of("parameters").into()).expect("parameters");
    let draft = Draft { description: None, parameters, job: of("job"), origin: None };
    let name = name.parse().expect("a name");
    templates::put(&world.service, world.project, name, draft).await.expect("it is saved");
}

async fn submit(world: &World, json: &Value) -> Answer {
    world.ask("/v1/jobs").json(json.to_string()).of(SubmitJob).await
}

fn convert() -> Value {
    json!({
        "parameters": {
            "files": {"type": "list", "default": []},
            "width": {"type": "integer", "minimum": 1},
            "seconds": {"type": "integer", "required": false},
            "token": {"type": "string", "default": "none"},
        },
        "job": {
            "image": "convert", "name": "wide ${width}", "tags": {"a": "b", "kind": "convert"},
            "command": ["--width", "${width}", "${files}"], "timeout_seconds": "${seconds}",
            "secret_env": {"KEY": "hush", "TOKEN": "${token}", "BOTH": "x-${token}"},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_job_comes_of_a_template_and_its_parameters() {
    let world = World::new().await;
    save(&world, "convert", convert()).await;
    let asked = json!({
        "template": "convert", "tags": {"kind": "mine"}, "priority": 5,
        "parameters": {"width": 7, "files": ["a b", "${width}"], "token": "mine"},
    });
    let view = submit(&world, &asked).await.expect(202).json();
    assert_eq!((&view["name"], &view["priority"]), (&"wide 7".into(), &5.into()));
    assert_eq!(view["tags"], json!({"a": "b", "kind": "mine"}));
    let job = view["id"].as_str().expect("an id").parse().expect("an id");
    let (_, plan) = world.start(job).await;
    assert_eq!(plan.argv[plan.argv.len() - 4..], ["--width", "7", "a b", "${width}"]);
    let of = |name: &str| plan.env[name].as_str();
    assert_eq!((of("KEY"), of("TOKEN"), of("BOTH")), ("hush", "mine", "x-mine"));
    assert!(
        !world
            .memory
            .table
            .rows()
            .iter()
            .any(|row| { String::from_utf8_lossy(&row.body).contains("hush") })
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_that_does_not_fit_is_refused_with_its_parameter() {
    let world = World::new().await;
    save(&world, "convert", convert()).await;
    for (asked, field) in [
        (json!({"template": "other"}), "template"),
        (json!({"template": "a b"}), "template"),
        (json!({"template": 7}), "template"),
        (json!({"template": "convert"}), "parameters.width"),
        (json!({"template": "convert", "parameters": {"width": "7"}}), "parameters.width"),
        (json!({"template": "convert", "parameters": {"width": 0}}), "parameters.width"),
        (json!({"template": "convert", "parameters": {"width": null}}), "parameters.width"),
        (json!({"template": "convert", "parameters": {"width": 1, "x": 1}}), "parameters.x"),
        (
            json!({"template": "convert", "parameters": {"width": 1, "files": [1]}}),
            "parameters.files[0]",
        ),
        (json!({"template": "convert", "parameters": []}), "parameters"),
        (json!({"template": "convert", "image": "a"}), "image"),
        (json!({"template": "convert", "tasks": []}), "tasks"),
        // What the job's own rules refuse has the job's own field.
        (
            json!({"template": "convert", "parameters": {"width": 1, "seconds": 0}}),
            "timeout_seconds",
        ),
        (json!({"template": "convert", "parameters": {"width": 1}, "queue": "none"}), "queue"),
        (json!({"template": "convert", "parameters": {"width": 1}, "priority": 1001}), "priority"),
    ] {
        submit(&world, &asked).await.refused(400, "invalid_field", field);
    }
    let theirs = submit(&world.neighbour().await, &json!({"template": "convert"})).await;
    theirs.refused(400, "invalid_field", "template");
    let long =
        json!({"template": "convert", "parameters": {"width": 1, "token": "x".repeat(4_000_000)}});
    assert_eq!(submit(&world, &long).await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_submit_is_the_same_job_though_the_template_has_changed() {
    let world = World::new().await;
    save(&world, "t", json!({"job": {"image": "a"}})).await;
    let asked = json!({"template": "t", "client_token": "once"});
    let first = submit(&world, &asked).await.expect(202).json();
    save(&world, "t", json!({"job": {"image": "b"}})).await;
    let again = submit(&world, &asked).await.expect(202).json();
    assert_eq!((&again["id"], &again["tasks"]), (&first["id"], &first["tasks"]));
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_submitted_like_any_template() {
    let world = World::new().await;
    let rules = "imageMogr2/thumbnail/200x";
    let asked =
        json!({"template": "PicProcess", "parameters": {"input": "photos/a.jpg", "rules": rules}});
    let view = submit(&world, &asked).await.expect(202).json();
    assert_eq!(view["tasks"][0]["image"], "tarpon/pic-process");
    for (value, field) in [("a.jpg", "parameters.input"), ("-bucket/a.jpg", "inputs[0].source")] {
        let asked =
            json!({"template": "PicProcess", "parameters": {"input": value, "rules": rules}});
        submit(&world, &asked).await.refused(400, "invalid_field", field);
    }
}
