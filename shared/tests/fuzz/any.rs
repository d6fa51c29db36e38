//! Anything that could be sent: bytes, texts, JSON, and what is nearly right.

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Map, Number, Value};
use shared::wire::Problem;

/// Text of characters that mean something to one parser or another.
pub fn text() -> impl Strategy<Value = String> {
    const SIGNS: &[char] = &[
        'a', 'Z', '0', '9', '/', '.', ':', '@', '-', '_', '%', '+', '&', '=', ' ', '*', '?', '[',
        ']', '{', '}', '$', ',', ';', '"', '\\', '\0', '\n', 'ä', '\u{202e}', '😀',
    ];
    prop_oneof![
        4 => vec(select(SIGNS), 0..40).prop_map(|signs| signs.into_iter().collect()),
        1 => any::<String>(),
        1 => (select(SIGNS), 0..3_000_usize).prop_map(|(sign, n)| sign.to_string().repeat(n)),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        (-3..70_000_i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::Number)),
    ]
}

/// Any JSON, not very deep.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(text(), inner, 0..6).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// A change of one place of a value.
#[derive(Clone, Debug)]
pub enum Change {
    /// Something else is there.
    To(Value),
    /// It is not there.
    Gone,
    /// Something is beside it.
    Beside(String, Value),
}

fn change() -> impl Strategy<Value = (Vec<Index>, Change)> {
    let change = prop_oneof![
        3 => json().prop_map(Change::To),
        1 => Just(Change::Gone),
        1 => (text(), json()).prop_map(|(name, value)| Change::Beside(name, value)),
    ];
    (vec(any::<Index>(), 1..6), change)
}

/// What is nearly `good`: up to a few places are otherwise.
pub fn nearly(good: Value) -> impl Strategy<Value = Value> {
    vec(change(), 0..4).prop_map(move |changes| {
        let mut value = good.clone();
        for (way, change) in changes {
            apply(&mut value, &way, change);
        }
        value
    })
}

fn apply(value: &mut Value, way: &[Index], change: Change) {
    let Some((first, rest)) = way.split_first() else {
        if let Change::To(to) = change {
            *value = to;
        }
        return;
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(first.index(fields.len())).unwrap().clone();
            within(fields, &name, rest, change);
        }
        Value::Array(items) if !items.is_empty() => {
            let place = first.index(items.len());
            if rest.is_empty() && matches!(change, Change::Gone) {
                items.remove(place);
            } else {
                apply(&mut items[place], rest, change);
            }
        }
        _ => apply(value, &[], change),
    }
}

fn within(fields: &mut Map<String, Value>, name: &str, rest: &[Index], change: Change) {
    match (rest, change) {
        ([], Change::Gone) => drop(fields.remove(name)),
        ([], Change::Beside(other, value)) => drop(fields.insert(other, value)),
        (rest, change) => {
            if let Some(value) = fields.get_mut(name) {
                apply(value, rest, change);
            }
        }
    }
}

/// Bytes that are nearly those of a text.
pub fn nearly_text(good: String) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), any::<u8>(), any::<bool>()), 0..5);
    edits.prop_map(move |edits| {
        let mut bytes = good.clone().into_bytes();
        for (place, byte, over) in edits {
            let place = place.index(bytes.len() + 1);
            match bytes.get_mut(place) {
                Some(there) if over => *there = byte,
                _ => bytes.insert(place, byte),
            }
        }
        bytes
    })
}

/// Whether that is the sender's fault, and told as such.
pub fn is_refused(problem: &Problem) -> bool {
    problem.status().is_client_error()
}
