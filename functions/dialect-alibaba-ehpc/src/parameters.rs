//! The parameters of a call, as its query and a form body have them.

use serde::de::DeserializeOwned;

use crate::faults::Fault;

/// Those that say who calls for what, and how the answer is to look.
const COMMON: [&str; 16] = [
    "Action",
    "Version",
    "Format",
    "AccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SignatureType",
    "SignatureNonce",
    "SecurityToken",
    "Timestamp",
    "RegionId",
    "OwnerId",
    "OwnerAccount",
    "ResourceOwnerId",
    "ResourceOwnerAccount",
];

/// Decoded pairs.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Parameters(pairs)
    }

    /// The pairs that are the action's own.
    pub fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        pairs.filter(|(name, _)| !COMMON.contains(name))
    }

    /// Refuses parameters other than these, and those whose names a list's name
    /// begins. A job that lacks what was asked for would be worse than none.
    pub fn only(&self, known: &[&str], lists: &[&str]) -> Result<(), Fault> {
        let base = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let is_known = |name: &str| known.contains(&name) || lists.contains(&base(name).as_str());
        match self.own().find(|(name, _)| !is_known(name)) {
            Some((name, _)) => Err(Fault::invalid(name, "there is no such parameter here")),
            None => Ok(()),
        }
    }

    /// A parameter's text; what is empty is not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::missing(name))
    }

    /// A whole number within bounds, both included.
    pub fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::invalid(name, format!("`{text}` is not within {least} to {most}"))),
        }
    }

    /// A number of any kind.
    pub fn decimal(&self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::invalid(name, format!("`{text}` is no number"))),
        }
    }

    /// `true` or `false`, as any language spells them.
    pub fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Fault::invalid(name, "it is true or false")),
        }
    }

    /// One of a few words, in any case; its place among them.
    pub fn word(&self, name: &str, words: &[&str]) -> Result<Option<usize>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            Some(place) => Ok(Some(place)),
            None => Err(Fault::invalid(name, format!("it is one of {}", words.join(", ")))),
        }
    }

    /// The values of `name.1`, `name.2` and so on, in that order.
    pub fn list(&self, name: &str, most: usize) -> Result<Vec<&str>, Fault> {
        let mut found = Vec::new();
        for (key, value) in &self.0 {
            let Some(place) = key.strip_prefix(name) else { continue };
            // Some who have but one leave the number out.
            let Some(place) = place.strip_prefix('.').or(place.is_empty().then_some("1")) else {
                continue;
            };
            let place: u32 = place.parse().ok().filter(|place| *place > 0).ok_or_else(|| {
                Fault::invalid(key, format!("the values are {name}.1, {name}.2 and so on"))
            })?;
            found.push((place, value.as_str()));
        }
        if found.len() > most {
            return Err(Fault::invalid(name, format!("there are at most {most}")));
        }
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// A value that is JSON text.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match serde_json::from_str(text) {
            Ok(value) => Ok(value),
            Err(error) => {
                let error = error.to_string();
                let why = error.split(" at line ").next().unwrap_or_default();
                Err(Fault::invalid(name, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn a_list_is_counted_from_one_in_whatever_order_it_comes() {
        let all = parameters(&[("Ids.2", "b"), ("Ids.10", "c"), ("Ids.1", "a"), ("Idsx.1", "no")]);
        assert_eq!(all.list("Ids", 3).unwrap(), ["a", "b", "c"]);
        assert!(all.list("Ids", 2).is_err());
        assert!(parameters(&[("Ids.0", "a")]).list("Ids", 3).is_err());
        assert!(parameters(&[("Ids.x", "a")]).list("Ids", 3).is_err());
        assert_eq!(parameters(&[("Ids", "a")]).list("Ids", 3).unwrap(), ["a"]);
    }

    #[test]
    fn flags_are_read_as_every_language_spells_them() {
        for (text, is_set) in [("True", true), ("true", true), ("False", false), ("", false)] {
            assert_eq!(parameters(&[("A", text)]).flag("A"), Ok(is_set));
        }
        assert!(parameters(&[("A", "yes")]).flag("A").is_err());
    }

    #[test]
    fn what_is_outside_of_its_bounds_is_named() {
        let fault = parameters(&[("PageSize", "51")]).number("PageSize", 1, 50).unwrap_err();
        assert_eq!(fault.code, "InvalidParams");
        assert!(fault.message.contains("PageSize") && fault.message.contains("1 to 50"));
        for text in ["0", "-1", "x", "1.5", "99999999999"] {
            assert!(parameters(&[("A", text)]).number("A", 1, 50).is_err(), "{text}");
        }
        assert!(parameters(&[("A", "NaN")]).decimal("A").is_err());
        assert!(parameters(&[("B", "1"), ("Format", "JSON")]).only(&["A"], &[]).is_err());
        let dotted = parameters(&[("A.1", "1"), ("Format", "JSON")]);
        assert!(dotted.only(&[], &["A"]).is_ok());
        assert!(dotted.only(&["A"], &[]).is_err(), "it would be read by nobody");
    }
}
