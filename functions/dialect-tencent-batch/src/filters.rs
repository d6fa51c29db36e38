//! Filters and pages, as every listing of this API has them.

use std::collections::BTreeMap;

use crate::{faults::Fault, fields::Fields};

/// The most filters of one request.
const MOST_FILTERS: usize = 100;

/// The most values of one filter.
const MOST_VALUES: usize = 100;

/// What a filter by the value of one tag starts with.
const TAG: &str = "tag:";

/// Filters: all must admit; of the values of one, any will do.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// The parameter `Filters`, of these names; with `tag-key` go those of one
    /// tag.
    pub(crate) fn read(fields: &mut Fields, names: &[&str]) -> Result<Self, Fault> {
        let path = fields.path("Filters");
        let all = fields.objects("Filters")?;
        if all.len() > MOST_FILTERS {
            return Err(Fault::limit(&path, format!("{MOST_FILTERS} filters")));
        }
        let mut filters = Vec::with_capacity(all.len());
        for mut filter in all {
            let name = filter.said("Name")?;
            let values = filter.texts("Values")?;
            filter.end()?;
            let of_tag = names.contains(&"tag-key") && name.starts_with(TAG);
            if !of_tag && !names.contains(&name.as_str()) {
                let message = format!("`{path}`: `{name}` is not supported.");
                return Err(Fault::new("InvalidParameterValue.InvalidFilter", message));
            }
            if values.is_empty() {
                let message = format!("`{path}`: `{name}` has no values.");
                return Err(Fault::new("InvalidParameterValue.InvalidFilter", message));
            }
            if values.len() > MOST_VALUES {
                return Err(Fault::limit(&path, format!("{MOST_VALUES} values")));
            }
            filters.push((name, values));
        }
        Ok(Filters(filters))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of a filter, if it is there.
    pub(crate) fn of(&self, name: &str) -> Option<&[String]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, values)| values.as_slice())
    }

    /// Whether all filters but those of tags admit what has these values by
    /// name.
    pub(crate) fn admits(&self, value: impl Fn(&str) -> String) -> bool {
        let mut plain = self.0.iter().filter(|(name, _)| !name.starts_with("tag"));
        plain.all(|(name, values)| values.contains(&value(name)))
    }

    /// Whether the filters of tags admit what has these.
    pub(crate) fn admits_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, values)| match name.strip_prefix(TAG) {
            Some(key) => tags.get(key).is_some_and(|value| values.contains(value)),
            None if name == "tag-key" => values.iter().any(|key| tags.contains_key(key)),
            None if name == "tag-value" => tags.values().any(|value| values.contains(value)),
            None => true,
        })
    }
}

/// A part of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

/// `Offset` and `Limit`; without a limit, `standard`.
pub(crate) fn page(fields: &mut Fields, standard: u32, most: u32) -> Result<Page, Fault> {
    let offset = fields.count("Offset", u32::MAX)?.unwrap_or(0);
    let path = fields.path("Limit");
    let limit = fields.count("Limit", u32::MAX)?.unwrap_or(standard);
    if limit == 0 || limit > most {
        return Err(Fault::value(&path, format!("it is within 1 to {most}")));
    }
    let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Page { offset: place(offset), limit: place(limit) })
}

impl Page {
    /// The place after its last.
    pub(crate) fn end(self) -> usize {
        self.offset.saturating_add(self.limit)
    }

    /// That part of all.
    pub(crate) fn of<T>(self, all: &[T]) -> &[T] {
        let start = self.offset.min(all.len());
        let end = self.end().min(all.len());
        &all[start..end]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn filters_are_all_held_to_and_any_of_their_values_does() {
        let said = json!({ "Filters": [
            { "Name": "zone", "Values": ["a", "b"] },
            { "Name": "tag:team", "Values": ["x"] },
            { "Name": "tag-key", "Values": ["team", "other"] },
        ]});
        let filters = Filters::read(&mut Fields::of(said), &["zone", "tag-key"]).unwrap();
        assert!(filters.admits(|_| "b".into()));
        assert!(!filters.admits(|_| "c".into()));
        let tags = |value: &str| BTreeMap::from([("team".to_owned(), value.to_owned())]);
        assert!(filters.admits_tags(&tags("x")));
        assert!(!filters.admits_tags(&tags("y")));
        for bad in [json!({ "Name": "hue", "Values": ["a"] }), json!({ "Name": "zone" })] {
            let fault = Filters::read(&mut Fields::of(json!({ "Filters": [bad] })), &["zone"]);
            assert_eq!(fault.unwrap_err().code, "InvalidParameterValue.InvalidFilter");
        }
        let one = json!({ "Name": "zone", "Values": ["a"] });
        for many in [
            json!({ "Filters": [{ "Name": "zone", "Values": vec!["a"; 101] }] }),
            json!({ "Filters": vec![one; 101] }),
        ] {
            let fault = Filters::read(&mut Fields::of(many), &["zone"]).unwrap_err();
            assert_eq!(fault.code, "InvalidParameterValue.LimitExceeded");
        }
    }

    #[test]
    fn a_page_is_a_part_of_all() {
        let all: Vec<u32> = (0..5).collect();
        let part =
            |said: Value| page(&mut Fields::of(said), 2, 3).map(|page| page.of(&all).to_vec());
        assert_eq!(part(json!({})).unwrap(), [0, 1]);
        assert_eq!(part(json!({ "Offset": 4, "Limit": "3" })).unwrap(), [4]);
        assert_eq!(part(json!({ "Offset": 9 })).unwrap(), [0_u32; 0]);
        assert_eq!(part(json!({ "Limit": 4 })).unwrap_err().code, "InvalidParameterValue");
        assert_eq!(part(json!({ "Limit": 0 })).unwrap_err().code, "InvalidParameterValue");
        let negative = part(json!({ "Offset": -1 })).unwrap_err();
        assert_eq!(negative.code, "InvalidParameterValue.Negative");
    }
}
