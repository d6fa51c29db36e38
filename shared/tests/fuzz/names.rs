//! Names: of images, objects, jobs, keys.

use std::fmt::Display;

use proptest::{collection::vec, prelude::*, sample::select};
use shared::{
    fargate::Prices,
    guard::Cidr,
    job::{AccessKeyId, AttemptId, ImageReference, JobId, Name, ProjectId},
    platform::ObjectKey,
    wire::submit::{check_object_key, parse_object},
};

use crate::any::text;

/// What is a name is written as it was read.
fn reads_back<T: std::str::FromStr + Display>(text: &str) {
    if let Ok(name) = text.parse::<T>() {
        assert_eq!(name.to_string(), text);
    }
}

fn component() -> impl Strategy<Value = String> {
    let joint = select(vec![".", "_", "__", "-", "---"]);
    ("[a-z0-9]{1,6}", vec((joint, "[a-z0-9]{1,4}"), 0..3)).prop_map(|(first, more)| {
        more.into_iter().fold(first, |name, (joint, part)| name + joint + &part)
    })
}

/// A reference by the grammar of the OCI's distribution specification.
fn reference() -> impl Strategy<Value = String> {
    let host =
        prop::option::of("([a-z0-9]{1,5}\\.){1,2}[a-z]{2,3}(:[1-9][0-9]{0,3})?|localhost(:80)?");
    let tag = prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}");
    let digest = prop::option::of("[0-9a-f]{64}");
    (host, vec(component(), 1..4), tag, digest).prop_map(|(host, path, tag, digest)| {
        let host = host.map(|host| host + "/").unwrap_or_default();
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.map(|hex| format!("@sha256:{hex}")).unwrap_or_default();
        format!("{host}{}{tag}{digest}", path.join("/"))
    })
}

proptest! {
    #[test]
    fn any_text_as_a_name(text in text()) {
        reads_back::<ImageReference>(&text);
        reads_back::<Name>(&text);
        reads_back::<JobId>(&text);
        reads_back::<AttemptId>(&text);
        reads_back::<ProjectId>(&text);
        let _ = text.parse::<AccessKeyId>();
        let _ = text.parse::<Cidr>();
        if let Ok(prices) = text.parse::<Prices>() {
            prop_assert_eq!(prices.to_string().parse(), Ok(prices));
        }
    }

    #[test]
    fn what_is_an_image_by_its_grammar_is_taken(text in reference()) {
        prop_assert_eq!(text.parse::<ImageReference>().map(|image| image.to_string()), Ok(text));
    }

    #[test]
    fn what_is_taken_as_an_image_can_be_part_of_no_other_address(text in text()) {
        if let Ok(image) = text.parse::<ImageReference>() {
            let fit = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
            prop_assert!(image.as_str().chars().all(fit) && !image.as_str().contains(".."));
        }
    }

    #[test]
    fn an_object_is_named_by_its_bucket_and_key(
        bucket in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}",
        key in prop_oneof![text(), Just("a/user/b/../c//".to_owned())],
        project in any::<[u8; 16]>(),
    ) {
        let name: Result<Name, _> = bucket.parse();
        let (Ok(name), Ok(())) = (name, check_object_key("", &key)) else { return Ok(()) };
        let parsed = parse_object("", &format!("{bucket}/{key}")).unwrap();
        prop_assert_eq!(&parsed, &(name.clone(), key.clone()));
        let project = ProjectId::new(project);
        let stored = ObjectKey::user(project, &name, &key);
        prop_assert_eq!(stored.as_user(), Some((project, name, key.as_str())));
    }

    #[test]
    fn any_text_as_a_stored_object(text in text()) {
        let key = ObjectKey::stored(text.clone());
        if let Some((project, bucket, rest)) = key.as_user() {
            prop_assert_eq!(ObjectKey::user(project, &bucket, rest), ObjectKey::stored(text.clone()));
        }
        let _ = parse_object("field", &text);
    }
}
