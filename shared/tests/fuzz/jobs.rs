//! Jobs, and what goes with them.

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::{
    job::{JobSpec, MAX_TASKS, check_graph},
    ops::templates::Parameter,
    service::Limits,
    wire::{
        Problem,
        callback::CallbackChoice,
        submit::{FromTemplate, JobRequest, Submission, edited},
        templates::TemplateRequest,
        triggers::TriggerRequest,
    },
};

use crate::any::{is_refused, json, nearly, nearly_text, text};

fn good() -> Value {
    json!({
        "name": "n", "queue": "q", "priority": 7, "tags": {"a": "1"}, "fail_fast": true,
        "deadline_seconds": 100, "retain_days": 3, "client_token": "t",
        "callback": {"url": "https://a.b/c", "events": ["finished", "started"], "format": "xml"},
        "tasks": [
            {"name": "first", "image": "a:1", "entrypoint": ["e"], "command": ["c", "d"],
             "env": {"A": "1"}, "secret_env": {"S": "hush"}, "workdir": "/w", "user": "1:2",
             "stdin": {"inline": "text"},
             "inputs": [{"path": "/b", "source": {"base64": "/w=="}, "mode": "0755"},
                        {"path": "/o", "source": {"object": "bucket/a/key"}}],
             "outputs": ["/out", "/x/**/*.csv"], "resources": {"cpu": 1.5, "memory_mib": 64},
             "network": "none", "instances": 3, "max_concurrent": 2,
             "retry": {"max_attempts": 4, "exit_codes": [3], "delay_seconds": 5},
             "timeout_seconds": 10, "cache": {"max_age_seconds": 60}},
            {"name": "then", "image": "b", "after": [{"task": "first", "when": "finished"}]}
        ],
    })
}

fn flat() -> Value {
    json!({"image": "a", "command": ["x"], "stdin": {"object": "b/k"}, "outputs": ["/o"], "cache": true})
}

fn submitted(bytes: &[u8]) -> Result<Submission, Problem> {
    let (job, tasks) = JobRequest::parse(bytes)?;
    job.check(tasks, &Limits::default())
}

/// What is accepted is within the limits, and reads back as it was stored.
fn holds(outcome: Result<Submission, Problem>) {
    let Submission { spec, secrets, resources, .. } = match outcome {
        Ok(submission) => submission,
        Err(problem) => return assert!(is_refused(&problem), "{problem:?}"),
    };
    assert!((1..=MAX_TASKS).contains(&spec.tasks.len()));
    assert_eq!((secrets.len(), resources.len()), (spec.tasks.len(), spec.tasks.len()));
    assert!(check_graph(&spec.tasks).is_ok());
    let stored = serde_json::to_vec(&spec).unwrap();
    assert_eq!(serde_json::from_slice::<JobSpec>(&stored).unwrap(), spec);
}

proptest! {
    #[test]
    fn any_bytes_as_a_job(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        holds(submitted(&bytes));
    }

    #[test]
    fn any_json_as_a_job(value in json()) {
        holds(submitted(value.to_string().as_bytes()));
    }

    #[test]
    fn what_is_nearly_a_job(value in prop_oneof![nearly(good()), nearly(flat())]) {
        holds(submitted(value.to_string().as_bytes()));
    }

    #[test]
    fn what_is_nearly_the_text_of_a_job(bytes in nearly_text(good().to_string())) {
        holds(submitted(&bytes));
    }

    #[test]
    fn any_edits_over_a_job(job in nearly(good()), edits in prop_oneof![json(), nearly(flat())]) {
        if let (Value::Object(job), Value::Object(edits)) = (job, edits) {
            let whole = edited(job, edits.clone());
            let again = edited(whole.clone(), edits);
            prop_assert_eq!(&again, &whole, "laid over twice is laid over once");
            holds(submitted(Value::Object(whole).to_string().as_bytes()));
        }
    }

    #[test]
    fn any_json_as_a_job_of_a_template(value in nearly(json!({"template": "t", "parameters": {"a": [1]}, "tags": {}}))) {
        if let Value::Object(fields) = value
            && let Err(problem) = FromTemplate::of_fields(fields)
        {
            prop_assert!(is_refused(&problem));
        }
    }

    #[test]
    fn any_json_as_a_callback(value in prop_oneof![json(), nearly(good()["callback"].clone()), text().prop_map(Value::from)]) {
        match CallbackChoice::parse(Some(value)) {
            Ok(_) => {}
            Err(problem) => prop_assert!(is_refused(&problem)),
        }
    }

    #[test]
    fn any_json_as_a_trigger_or_a_template(value in prop_oneof![
        nearly(json!({"on": {"object": {"bucket": "b", "glob": "in/**/*.{a,b}"}}, "template": "t"})),
        nearly(json!({"on": {"schedule": {"cron": "0 3 * * mon-fri"}}, "template": "t", "job": {"name": "${event.id}"}})),
        nearly(json!({"parameters": {"a": {"type": "string", "pattern": "x+"}}, "job": {"image": "${a}"}})),
    ]) {
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        if let Ok(trigger) = serde_json::from_value::<TriggerRequest>(value.clone())
            && let Ok(draft) = trigger.draft()
        {
            // It may say what cannot be; it does not keep us busy over it.
            let _ = draft.on.check(noon);
        }
        let _ = serde_json::from_value::<TemplateRequest>(value);
    }

    #[test]
    fn any_rules_of_a_parameter_and_any_value(
        rules in nearly(json!({"type": "string", "pattern": "(a|b)*c", "min_length": 1, "max_length": 9, "values": ["a"], "minimum": 1, "default": "x"})),
        value in json(),
    ) {
        if let Ok(parameter) = serde_json::from_value::<Parameter>(rules)
            && parameter.check("p").is_ok()
        {
            let accepted = parameter.accept("p", &value);
            prop_assert!(accepted.is_ok() || accepted.is_err_and(|problem| is_refused(&problem)));
        }
    }
}
