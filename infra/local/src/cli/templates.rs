//! `tarpon templates`: saved jobs with parameters.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    saved::{self, Action},
    session::Session,
    table::{Table, ago},
    views::{Template, Templates},
};

/// Where they are.
const KIND: &str = "templates";

/// Save jobs with parameters, to be submitted by name
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon templates
  tarpon templates put thumbnail thumbnail.json
  tarpon templates show PicProcess
  tarpon submit --template thumbnail -p input=photos/a.jpg -p width=200
  tarpon templates rm thumbnail

thumbnail.json:
  {\"parameters\": {\"input\": {\"type\": \"string\"},
                  \"width\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 100}},
   \"job\": {\"image\": \"thumbnailer\", \"command\": [\"--width=${width}\"],
           \"stdin\": {\"object\": \"${input}\"}, \"outputs\": [\"/out\"]}}")]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    #[command(flatten)]
    pub common: Common,
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Put { name, file } => {
            let put = saved::put::<Template>(session, KIND, &name, &file).await?;
            if session.json {
                return session.screen.json(&put.json);
            }
            session.screen.line(&format!("template {} is saved", put.value.name))
        }
        Action::Show { name } => saved::show(session, KIND, &name).await,
        Action::Rm { name } => saved::forget(session, KIND, &name).await,
    }
}

/// Values as a command line gives them, in the types that the template's
/// parameters have. What has none there goes as it is, for the server to refuse.
pub(super) async fn parameters(
    session: &Session,
    template: &str,
    given: &[(String, String)],
) -> Result<Map<String, Value>, Failure> {
    if given.is_empty() {
        return Ok(Map::new());
    }
    let request = session.client.get(&["v1", "templates", template])?;
    let template = session.client.json::<Template>(request, Repeat::Safe).await?.value;
    Ok(typed(&template.parameters, given))
}

fn typed(types: &BTreeMap<String, Value>, given: &[(String, String)]) -> Map<String, Value> {
    let mut values = Map::new();
    for (name, text) in given {
        let of = |field: &str| types.get(name).and_then(|rules| rules[field].as_str());
        if of("type") == Some("list") {
            let item = single(of("items").unwrap_or("string"), text);
            match values.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(items) => items.push(item),
                other => *other = item,
            }
        } else {
            values.insert(name.clone(), single(of("type").unwrap_or("string"), text));
        }
    }
    values
}

fn single(kind: &str, text: &str) -> Value {
    let parsed = match kind {
        "integer" | "number" | "boolean" => serde_json::from_str(text).ok(),
        _ => None,
    };
    parsed.unwrap_or_else(|| text.into())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "templates"])?;
    let list = session.client.json::<Templates>(request, Repeat::Safe).await?.value;
    let mut table = Table::new(&["NAME", "PARAMETERS", "DESCRIPTION", "CHANGED"]);
    for template in &list.templates {
        if session.json {
            session.screen.json(template)?;
            continue;
        }
        let template =
            Template::deserialize(template).map_err(|error| Failure::Answer(error.to_string()))?;
        let names: Vec<&str> = template.parameters.keys().map(String::as_str).collect();
        table.row([
            template.name,
            names.join(", "),
            template.description.unwrap_or_default(),
            template.updated_at.map(|at| ago(at, session.now)).unwrap_or_default(),
        ]);
    }
    if session.json { Ok(()) } else { session.screen.print(table.render().as_bytes()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_has_the_type_that_its_parameter_has() {
        let types = json!({
            "s": {"type": "string"}, "n": {"type": "integer"}, "yes": {"type": "boolean"},
            "files": {"type": "list"}, "sizes": {"type": "list", "items": "integer"},
        });
        let types: BTreeMap<String, Value> = serde_json::from_value(types).unwrap();
        let given = [
            ("s", "7"),
            ("n", "7"),
            ("yes", "true"),
            ("files", "a"),
            ("files", "b"),
            ("sizes", "1"),
            ("other", "8"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let values = typed(&types, &given);
        assert_eq!(
            Value::Object(values),
            json!({"s": "7", "n": 7, "yes": true, "files": ["a", "b"], "sizes": [1], "other": "8"})
        );
        assert_eq!(single("integer", "x"), "x", "for the server to refuse");
    }
}
