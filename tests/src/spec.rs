//! A job to be submitted, put together word by word.

use serde_json::{Map, Value, json};

/// A job's JSON.
#[derive(Clone, Debug, Default)]
pub struct Spec(Map<String, Value>);

impl Spec {
    /// A job of this image and command.
    pub fn new(image: &str, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let command: Vec<String> = command.into_iter().map(Into::into).collect();
        Spec::default().with("image", image).with("command", command)
    }

    /// The same with this field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same without this field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// The same with one more path to keep.
    #[must_use]
    pub fn keep(mut self, path: &str) -> Self {
        let outputs = self.0.entry("outputs").or_insert_with(|| json!([]));
        outputs.as_array_mut().expect("outputs are a list").push(json!(path));
        self
    }

    /// The same as one task of this name among several.
    pub fn task(self, name: &str) -> Value {
        self.with("name", name).into()
    }

    /// The command's words.
    pub fn words(&self) -> Vec<String> {
        let words = self.0.get("command").and_then(Value::as_array).expect("there is a command");
        words.iter().map(|word| word.as_str().expect("a word is text").to_owned()).collect()
    }
}

impl From<Spec> for Value {
    fn from(spec: Spec) -> Self {
        Value::Object(spec.0)
    }
}
