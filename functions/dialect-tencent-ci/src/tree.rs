//! What goes over the wire, as a tree of named values: XML both ways, and JSON
//! for the callbacks that want it.
//!
//! No element has attributes or a namespace: the vendor's clients would see
//! other names. What says something in one would be lost, and is refused.

use std::collections::HashMap;

use quick_xml::{
    Reader,
    escape::{partial_escape, resolve_predefined_entity},
    events::{BytesRef, BytesStart, Event},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use shared::wire::{Problem, fit_for_xml, is_xml};

/// How deep elements may be in each other.
const DEEPEST: usize = 32;

/// The value of an element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text; empty for an empty element.
    Text(String),
    /// A number, which is text in XML.
    Number(u64),
    /// True or false, which is text in XML.
    Truth(bool),
    /// Elements in it.
    Fields(Fields),
    /// Several elements of one name: a list of it in JSON, whatever their
    /// number.
    Several(Vec<Fields>),
}

/// Named values in their order; a name may come several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Value)>);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Truth(truth)
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Value::Fields(fields)
    }
}

impl From<Vec<Fields>> for Value {
    fn from(several: Vec<Fields>) -> Self {
        Value::Several(several)
    }
}

impl Fields {
    /// None.
    pub fn new() -> Self {
        Fields::default()
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// These and one more, if there is one.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// These and others behind them.
    #[must_use]
    pub fn and(mut self, more: Fields) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Those whose names pass.
    #[must_use]
    pub fn only(&self, passes: impl Fn(&str) -> bool) -> Self {
        Fields(self.0.iter().filter(|(name, _)| passes(name)).cloned().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value of a name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of a name, without what surrounds it; none of an empty one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            Value::Number(_) | Value::Truth(_) | Value::Fields(_) | Value::Several(_) => None,
        }
    }

    /// Every text of a name.
    pub fn texts<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).filter_map(|(_, value)| match value {
            Value::Text(text) => Some(text.trim()),
            Value::Number(_) | Value::Truth(_) | Value::Fields(_) | Value::Several(_) => None,
        })
    }

    /// What is in the first element of a name; none of an empty one.
    pub fn fields(&self, name: &str) -> Option<&Fields> {
        self.0.iter().filter(|(key, _)| key == name).find_map(|(_, value)| match value {
            Value::Fields(fields) => Some(fields),
            Value::Text(_) | Value::Number(_) | Value::Truth(_) | Value::Several(_) => None,
        })
    }

    /// What is in each element of a name.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Fields> {
        self.0.iter().filter(move |(key, _)| key == name).filter_map(|(_, value)| match value {
            Value::Fields(fields) => Some(fields),
            Value::Text(_) | Value::Number(_) | Value::Truth(_) | Value::Several(_) => None,
        })
    }

    /// The document with these in an element of this name.
    pub fn xml(&self, root: &str) -> String {
        let mut out = String::new();
        elements(&mut out, root, self);
        out
    }

    /// What is in the root element of a document, if it has this name.
    pub fn read(root: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            Problem::Malformed(format!("it is not UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        match parsed(text)? {
            (name, Value::Fields(fields)) if name == root => Ok(fields),
            (name, Value::Text(text)) if name == root && text.is_empty() => Ok(Fields::new()),
            (name, _) if name == root => Err(malformed("there is text where elements belong")),
            (name, _) => Err(malformed(&format!("its root is `{name}`, not `{root}`"))),
        }
    }
}

/// As an object; what has one name several times, as a list.
impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut named: Vec<(&str, Vec<&Value>)> = Vec::new();
        for (name, value) in &self.0 {
            let place = *places.entry(name.as_str()).or_insert(named.len());
            match named.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => named.push((name.as_str(), vec![value])),
            }
        }
        let mut map = out.serialize_map(Some(named.len()))?;
        for (name, values) in named {
            match &values[..] {
                [one] => map.serialize_entry(name, one)?,
                several => map.serialize_entry(name, several)?,
            }
        }
        map.end()
    }
}

fn element(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Several(several) => {
            for fields in several {
                elements(out, name, fields);
            }
        }
        Value::Text(text) if text.is_empty() => out.extend(["<", name, "/>"]),
        Value::Text(text) => {
            let fit = fit_for_xml(text);
            let fit = partial_escape(fit.as_ref());
            out.extend(["<", name, ">", fit.as_ref(), "</", name, ">"]);
        }
        Value::Truth(truth) => element(out, name, &Value::Text(truth.to_string())),
        Value::Number(number) => element(out, name, &Value::Text(number.to_string())),
        Value::Fields(fields) => elements(out, name, fields),
    }
}

/// An element with these in it.
fn elements(out: &mut String, name: &str, Fields(fields): &Fields) {
    if fields.is_empty() {
        out.extend(["<", name, "/>"]);
        return;
    }
    out.extend(["<", name, ">"]);
    for (name, value) in fields {
        element(out, name, value);
    }
    out.extend(["</", name, ">"]);
}

fn malformed(why: &str) -> Problem {
    Problem::Malformed(why.to_owned())
}

/// An element that is not at its end yet.
struct Open {
    name: String,
    fields: Fields,
    text: String,
}

impl Open {
    fn new(start: &BytesStart<'_>) -> Result<Self, Problem> {
        let name = start.name();
        let name = name.as_ref();
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|error| malformed(&format!("it is not XML: {error}")))?;
            let said = attribute.key.as_ref();
            // What namespaces there are, and how text is to be taken, says nothing here.
            if said != "xmlns" && !["xmlns:", "xml:"].iter().any(|it| said.starts_with(it)) {
                let (name, said) = (name.escape_debug(), said.escape_debug());
                return Err(malformed(&format!(
                    "`{name}` has the attribute `{said}`: none is known"
                )));
            }
        }
        // It may be shown again: no name that would break the document then.
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            let name = name.escape_debug();
            return Err(malformed(&format!("`{name}` is no name of an element here")));
        }
        Ok(Open { name: name.to_owned(), fields: Fields::new(), text: String::new() })
    }

    fn value(self) -> Result<(String, Value), Problem> {
        let Open { name, fields, text } = self;
        match (fields.is_empty(), text.trim().is_empty()) {
            (true, true) => Ok((name, Value::Text(String::new()))),
            (true, false) => Ok((name, Value::Text(text))),
            (false, true) => Ok((name, Value::Fields(fields))),
            (false, false) => Err(malformed(&format!("`{name}` has text between its elements"))),
        }
    }
}

/// The root element of a document, and its value.
fn parsed(text: &str) -> Result<(String, Value), Problem> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut root): (Vec<Open>, Option<(String, Value)>) = (Vec::new(), None);
    loop {
        let event = reader.read_event().map_err(|error| {
            malformed(&format!("it is not XML at byte {}: {error}", reader.error_position()))
        })?;
        let closed = match event {
            Event::Start(start) => {
                if root.is_some() || open.len() == DEEPEST {
                    return Err(malformed("its elements are too deep, or it has several roots"));
                }
                open.push(Open::new(&start)?);
                None
            }
            Event::Empty(start) => Some(Open::new(&start)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                push(&mut open, &text.xml10_content())?;
                None
            }
            Event::CData(text) => {
                push(&mut open, &text.xml10_content())?;
                None
            }
            Event::GeneralRef(entity) => {
                push(&mut open, &resolved(&entity)?)?;
                None
            }
            Event::DocType(_) => return Err(malformed("it declares a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
            Event::Eof => break,
        };
        let Some(closed) = closed else { continue };
        let (name, value) = closed.value()?;
        match open.last_mut() {
            Some(parent) => parent.fields.0.push((name, value)),
            None if root.is_none() => root = Some((name, value)),
            None => return Err(malformed("it has several roots")),
        }
    }
    match root {
        Some(root) if open.is_empty() => Ok(root),
        _ => Err(malformed("it breaks off before its end")),
    }
}

fn push(open: &mut [Open], text: &str) -> Result<(), Problem> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(malformed("there is text outside of its root")),
    }
    Ok(())
}

fn resolved(entity: &BytesRef<'_>) -> Result<String, Problem> {
    let unknown = || malformed(&format!("it has no entity `{}`", entity.escape_debug()));
    match entity.resolve_char_ref() {
        Ok(Some(c)) if is_xml(c) => Ok(c.to_string()),
        Ok(None) => resolve_predefined_entity(entity).map(str::to_owned).ok_or_else(unknown),
        Ok(Some(_)) | Err(_) => Err(unknown()),
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
