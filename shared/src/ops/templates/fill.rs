//! Putting values in the places of placeholders.
//!
//! `${name}` in a JSON string stands for a value. It is looked for in strings
//! that have been parsed, and what is put in is not looked at again: so a value
//! never becomes more than a value, whatever it contains. `$${` is `${` itself.
//!
//! | where the placeholder is | what comes there |
//! |---|---|
//! | the whole of a string | the value, in its own type |
//! | part of a string | its text; a list or an object cannot be there |
//! | the whole of a list's item, and it stands for a list | the items, in its place |
//! | in a job's field that holds text, such as `command` | its text, always |
//! | the whole of a string, and it stands for nothing | the field, or the item, is left out |

use serde_json::{Map, Value};

use crate::wire::Problem;

/// A job's fields whose values are texts, at any depth: a number becomes the
/// word that stands for it.
const TEXTS: [&str; 9] =
    ["name", "image", "entrypoint", "command", "env", "secret_env", "outputs", "tags", "inline"];

/// A part of a string.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Hole(&'t str),
}

/// What a placeholder stands for; `None` for nothing.
pub type Lookup<'a> = dyn Fn(&str) -> Result<Option<Value>, String> + 'a;

/// Fills a value's placeholders.
pub struct Filler<'a> {
    lookup: &'a Lookup<'a>,
    /// Whether it is a job that is filled, whose fields tell where text is.
    is_job: bool,
    /// Bytes that may still be put in.
    room: usize,
    limit: usize,
}

impl<'a> Filler<'a> {
    /// A filler of jobs.
    pub fn of_job(lookup: &'a Lookup<'a>, limit: usize) -> Self {
        Filler { lookup, is_job: true, room: limit, limit }
    }

    /// A filler of any values.
    pub fn of_values(lookup: &'a Lookup<'a>, limit: usize) -> Self {
        Filler { lookup, is_job: false, room: limit, limit }
    }

    /// The fields with their placeholders filled. `field` is what they belong
    /// to, for naming what cannot be.
    pub fn fields(
        &mut self,
        field: &str,
        fields: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Problem> {
        self.object(field, fields, false)
    }

    fn object(
        &mut self,
        field: &str,
        fields: &Map<String, Value>,
        text: bool,
    ) -> Result<Map<String, Value>, Problem> {
        let mut filled = Map::new();
        for (name, value) in fields {
            let at = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
            let text = text || (self.is_job && TEXTS.contains(&name.as_str()));
            if let Some(value) = self.value(&at, value, text)? {
                filled.insert(name.clone(), value);
            }
        }
        Ok(filled)
    }

    fn value(&mut self, at: &str, value: &Value, text: bool) -> Result<Option<Value>, Problem> {
        Ok(Some(match value {
            Value::String(said) => return self.string(at, said, text),
            Value::Array(items) => Value::Array(self.items(at, items, text)?),
            Value::Object(fields) => Value::Object(self.object(at, fields, text)?),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }))
    }

    fn items(&mut self, at: &str, items: &[Value], text: bool) -> Result<Vec<Value>, Problem> {
        let mut filled = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            match (item, self.value(&format!("{at}[{place}]"), item, text)?) {
                (Value::String(_), Some(Value::Array(several))) => filled.extend(several),
                (_, Some(one)) => filled.push(one),
                (_, None) => {}
            }
        }
        Ok(filled)
    }

    fn string(&mut self, at: &str, said: &str, text: bool) -> Result<Option<Value>, Problem> {
        let pieces = pieces(said).map_err(|rule| Problem::invalid(at, rule))?;
        if let [Piece::Hole(name)] = pieces[..] {
            let Some(value) = self.look_up(at, name)? else { return Ok(None) };
            self.take(weight(&value))?;
            return Ok(Some(if text { worded(value) } else { value }));
        }
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => filled.push_str(piece),
                Piece::Hole(name) => {
                    let value = self.look_up(at, name)?;
                    let word = value.as_ref().and_then(word).ok_or_else(|| {
                        let rule = format!("`{name}` is no single value, and cannot be in a text");
                        Problem::invalid(at, rule)
                    })?;
                    self.take(word.len())?;
                    filled.push_str(&word);
                }
            }
        }
        Ok(Some(filled.into()))
    }

    fn look_up(&self, at: &str, name: &str) -> Result<Option<Value>, Problem> {
        (self.lookup)(name).map_err(|rule| Problem::invalid(at, rule))
    }

    /// A short text may name a long value many times.
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let left = self.room.checked_sub(bytes).ok_or(Problem::TooLarge {
            what: "what the placeholders stand for",
            limit: self.limit as u64,
        })?;
        self.room = left;
        Ok(())
    }
}

/// Every placeholder in a value.
pub fn holes(value: &Value) -> Result<Vec<Hole>, Problem> {
    let mut found = Vec::new();
    collect(&mut found, "", value)?;
    Ok(found)
}

/// A placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The field that it is in.
    pub field: String,
    /// What it names.
    pub name: String,
    /// Whether it is all of the string.
    pub is_whole: bool,
}

fn collect(found: &mut Vec<Hole>, at: &str, value: &Value) -> Result<(), Problem> {
    match value {
        Value::String(said) => {
            let pieces = pieces(said).map_err(|rule| Problem::invalid(at, rule))?;
            let is_whole = pieces.len() == 1;
            for piece in pieces {
                if let Piece::Hole(name) = piece {
                    found.push(Hole { field: at.to_owned(), name: name.to_owned(), is_whole });
                }
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                collect(found, &format!("{at}[{place}]"), item)?;
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                if name.contains("${") {
                    let rule = "a placeholder stands for a value; it cannot be in a field's name";
                    return Err(Problem::invalid(at, rule));
                }
                collect(found, &at, value)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The parts of a string, none of them empty.
fn pieces(said: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = said;
    while let Some(start) = rest.find("${") {
        // `$${`: what stands before it, up to the first `$`, and `${` itself.
        if rest[..start].ends_with('$') {
            push_text(&mut pieces, &rest[..start - 1]);
            push_text(&mut pieces, &rest[start..start + 2]);
            rest = &rest[start + 2..];
            continue;
        }
        push_text(&mut pieces, &rest[..start]);
        let named = &rest[start + 2..];
        let end = named
            .find('}')
            .ok_or("`${` has no `}`; where it is to stand for itself, it is `$${`")?;
        let name = &named[..end];
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(sound) {
            return Err("what is between `${` and `}` is no name; where `${` is to stand for \
                        itself, it is `$${`"
                .into());
        }
        pieces.push(Piece::Hole(name));
        rest = &named[end + 1..];
    }
    push_text(&mut pieces, rest);
    Ok(pieces)
}

fn push_text<'t>(pieces: &mut Vec<Piece<'t>>, text: &'t str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// A single value as text.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The value where only text can be. What has no text is left for the job's
/// own rules to refuse.
fn worded(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(worded).collect(),
        single => word(&single).map_or(single, Value::String),
    }
}

/// About how many bytes a value has.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + items.len(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + weight(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn filled(job: &Value, values: &Value) -> Result<Value, String> {
        let lookup = |name: &str| Ok(values.get(name).cloned());
        let fields = job.as_object().unwrap();
        let filled = Filler::of_job(&lookup, 10_000).fields("", fields);
        filled.map(Value::Object).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_placeholder_is_filled_by_where_it_is() {
        let values = json!({
            "n": 3, "x": 0.5, "yes": true, "s": "a b", "list": ["p", "q"], "numbers": [1, 2],
        });
        for (job, expected) in [
            (json!({"retry": {"max_attempts": "${n}"}}), json!({"retry": {"max_attempts": 3}})),
            (json!({"fail_fast": "${yes}"}), json!({"fail_fast": true})),
            (
                json!({"command": ["${n}", "-x=${x}", "${s}"]}),
                json!({"command": ["3", "-x=0.5", "a b"]}),
            ),
            (json!({"command": ["a", "${list}", "b"]}), json!({"command": ["a", "p", "q", "b"]})),
            (json!({"command": "${numbers}"}), json!({"command": ["1", "2"]})),
            (json!({"exit_codes": ["${numbers}", 7]}), json!({"exit_codes": [1, 2, 7]})),
            (
                json!({"env": {"A": "${yes}", "B": "$${n}"}}),
                json!({"env": {"A": "true", "B": "${n}"}}),
            ),
            (json!({"stdin": {"inline": "${n}"}}), json!({"stdin": {"inline": "3"}})),
            (json!({"user": "${none}", "command": ["${none}", "b"]}), json!({"command": ["b"]})),
            (json!({"user": "$s $$ ${s}${s}"}), json!({"user": "$s $$ a ba b"})),
        ] {
            assert_eq!(filled(&job, &values).unwrap(), expected, "{job}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        let values = json!({"list": ["p"], "long": "x".repeat(6_000)});
        for (job, why) in [
            (json!({"user": "a${list}"}), "`user`: `list` is no single value"),
            (
                json!({"tasks": [{"user": "a${none}"}]}),
                "`tasks[0].user`: `none` is no single value",
            ),
            (json!({"user": "${list"}), "`user`: `${` has no `}`"),
            (json!({"user": "${a b}"}), "`user`: what is between"),
            (json!({"command": ["${long}", "${long}"]}), "larger than 10000 bytes"),
        ] {
            let refused = filled(&job, &values).unwrap_err();
            assert!(refused.contains(why), "{job}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_never_more_than_a_value(text in ".*") {
            let job = json!({"command": ["a", "${text}", "-${text}-"], "env": {"X": "${text}"}});
            let expected = json!({
                "command": ["a", text, format!("-{text}-")], "env": {"X": text},
            });
            prop_assert_eq!(filled(&job, &json!({ "text": text, "b": "c" })).unwrap(), expected);
        }

        #[test]
        fn every_text_can_be_said(text in "[$ {}a\u{e4}]*") {
            // Each `${` doubled in front is itself again.
            let said = json!({"user": text.replace("${", "$${")});
            prop_assert_eq!(filled(&said, &json!({})).unwrap(), json!({ "user": text }));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*", other in "[${}a.]*") {
            for text in [text, other] {
                let _ = filled(&json!({ "user": text.clone() }), &json!({"a": 1}));
                let _ = holes(&json!({ "user": text }));
            }
        }
    }
}
