//! Schedules: a cron expression in a time zone. Pure.
//!
//! Five fields: minute, hour, day of the month, month, day of the week (0 and 7
//! are Sunday), each of `*`, numbers, ranges, steps and lists; months and days
//! also by their English names. Where both kinds of day are restricted, either
//! will do, as in every cron. `@hourly` and the like work too.
//!
//! When clocks change: a schedule of certain hours comes once a day for each,
//! at the first instant after a gap if its own time is in it, and the first
//! time of two that are the same. One of every hour goes on by the minute.

use std::{fmt, str::FromStr};

use jiff::{
    SignedDuration, Timestamp, ToSpan, civil,
    tz::{AmbiguousOffset, TimeZone},
};

/// Days that are looked ahead: the 29th of February may be eight years off.
const DAYS: usize = 366 * 9;

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCron(String);

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the days of the month, or of the week, are any.
    any_day: bool,
    any_weekday: bool,
}

struct Field {
    what: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { what: "minute", least: 0, most: 59, names: &[] },
    Field { what: "hour", least: 0, most: 23, names: &[] },
    Field { what: "day of the month", least: 1, most: 31, names: &[] },
    Field { what: "month", least: 1, most: 12, names: &MONTHS },
    Field { what: "day of the week", least: 0, most: 7, names: &WEEKDAYS },
];

impl FromStr for Cron {
    type Err = BadCron;

    fn from_str(text: &str) -> Result<Self, BadCron> {
        let spelled = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let words: Vec<&str> = spelled.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words[..] else {
            return Err(BadCron(format!(
                "it has {} fields, not the five of a crontab",
                words.len()
            )));
        };
        let of = |place: usize, word: &str| FIELDS[place].read(word);
        let mut cron = Cron {
            text: text.trim().to_owned(),
            minutes: of(0, minutes)?,
            hours: of(1, hours)?,
            days: of(2, days)?,
            months: of(3, months)?,
            weekdays: of(4, weekdays)?,
            any_day: days.starts_with('*'),
            any_weekday: weekdays.starts_with('*'),
        };
        cron.weekdays |= cron.weekdays >> 7 & 1;
        Ok(cron)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    fn read(&self, word: &str) -> Result<u64, BadCron> {
        let mut set = 0;
        for part in word.split(',') {
            set |= self.part(part).ok_or_else(|| {
                let Field { what, least, most, .. } = self;
                let part: String = part.chars().take(40).collect();
                BadCron(format!("`{part}` is no {what}: it is {least} to {most}, `*`, a range, or those with `/` and a step"))
            })?;
        }
        Ok(set)
    }

    fn part(&self, part: &str) -> Option<u64> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = if range == "*" {
            (self.least, self.most)
        } else if let Some((first, last)) = range.split_once('-') {
            (self.value(first)?, self.value(last)?)
        } else {
            let only = self.value(range)?;
            // `5/15`: from there on.
            (only, if step.is_some() { self.most } else { only })
        };
        let all = (first..=last).step_by(step.unwrap_or(1).into());
        (first <= last).then(|| all.fold(0, |set, value| set | 1 << value))
    }

    fn value(&self, word: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let value = match named {
            Some(place) => u8::try_from(place).ok()? + self.least,
            None => number(word)?,
        };
        (self.least..=self.most).contains(&value).then_some(value)
    }
}

fn number(word: &str) -> Option<u8> {
    (!word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok())?
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set >> value & 1 == 1)
}

impl Cron {
    /// The first time after `after`; `None` if it never comes.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = zone.to_datetime(after).date();
        let mut days = start.series(1.day()).take(DAYS).filter(|day| self.has_day(*day));
        if self.hours == (1 << 24) - 1 {
            days.find_map(|day| self.by_the_minute(day, after, zone))
        } else {
            days.find_map(|day| self.by_the_clock(day, after, zone))
        }
    }

    /// The last time that is not after `now`, and not before `since`.
    pub fn last(&self, since: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Few steps, however long ago it was and however often it comes.
        for hours in [1, 26, 24 * 32, 24 * 367, 24 * 366 * 9] {
            let from = now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
            let from = from.max(since.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(since));
            let mut last = self.next(from, zone).filter(|first| *first <= now);
            while let Some(next) = last.and_then(|last| self.next(last, zone)).filter(|n| *n <= now)
            {
                last = Some(next);
            }
            if last.is_some() || from < since {
                return last;
            }
        }
        None
    }

    fn has_day(&self, day: civil::Date) -> bool {
        let in_month = has(self.days, day.day());
        let in_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let fits = match (self.any_day, self.any_weekday) {
            (false, false) => in_month || in_week,
            _ => in_month && in_week,
        };
        fits && has(self.months, day.month())
    }

    /// Every minute that passes on that day, whatever clocks do.
    fn by_the_minute(
        &self,
        day: civil::Date,
        after: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let midnight = instant(day.at(0, 0, 0, 0), zone)?;
        let second = i64::from(zone.to_datetime(after).second());
        let fraction = i64::from(after.subsec_nanosecond());
        let minute = SignedDuration::from_secs(60);
        let this = after - SignedDuration::from_secs(second) - SignedDuration::from_nanos(fraction);
        let mut at = midnight.max(this.checked_add(minute).ok()?);
        loop {
            let there = zone.to_datetime(at);
            if there.date() != day {
                return None;
            }
            if at > after && has(self.minutes, there.minute()) && has(self.hours, there.hour()) {
                return Some(at);
            }
            at = at.checked_add(minute).ok()?;
        }
    }

    /// The hours and minutes of that day, each once.
    fn by_the_clock(
        &self,
        day: civil::Date,
        after: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let hours = (0..24).filter(|hour| has(self.hours, *hour));
        let mut times = hours.flat_map(|hour| {
            (0..60).filter(|minute| has(self.minutes, *minute)).map(move |minute| (hour, minute))
        });
        times.find_map(|(hour, minute)| {
            instant(day.at(hour, minute, 0, 0), zone).filter(|at| *at > after)
        })
    }
}

/// When clocks there show `time`: the first instant after a gap that it is in,
/// the first of two that are the same.
fn instant(time: civil::DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let there = zone.to_ambiguous_timestamp(time);
    match there.offset() {
        AmbiguousOffset::Gap { .. } => {
            let beyond = there.later().ok()?;
            // A change that comes at that instant does not precede it.
            let beyond = beyond.checked_add(SignedDuration::from_nanos(1)).ok()?;
            Some(zone.preceding(beyond).next()?.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => there.earlier().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (cron.parse::<Cron>().unwrap(), TimeZone::get(zone).unwrap());
        let from: Timestamp = from.parse().unwrap();
        let next = |at: &Timestamp| cron.next(*at, &zone);
        let all = std::iter::successors(next(&from), next).take(count);
        all.map(|at| at.to_string()).collect()
    }

    #[test]
    fn the_next_time_is_what_the_five_fields_say() {
        let from = "2026-01-30T10:07:30Z";
        for (cron, expected) in [
            ("* * * * *", "2026-01-30T10:08:00Z"),
            ("*/15 * * * *", "2026-01-30T10:15:00Z"),
            ("5/20 * * * *", "2026-01-30T10:25:00Z"),
            ("7 10 * * *", "2026-01-31T10:07:00Z"),
            ("0 9-17/4 * * *", "2026-01-30T13:00:00Z"),
            ("0 0 1,15 * *", "2026-02-01T00:00:00Z"),
            ("0 0 * FEB mon", "2026-02-02T00:00:00Z"),
            ("0 0 * * 7", "2026-02-01T00:00:00Z"),
            // Either kind of day.
            ("0 0 13 * fri", "2026-02-06T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(times(cron, "UTC", from, 1), [expected], "{cron}");
        }
        assert_eq!(times("0 0 30 2 *", "UTC", from, 1), [""; 0]);
    }

    #[test]
    fn a_time_in_a_gap_comes_at_its_end_and_once() {
        // In Berlin there is no 02:00 to 03:00 on the 29th of March 2026.
        let seen = times("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
        assert_eq!(seen, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let seen = times("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
        assert_eq!(seen, ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"]);
        let seen = times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3);
        assert_eq!(seen, ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]);
    }

    #[test]
    fn a_time_that_there_is_twice_comes_once_unless_every_hour_is_meant() {
        // On the 25th of October 2026, 02:00 to 03:00 passes twice.
        let seen = times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(seen, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let seen = times("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3);
        assert_eq!(seen, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]);
    }

    #[test]
    fn the_last_time_is_found_however_long_ago_it_was() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-03-01T12:00:30Z");
        for (cron, since, expected) in [
            ("* * * * *", "2020-01-01T00:00:00Z", Some("2026-03-01T12:00:00Z")),
            ("0 9 * * *", "2020-01-01T00:00:00Z", Some("2026-03-01T09:00:00Z")),
            ("0 0 29 2 *", "2020-01-01T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("0 0 29 2 *", "2025-01-01T00:00:00Z", None),
            ("0 9 * * *", "2026-03-01T09:00:00Z", Some("2026-03-01T09:00:00Z")),
            ("0 9 * * *", "2026-03-01T09:00:01Z", None),
        ] {
            let cron: Cron = cron.parse().unwrap();
            assert_eq!(cron.last(at(since), now, &TimeZone::UTC), expected.map(at), "{cron}");
        }
    }

    #[test]
    fn what_is_no_cron_expression_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "1, * * * *",
            "+1 * * * *",
            "@reboot",
            "* * L * *",
            "-1 * * * *",
            "1-2-3 * * * *",
            "1/2/3 * * * *",
        ] {
            assert!(text.parse::<Cron>().is_err(), "{text}");
        }
    }

    fn zones() -> impl Strategy<Value = TimeZone> {
        let names = [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kolkata",
            "America/St_Johns",
        ];
        prop::sample::select(names.to_vec()).prop_map(|name| TimeZone::get(name).unwrap())
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", spelled in "[*0-9,/-]{1,6}( [*0-9,/-]{1,6}){4}") {
            let _ = (text.parse::<Cron>(), spelled.parse::<Cron>());
        }

        #[test]
        fn the_next_time_is_strictly_later_and_nothing_that_fits_is_passed_over(
            minute in "(\\*|[0-9]|[1-5][0-9]|\\*/[1-9])",
            hour in "(\\*|[0-9]|1[0-9]|\\*/[1-9]|1-4)",
            weekday in "(\\*|[0-6])",
            second in 1_700_000_000_i64..1_900_000_000,
            zone in zones(),
        ) {
            let cron: Cron = format!("{minute} {hour} * * {weekday}").parse().unwrap();
            let after = Timestamp::from_second(second).unwrap();
            let next = cron.next(after, &zone).unwrap();
            prop_assert!(next > after);
            // What is found from just before it is the same.
            let before = next - SignedDuration::from_nanos(1);
            prop_assert_eq!(cron.next(before, &zone), Some(next));
            let midway = after + next.duration_since(after) / 2;
            prop_assert_eq!(cron.next(midway, &zone), Some(next));
            prop_assert_eq!(cron.last(after, next, &zone), Some(next));
        }
    }
}
