//! What triggers are told of.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use shared::{
    ops::triggers::{Event, EventRule, ObjectCreated, ObjectRule, Rule},
    wire::{Body, Request},
};

use crate::{
    any::{is_refused, json, nearly, nearly_text, text},
    requests::{request, waited_for},
};

fn event() -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "x",
        "time": "2026-03-01T12:00:00Z", "datacontenttype": "application/json",
        "data": {"a": [1, {"b": null}], "c": "d"},
    })
}

proptest! {
    #[test]
    fn any_attributes_as_an_event(value in prop_oneof![nearly(event()), json()], path in text()) {
        let Value::Object(attributes) = value else { return Ok(()) };
        match Event::of_attributes(attributes) {
            Ok(event) => {
                prop_assert!(!event.text("id").is_empty() && !event.text("source").is_empty());
                let _ = (event.look_up(&path), event.look_up(&format!("event.{path}")));
                prop_assert!(event.look_up("event.data.a.1.b").is_ok_and(|found| found.is_none())
                    || event.look_up("event.id").is_ok());
            }
            Err(problem) => prop_assert!(is_refused(&problem)),
        }
    }

    #[test]
    fn any_post_as_an_event(
        media in prop_oneof![
            Just("application/cloudevents+json".to_owned()), Just("application/json".to_owned()),
            Just("application/cloudevents-batch+json".to_owned()), text(),
        ],
        id in text(), kind in text(),
        body in prop_oneof![nearly_text(event().to_string()), vec(any::<u8>(), 0..200)],
    ) {
        let mut asked = Request {
            body: Body::Bytes(Bytes::from(body)),
            ..request([
                ("content-type", media), ("ce-specversion", "1.0".into()), ("ce-id", id),
                ("ce-source", "/s".into()), ("ce-type", kind),
            ])
        };
        if let Err(problem) = waited_for(Event::of_request(&mut asked)) {
            prop_assert!(is_refused(&problem), "{:?}", problem);
        }
    }

    #[test]
    fn any_pattern_and_any_key(
        glob in prop_oneof![text(), "[*?a{},/\\[\\]!-]{0,60}"], key in text(), prefix in prop::option::of(text()),
    ) {
        let rule = ObjectRule { bucket: "b".into(), prefix, suffix: None, glob: Some(glob.clone()) };
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        if let Err(problem) = Rule::Object(rule.clone()).check(noon) {
            prop_assert!(is_refused(&problem));
        }
        let created = ObjectCreated {
            project: shared::job::ProjectId::new([1; 16]), bucket: "b".parse().unwrap(), key,
            size: 0, etag: String::new(), id: String::new(), at: noon,
        };
        let _ = rule.fits(&created);
        let Value::Object(attributes) = event() else { return Ok(()) };
        let rule = EventRule { kind: Some(glob.clone()), source: None, subject: Some(glob) };
        let _ = (Rule::Event(rule.clone()).check(noon), rule.fits(&Event::of_attributes(attributes).unwrap()));
    }
}
