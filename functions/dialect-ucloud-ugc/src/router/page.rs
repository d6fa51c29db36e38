//! A part of a list.

use crate::{
    asked::Parameters,
    faults::{Code, Fault},
};

/// The part of a list that is asked for by `Limit` and `Offset`.
pub struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    const MOST: i64 = 10_000;

    /// As the parameters have it: twenty from the first where they say nothing.
    pub fn of(asked: &Parameters) -> Result<Self, Fault> {
        let number = |name, standard| {
            let number = asked.number(name, Code::BadParameter)?.unwrap_or(standard);
            let outside = || Fault::new(Code::BadParameter, format!("{name}: {number}"));
            let number = Some(number).filter(|number| (0..=Page::MOST).contains(number));
            number.and_then(|number| usize::try_from(number).ok()).ok_or_else(outside)
        };
        Ok(Page { offset: number("Offset", 0)?, limit: number("Limit", 20)? })
    }

    /// Whether the `nth` of a list is on it, counted from 1.
    pub fn has(&self, nth: usize) -> bool {
        nth > self.offset && nth - self.offset <= self.limit
    }

    /// Those of all that are on it.
    pub fn take<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.offset).take(self.limit).collect()
    }
}
