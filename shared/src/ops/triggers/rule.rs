//! What a trigger waits for.

use globset::{GlobBuilder, GlobMatcher};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    cron::Cron,
    event::{Event, ObjectCreated},
};
use crate::wire::{
    Problem,
    submit::{check_text, parse_name},
};

/// What a trigger waits for: one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// An object is written.
    Object(ObjectRule),
    /// A time comes.
    Schedule(ScheduleRule),
    /// An event is posted to `/v1/events`.
    Event(EventRule),
}

/// Objects of a bucket; of their keys, all that is said here holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRule {
    /// The bucket.
    pub bucket: String,
    /// What keys start with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What keys end with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// A pattern of the whole key, such as `in/**/*.jpg`: `*` and `?` stop at
    /// a slash, `**` does not; `[…]` and `{a,b}` work too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glob: Option<String>,
}

/// Times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRule {
    /// Minute, hour, day of the month, month, day of the week: `0 3 * * mon-fri`.
    pub cron: String,
    /// An IANA time zone, such as `Europe/Berlin`; UTC without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Events; all that is said here holds. `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// The event's `type`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The event's `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The event's `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Rule {
    /// Whether it can be kept at all.
    pub fn check(&self, now: Timestamp) -> Result<(), Problem> {
        match self {
            Rule::Object(rule) => rule.check(),
            Rule::Event(rule) => rule.check(),
            Rule::Schedule(rule) => {
                let (cron, zone) = rule.times()?;
                let never = || Problem::invalid("on.schedule.cron", "that time never comes");
                cron.next(now, &zone).map(|_| ()).ok_or_else(never)
            }
        }
    }
}

impl ObjectRule {
    fn check(&self) -> Result<(), Problem> {
        parse_name("on.object.bucket", &self.bucket)?;
        for (name, text) in [("prefix", &self.prefix), ("suffix", &self.suffix)] {
            if let Some(text) = text {
                check_text(&format!("on.object.{name}"), text, 900)?;
            }
        }
        if let Some(glob) = &self.glob {
            check_text("on.object.glob", glob, 900)?;
            pattern(glob).map_err(|why| Problem::invalid("on.object.glob", why))?;
        }
        Ok(())
    }

    /// Whether it is about the object.
    pub fn fits(&self, object: &ObjectCreated) -> bool {
        let key = object.key.as_str();
        self.bucket == object.bucket.as_str()
            && self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix))
            && self.glob.as_ref().is_none_or(|glob| pattern(glob).is_ok_and(|p| p.is_match(key)))
    }
}

fn pattern(glob: &str) -> Result<GlobMatcher, String> {
    let built = GlobBuilder::new(glob).literal_separator(true).build();
    built
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("it is no pattern: {}", error.kind()))
}

impl ScheduleRule {
    /// The expression, and where it is meant.
    pub fn times(&self) -> Result<(Cron, TimeZone), Problem> {
        let cron = self.cron.parse::<Cron>();
        let cron = cron.map_err(|error| Problem::invalid("on.schedule.cron", error.to_string()))?;
        let zone = match &self.time_zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                let rule = "it is no time zone of the IANA database, such as `Europe/Berlin`";
                Problem::invalid("on.schedule.time_zone", rule)
            })?,
        };
        Ok((cron, zone))
    }
}

impl EventRule {
    fn rules(&self) -> [(&'static str, &Option<String>); 3] {
        [("type", &self.kind), ("source", &self.source), ("subject", &self.subject)]
    }

    fn check(&self) -> Result<(), Problem> {
        if self.rules().iter().all(|(_, rule)| rule.is_none()) {
            let rule = "it says at least one of `type`, `source` and `subject`";
            return Err(Problem::invalid("on.event", rule));
        }
        for (name, rule) in self.rules() {
            if let Some(rule) = rule {
                check_text(&format!("on.event.{name}"), rule, 1_024)?;
            }
        }
        Ok(())
    }

    /// Whether it is about the event.
    pub fn fits(&self, event: &Event) -> bool {
        let fits = |(name, rule): (&str, &Option<String>)| {
            rule.as_ref().is_none_or(|rule| is_like(rule, event.text(name)))
        };
        self.rules().into_iter().all(fits)
    }
}

/// Whether the text is as the rule says, whose `*` stand for anything.
fn is_like(rule: &str, text: &str) -> bool {
    let Some((start, rest)) = rule.split_once('*') else { return rule == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The first place is as good as any: what follows has the more room.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (rule, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("**x", "ax", true),
        ] {
            assert_eq!(is_like(rule, text), fits, "{text} like {rule}");
        }
    }
}
