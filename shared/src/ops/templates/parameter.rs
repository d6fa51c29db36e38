//! A template's parameters: what values they take.

use std::fmt::Write;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use crate::wire::{Problem, submit::check_text};

/// Bytes of a pattern.
const PATTERN_BYTES: usize = 500;

/// Bytes that a pattern may grow to in memory.
const PATTERN_ROOM: usize = 1 << 20;

/// Items that a list may have.
const MOST_ITEMS: usize = 1_000;

/// The type of a parameter's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    /// Text.
    String,
    /// A whole number of 64 bits.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of `values`.
    Enum,
    /// Several of `items`.
    List,
}

/// What a parameter takes. It is shown as it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it has to be given; so it is where there is no default. One
    /// that is neither given nor has a default leaves out what it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Its value where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub minimum: Option<Number>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub maximum: Option<Number>,
    /// Characters of a text, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// Characters of a text, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// A regular expression that the whole of a text matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What an enum can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The type of a list's items; texts without it. The other rules are then
    /// about each of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ParameterType>,
    /// Items of a list, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u32>,
    /// Items of a list, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u32>,
}

impl Parameter {
    /// Whether it has to be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && self.required != Some(false)
    }

    /// The type of a single value: a list's is that of its items.
    fn single(&self) -> ParameterType {
        match self.kind {
            ParameterType::List => self.items.unwrap_or(ParameterType::String),
            single => single,
        }
    }

    /// Whether the rules go together; `field` is where they are.
    pub fn check(&self, field: &str) -> Result<(), Problem> {
        use ParameterType as T;
        let (single, at) = (self.single(), |name: &str| format!("{field}.{name}"));
        if let Some(text) = &self.description {
            check_text(&at("description"), text, 1_000)?;
        }
        if self.items == Some(T::List) {
            return Err(Problem::invalid(at("items"), "a list of lists cannot be"));
        }
        let number = matches!(single, T::Integer | T::Number);
        for (name, given, fits, of) in [
            ("minimum", self.minimum.is_some(), number, "a number"),
            ("maximum", self.maximum.is_some(), number, "a number"),
            ("min_length", self.min_length.is_some(), single == T::String, "a string"),
            ("max_length", self.max_length.is_some(), single == T::String, "a string"),
            ("pattern", self.pattern.is_some(), single == T::String, "a string"),
            ("values", !self.values.is_empty(), single == T::Enum, "an enum"),
            ("items", self.items.is_some(), self.kind == T::List, "a list"),
            ("min_items", self.min_items.is_some(), self.kind == T::List, "a list"),
            ("max_items", self.max_items.is_some(), self.kind == T::List, "a list"),
        ] {
            if given && !fits {
                return Err(Problem::invalid(at(name), format!("only {of} has it")));
            }
        }
        if single == T::Enum && !(1..=100).contains(&self.values.len()) {
            return Err(Problem::invalid(at("values"), "an enum has 1 to 100 of them"));
        }
        let float = |n: &Option<Number>| n.as_ref().and_then(Number::as_f64);
        for (name, least, most) in [
            ("maximum", float(&self.minimum), float(&self.maximum)),
            ("max_length", self.min_length.map(f64::from), self.max_length.map(f64::from)),
            ("max_items", self.min_items.map(f64::from), self.max_items.map(f64::from)),
        ] {
            if least.zip(most).is_some_and(|(least, most)| least > most) {
                return Err(Problem::invalid(at(name), "it is below the least that is allowed"));
            }
        }
        if let Some(pattern) = &self.pattern {
            compiled(pattern).map_err(|why| Problem::invalid(at("pattern"), why))?;
        }
        match (&self.default, self.required) {
            (Some(_), Some(true)) => {
                Err(Problem::invalid(at("required"), "what has a default need not be given"))
            }
            (Some(default), _) => self.accept(&at("default"), default),
            (None, _) => Ok(()),
        }
    }

    /// Whether it takes the value; else the rule that the value breaks.
    pub fn accept(&self, field: &str, value: &Value) -> Result<(), Problem> {
        let wrong = || Problem::invalid(field, self.rule());
        if self.kind != ParameterType::List {
            return if self.accepts(value) { Ok(()) } else { Err(wrong()) };
        }
        let items = value.as_array().ok_or_else(wrong)?;
        let least = self.min_items.unwrap_or(0) as usize;
        let most = self.max_items.map_or(MOST_ITEMS, |most| MOST_ITEMS.min(most as usize));
        if !(least..=most).contains(&items.len()) {
            let rule = format!("it has {} items, not {least} to {most}", items.len());
            return Err(Problem::invalid(field, rule));
        }
        match items.iter().position(|item| !self.accepts(item)) {
            Some(place) => Err(Problem::invalid(format!("{field}[{place}]"), self.single_rule())),
            None => Ok(()),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        let number = |value: &Value| {
            let bound = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
            value.as_f64().is_some_and(|n| {
                bound(&self.minimum).is_none_or(|least| n >= least)
                    && bound(&self.maximum).is_none_or(|most| n <= most)
            })
        };
        match self.single() {
            ParameterType::Boolean => value.is_boolean(),
            ParameterType::Integer => value.is_i64() && number(value),
            ParameterType::Number => number(value),
            ParameterType::Enum => {
                value.as_str().is_some_and(|text| self.values.iter().any(|known| known == text))
            }
            ParameterType::String => value.as_str().is_some_and(|text| self.accepts_text(text)),
            ParameterType::List => false,
        }
    }

    fn accepts_text(&self, text: &str) -> bool {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.min_length.is_none_or(|least| length >= least)
            && self.max_length.is_none_or(|most| length <= most)
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| compiled(pattern).is_ok_and(|p| p.is_match(text)))
    }

    /// What it takes, in words.
    fn rule(&self) -> String {
        if self.kind != ParameterType::List {
            return self.single_rule();
        }
        let of = match self.single() {
            ParameterType::Integer => "integers",
            ParameterType::Number => "numbers",
            ParameterType::Boolean => "booleans",
            ParameterType::String | ParameterType::Enum | ParameterType::List => "strings",
        };
        format!("it is a list of {of}")
    }

    fn single_rule(&self) -> String {
        let mut rule = match self.single() {
            ParameterType::String => "it is a string".to_owned(),
            ParameterType::Integer => "it is an integer".to_owned(),
            ParameterType::Number => "it is a number".to_owned(),
            ParameterType::Boolean => "it is true or false".to_owned(),
            ParameterType::Enum => format!("it is one of {}", self.values.join(", ")),
            ParameterType::List => "it is a single value".to_owned(),
        };
        let number = |bound: &Option<Number>| bound.as_ref().map(Number::to_string);
        let length = |bound: Option<u32>| bound.map(|n| format!("{n} characters"));
        let bounds = [
            (", at least ", number(&self.minimum)),
            (", at most ", number(&self.maximum)),
            (" of at least ", length(self.min_length)),
            (" of at most ", length(self.max_length)),
            (" that matches ", self.pattern.clone()),
        ];
        for (word, bound) in bounds {
            if let Some(bound) = bound {
                // Writing to a string cannot fail.
                let _ = write!(rule, "{word}{bound}");
            }
        }
        rule
    }
}

/// The pattern, to be matched by the whole of a text.
fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("it is longer than {PATTERN_BYTES} bytes"));
    }
    // By itself first: what is unbalanced must not close our own group.
    let built = Regex::new(pattern).and_then(|_| {
        RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_ROOM).build()
    });
    built.map_err(|error| format!("it is no regular expression: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameter(rules: Value) -> Parameter {
        serde_json::from_value(rules).unwrap()
    }

    #[test]
    fn a_value_is_taken_or_its_rule_is_told() {
        for (rules, good, bad, rule) in [
            (json!({"type": "string"}), json!("x"), json!(7), "it is a string"),
            (
                json!({"type": "string", "pattern": "a|bc", "max_length": 9}),
                json!("bc"),
                json!("abc"),
                "it is a string of at most 9 characters that matches a|bc",
            ),
            (
                json!({"type": "string", "min_length": 2}),
                json!("\u{e4}b"),
                json!("\u{e4}"),
                "at least 2 characters",
            ),
            (
                json!({"type": "integer", "minimum": 1, "maximum": 9}),
                json!(9),
                json!(10),
                "it is an integer, at least 1, at most 9",
            ),
            (json!({"type": "integer"}), json!(-1), json!(1.5), "it is an integer"),
            (json!({"type": "integer"}), json!(0), json!("0"), "it is an integer"),
            (json!({"type": "number", "minimum": 0.5}), json!(1), json!(0.25), "at least 0.5"),
            (json!({"type": "boolean"}), json!(false), json!("false"), "it is true or false"),
            (
                json!({"type": "enum", "values": ["a", "b"]}),
                json!("b"),
                json!("c"),
                "it is one of a, b",
            ),
            (json!({"type": "list"}), json!(["a"]), json!("a"), "it is a list of strings"),
            (
                json!({"type": "list", "max_items": 1}),
                json!([]),
                json!(["a", "b"]),
                "2 items, not 0 to 1",
            ),
            (
                json!({"type": "list", "items": "integer", "minimum": 0}),
                json!([0]),
                json!([1, -1]),
                "`p[1]`: it is an integer, at least 0",
            ),
        ] {
            let parameter = parameter(rules.clone());
            parameter.check("parameters.p").unwrap();
            parameter.accept("p", &good).unwrap();
            let refused = parameter.accept("p", &bad).unwrap_err().to_string();
            assert!(refused.contains(rule), "{rules}: {refused}");
        }
    }

    #[test]
    fn rules_that_do_not_go_together_are_refused() {
        for (rules, field) in [
            (json!({"type": "integer", "pattern": "x"}), "p.pattern"),
            (json!({"type": "string", "minimum": 1}), "p.minimum"),
            (json!({"type": "string", "min_items": 1}), "p.min_items"),
            (json!({"type": "string", "pattern": "("}), "p.pattern"),
            (json!({"type": "string", "pattern": "a)|(b"}), "p.pattern"),
            (json!({"type": "string", "pattern": "a".repeat(501)}), "p.pattern"),
            (json!({"type": "string", "pattern": "((a{100}){100}){100}"}), "p.pattern"),
            (json!({"type": "enum"}), "p.values"),
            (json!({"type": "list", "items": "list"}), "p.items"),
            (json!({"type": "integer", "minimum": 2, "maximum": 1}), "p.maximum"),
            (json!({"type": "integer", "default": "x"}), "p.default"),
            (json!({"type": "integer", "default": 1, "required": true}), "p.required"),
        ] {
            let refused = parameter(rules.clone()).check("p").unwrap_err();
            assert!(
                matches!(&refused, Problem::Invalid { field: at, .. } if at == field),
                "{rules}: {refused}"
            );
        }
    }
}
