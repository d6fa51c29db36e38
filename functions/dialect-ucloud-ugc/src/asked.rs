//! What a request says by name, wherever it says it: in its query, in a form, or
//! in JSON.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::{Number, Value};
use shared::wire::{Problem, Request, query_pairs};

use crate::faults::{Code, Fault};

/// The longest name of a parameter in JSON, its path included.
const LONGEST_NAME: usize = 256;

/// The most parameters of a request with JSON: each of a long list has the
/// list's name before it.
const MOST: usize = 10_000;

/// The parameters of a request, decoded, in the order in which they came.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those of the query, and then those of a form or of JSON. A body of any
    /// other type is a task's input, and is left alone.
    pub async fn read(request: &mut Request, limit: u64) -> Result<Self, Problem> {
        let mut all = request.query.clone();
        let media_type = request.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => {
                let bytes = request.bytes("the form", limit).await?;
                let text = std::str::from_utf8(&bytes);
                let text = text.map_err(|_| Problem::Malformed("the form is not UTF-8".into()))?;
                all.extend(query_pairs(text)?);
            }
            "application/json" => {
                let bytes = request.bytes("the parameters", limit).await?;
                flatten(&bytes, &mut all)?;
            }
            _ => {}
        }
        Ok(all.into_iter().collect())
    }

    /// The first of this name. One without a value might as well not be there.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    /// The same where the client may say `None` for nothing.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| *value != "None")
    }

    /// The same where it may not be missing.
    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.text(name).ok_or_else(|| Fault::new(Code::ParameterMissing, name))
    }

    /// A number of this name.
    pub fn number(&self, name: &str, wrong: Code) -> Result<Option<i64>, Fault> {
        let parse = |text: &str| {
            let bad = || Fault::new(wrong, format!("{name}: `{text}` is not a whole number"));
            text.parse::<i64>().map_err(|_| bad())
        };
        self.filter(name).map(parse).transpose()
    }

    /// Every value of this name: repeated, or numbered from `Name.0` on.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let place = |key: &str| match key.strip_prefix(name)? {
            "" => Some(None),
            rest => Some(Some(rest.strip_prefix('.')?.parse::<u32>().ok()?)),
        };
        let found = self.0.iter().filter_map(|(key, value)| Some((place(key)?, value.as_str())));
        let mut found: Vec<_> = found.filter(|(_, value)| !value.is_empty()).collect();
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Whether a name is there more than once: nobody has said how such a
    /// request would be signed.
    pub fn repeats(&self) -> bool {
        let names: BTreeSet<_> = self.0.iter().map(|(name, _)| name).collect();
        names.len() < self.0.len()
    }

    /// All of them.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Parameters(pairs.into_iter().collect())
    }
}

/// The members of a JSON object as parameters: what is in lists and objects by
/// its path, `A.0.b`.
fn flatten(bytes: &[u8], into: &mut Vec<(String, String)>) -> Result<(), Problem> {
    let value = serde_json::from_slice(bytes);
    let value: Value = value.map_err(|error| Problem::Malformed(format!("not JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(Problem::Malformed("the parameters are not a JSON object".into()));
    };
    members.into_iter().try_for_each(|(name, value)| put(name, value, into))
}

fn put(name: String, value: Value, into: &mut Vec<(String, String)>) -> Result<(), Problem> {
    if name.len() > LONGEST_NAME || into.len() >= MOST {
        let rule = format!("more than {MOST} parameters, or a name of over {LONGEST_NAME} bytes");
        return Err(Problem::Malformed(rule));
    }
    match value {
        Value::Null => {}
        Value::Bool(value) => into.push((name, value.to_string())),
        Value::Number(value) => into.push((name, number(&value).into_owned())),
        Value::String(value) => into.push((name, value)),
        Value::Array(values) => {
            for (place, value) in values.into_iter().enumerate() {
                put(format!("{name}.{place}"), value, into)?;
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                put(format!("{name}.{member}"), value, into)?;
            }
        }
    }
    Ok(())
}

/// A number as it is signed: without an exponent, and without a fraction of 0.
fn number(value: &Number) -> Cow<'static, str> {
    match value.as_f64() {
        Some(float) if value.is_f64() => float.to_string().into(),
        _ => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Parameters {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn json_becomes_what_is_signed() {
        let mut pairs = Vec::new();
        let json = r#"{"A": true, "B": 42.0, "C": [1, {"k": "v"}], "D": "é &+", "E": null,
                       "F": 1e21, "G": 0.5, "H": -7}"#;
        flatten(json.as_bytes(), &mut pairs).unwrap();
        let texts: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let large = "F=1000000000000000000000";
        let expected = ["A=true", "B=42", "C.0=1", "C.1.k=v", "D=é &+", large, "G=0.5", "H=-7"];
        assert_eq!(texts, expected);
        for bad in ["", "[]", "7", "{"] {
            flatten(bad.as_bytes(), &mut pairs).unwrap_err();
        }
    }

    #[test]
    fn a_little_json_does_not_become_very_much() {
        let long = format!(r#"{{"{}": [1]}}"#, "n".repeat(LONGEST_NAME));
        let many = format!(r#"{{"A": [0{}]}}"#, ",0".repeat(MOST));
        let deep = format!(r#"{{"A": {}0{}}}"#, r#"{"inner": "#.repeat(100), "}".repeat(100));
        for json in [long, many, deep] {
            let refused = flatten(json.as_bytes(), &mut Vec::new());
            assert!(matches!(refused, Err(Problem::Malformed(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_list_is_repeated_or_numbered() {
        let asked = of(&[("N.1", "b"), ("N", "x"), ("N.10", "d"), ("N.2", "c"), ("N.0", "a")]);
        assert_eq!(asked.list("N"), ["x", "a", "b", "c", "d"]);
        assert_eq!(of(&[("N", "x"), ("N", ""), ("N", "y"), ("Nx", "z")]).list("N"), ["x", "y"]);
        assert!(of(&[("N", "x"), ("N", "y")]).repeats() && !asked.repeats());
    }

    #[test]
    fn what_is_empty_is_not_there() {
        let asked = of(&[("A", ""), ("B", "None"), ("C", "7"), ("D", "x")]);
        assert_eq!((asked.text("A"), asked.filter("B")), (None, None));
        assert_eq!(asked.number("C", Code::BadParameter).unwrap(), Some(7));
        assert_eq!(asked.number("D", Code::BadTime).unwrap_err().code, Code::BadTime);
        assert_eq!(asked.required("A").unwrap_err().code, Code::ParameterMissing);
    }
}
