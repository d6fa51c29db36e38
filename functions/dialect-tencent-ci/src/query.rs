//! What a query says.

use crate::{faults::Fault, tree::Fields};

/// A parameter; an empty one is none.
pub fn parameter<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    let found = query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    found.filter(|value| !value.is_empty())
}

/// A page by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// The page that is asked for; the first, of ten, unless it is said.
    pub fn of(query: &[(String, String)]) -> Result<Self, Fault> {
        let number = within(query, "pageNumber", 1, 1_000_000)?;
        Ok(Page { number, size: within(query, "pageSize", 10, 100)? })
    }

    /// What of all is on it.
    pub fn on<T>(self, all: Vec<T>) -> impl Iterator<Item = T> {
        all.into_iter().skip((self.number - 1) * self.size).take(self.size)
    }

    /// How an answer says which it is, of so many things in all.
    pub fn said(self, answer: Fields, total: usize) -> Fields {
        let text = |number: usize| number.to_string();
        answer
            .with("TotalCount", text(total))
            .with("PageNumber", text(self.number))
            .with("PageSize", text(self.size))
    }
}

/// A number from 1 to `most`.
pub fn within(
    query: &[(String, String)],
    name: &str,
    standard: usize,
    most: usize,
) -> Result<usize, Fault> {
    let Some(text) = parameter(query, name) else { return Ok(standard) };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Fault::argument(name, &format!("it is a number from 1 to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_is_none() {
        let query = [("a", ""), ("pageNumber", "2"), ("pageSize", "")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((parameter(&query, "a"), parameter(&query, "b")), (None, None));
        let page = Page::of(&query).unwrap();
        assert_eq!(page, Page { number: 2, size: 10 });
        assert_eq!(page.on((0..25).collect()).collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
        for wrong in ["0", "x", "-1", "101"] {
            let query = [("pageSize".to_owned(), wrong.to_owned())];
            assert_eq!(Page::of(&query).unwrap_err().code, "InvalidArgument", "{wrong}");
        }
    }
}
