//! The templates that come with an installation: what a foreign API names by
//! its type.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Parameter, Template};
use crate::service::Config;

/// Processes a picture, in the image that we ship for it.
const PIC_PROCESS: &str = include_str!("pic_process.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    description: String,
    parameters: BTreeMap<String, Parameter>,
    job: Map<String, Value>,
}

/// All of them. Where their images are is the installation's to say.
pub(super) fn all(config: &Config) -> Vec<Template> {
    vec![operation("PicProcess", PIC_PROCESS, &config.pic_process_image)]
}

fn operation(name: &str, written: &str, image: &str) -> Template {
    let written: Written = serde_json::from_str(written).expect("it is ours, and is tested");
    let Written { description, parameters, mut job } = written;
    job.insert("image".into(), image.into());
    Template {
        v: 1,
        name: name.parse().expect("it is a name"),
        description: Some(description),
        parameters,
        job,
        secrets: BTreeMap::new(),
        origin: None,
        created_at: None,
        updated_at: None,
    }
}
