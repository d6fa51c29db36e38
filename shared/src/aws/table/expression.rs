//! Expressions of DynamoDB's, whose names and values are handed in apart.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// The names and values that expressions speak of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Terms {
    /// How an expression calls the attribute: its own name may be a reserved word.
    pub(super) fn name(&mut self, attribute: &str) -> String {
        let name = format!("#{attribute}");
        self.names.entry(name.clone()).or_insert_with(|| attribute.to_owned());
        name
    }

    /// How an expression calls the value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        let name = format!(":{}", self.values.len());
        self.values.insert(name.clone(), value);
        name
    }

    /// DynamoDB takes none rather than an empty one.
    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.clone()).filter(|names| !names.is_empty())
    }

    /// The same of values.
    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }
}
