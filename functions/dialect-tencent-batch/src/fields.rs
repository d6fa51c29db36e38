//! Parameters, taken one by one: each knows its path, for what is said of it.
//!
//! They come as JSON or flattened into text, so a number may be text and a
//! flag may be `True`. What nobody has taken in the end is unknown.

use serde_json::{Map, Value};

use crate::faults::Fault;

/// The parameters of one object that have not been taken yet.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Those at the top.
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Fields { path: String::new(), map }
    }

    /// What the parameter `name` is called in all.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// The parameter, or the fault that it is missing.
    pub(crate) fn needed<T>(&self, name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| Fault::missing(&self.path(name)))
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let path = self.path(name);
        self.take(name).map(|value| text(&path, value)).transpose()
    }

    /// Text that has to be there.
    pub(crate) fn said(&mut self, name: &str) -> Result<String, Fault> {
        let value = self.text(name)?;
        self.needed(name, value)
    }

    /// One of these words; where there is none, the first.
    pub(crate) fn word(
        &mut self,
        name: &str,
        words: &[&'static str],
    ) -> Result<&'static str, Fault> {
        let Some(said) = self.text(name)? else { return Ok(words[0]) };
        let found = words.iter().find(|word| **word == said);
        found.copied().ok_or_else(|| {
            Fault::value(&self.path(name), format!("it is one of {}", words.join(", ")))
        })
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        let path = self.path(name);
        self.take(name).map(|value| integer(&path, &value)).transpose()
    }

    /// A number that is not negative and at most `most`.
    pub(crate) fn count(&mut self, name: &str, most: u32) -> Result<Option<u32>, Fault> {
        let path = self.path(name);
        self.take(name).map(|value| count(&path, &value, most)).transpose()
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        let path = self.path(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        match value {
            Value::Bool(flag) => Ok(Some(flag)),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(misfit(&path, "a boolean")),
        }
    }

    /// A number that may have a fraction.
    pub(crate) fn float(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        let path = self.path(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| {
            let message = format!("`{path}` is not a floating-point number.");
            Fault::new("InvalidParameterValue.NotFloat", message)
        })
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Fields>, Fault> {
        let path = self.path(name);
        self.take(name).map(|value| object(path, value)).transpose()
    }

    /// The objects of a list; none where there is no list.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Vec<Fields>, Fault> {
        self.list(name, object)
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        self.list(name, |path, value| text(&path, value))
    }

    /// Numbers that are not negative.
    pub(crate) fn counts(&mut self, name: &str) -> Result<Vec<u32>, Fault> {
        self.list(name, |path, value| count(&path, &value, u32::MAX))
    }

    fn list<T>(
        &mut self,
        name: &str,
        one: impl Fn(String, Value) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let path = self.path(name);
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => {
                let each = all.into_iter().enumerate();
                each.map(|(place, value)| one(format!("{path}.{place}"), value)).collect()
            }
            Some(_) => Err(misfit(&path, "a list")),
        }
    }

    /// A parameter as it is.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Value> {
        self.take(name)
    }

    /// Takes parameters that are known, and have no say here.
    pub(crate) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.map.remove(*name);
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn end(self) -> Result<(), Fault> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => {
                let message = format!("The parameter `{}` is not recognized.", self.path(name));
                Err(Fault::new("UnknownParameter", message))
            }
        }
    }
}

#[cfg(test)]
impl Fields {
    /// Those of a JSON object.
    pub(crate) fn of(value: Value) -> Self {
        let Value::Object(map) = value else { panic!("{value} is no object") };
        Fields::new(map)
    }
}

fn misfit(path: &str, wanted: &str) -> Fault {
    let message = format!("`{path}` is not {wanted}.");
    Fault::new("InvalidParameterValue.InvalidDataTypeAny", message)
}

fn text(path: &str, value: Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(misfit(path, "a string")),
    }
}

fn integer(path: &str, value: &Value) -> Result<i64, Fault> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| misfit(path, "an integer"))
}

fn count(path: &str, value: &Value, most: u32) -> Result<u32, Fault> {
    let number = integer(path, value)?;
    if number < 0 {
        let message = format!("`{path}` is negative.");
        return Err(Fault::new("InvalidParameterValue.Negative", message));
    }
    u32::try_from(number)
        .ok()
        .filter(|n| *n <= most)
        .ok_or_else(|| Fault::limit(path, most.to_string()))
}

fn object(path: String, value: Value) -> Result<Fields, Fault> {
    match value {
        Value::Object(map) => Ok(Fields { path, map }),
        _ => Err(misfit(&path, "an object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_flags_may_be_text() {
        let mut all = Fields::of(json!({ "A": "7", "B": 7, "C": "True", "D": false, "E": "0.5" }));
        assert_eq!(all.integer("A").unwrap(), Some(7));
        assert_eq!(all.count("B", 9).unwrap(), Some(7));
        assert_eq!(all.flag("C").unwrap(), Some(true));
        assert_eq!(all.flag("D").unwrap(), Some(false));
        assert_eq!(all.float("E").unwrap(), Some(0.5));
        all.end().unwrap();
    }

    #[test]
    fn what_does_not_fit_is_said_by_its_path() {
        let inner = || Fields::of(json!({ "In": [{ "N": -1, "T": 5, "F": "x", "L": 1 }] }));
        let mut all = inner().objects("In").unwrap().remove(0);
        for (fault, code) in [
            (all.count("N", 9).unwrap_err(), "InvalidParameterValue.Negative"),
            (all.text("T").unwrap_err(), "InvalidParameterValue.InvalidDataTypeAny"),
            (all.float("F").unwrap_err(), "InvalidParameterValue.NotFloat"),
            (all.objects("L").unwrap_err(), "InvalidParameterValue.InvalidDataTypeAny"),
        ] {
            assert_eq!(fault.code, code);
            assert!(fault.message.contains("In.0."), "{}", fault.message);
        }
        let mut all = inner().objects("In").unwrap().remove(0);
        all.ignore(&["T", "F", "L"]);
        assert_eq!(all.end().unwrap_err().code, "UnknownParameter");
    }
}
