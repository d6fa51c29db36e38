//! Tables and amounts, as people read them.

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

/// Rows under headings, each column as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        Table { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// Whether there are headings only.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table's text, a line a row.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text without characters that would steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Text of at most `most` characters.
pub fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// An amount of bytes: `512 B`, `1.5 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A length of time: `0.3s`, `42s`, `3m12s`, `2h05m`, `4d06h`.
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn span(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1_000;
    match seconds {
        0..10 => format!("{:.1}s", millis as f64 / 1_000.0),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The time between two moments.
pub fn between(from: Timestamp, to: Timestamp) -> String {
    span(to.as_millisecond() - from.as_millisecond())
}

/// How long ago: `just now`, `5m ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(&["ID", "NAME", "STATE"]);
        table.row(["1".into(), "short".into(), "queued".into()]);
        table.row(["22".into(), "写真".into(), String::new()]);
        assert_eq!(table.render(), "ID  NAME   STATE\n1   short  queued\n22  写真\n");
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal_nor_break_the_line() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[31m\nb".into()]);
        assert_eq!(table.render().lines().count(), 2);
        assert!(!table.render().contains('\u{1b}'));
    }

    #[test]
    fn amounts_are_told_in_the_unit_that_fits() {
        for (count, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_536, "1.5 KiB"),
            (2 << 30, "2.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (millis, text) in [
            (-5, "0.0s"),
            (340, "0.3s"),
            (42_000, "42s"),
            (192_000, "3m12s"),
            (7_500_000, "2h05m"),
            (367_200_000, "4d06h"),
        ] {
            assert_eq!(span(millis), text);
        }
    }

    #[test]
    fn long_text_is_cut_with_a_sign_of_it() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("abcd", 3), "ab…");
    }

    #[test]
    fn the_past_is_told_from_now() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(ago(at(100), at(101)), "just now");
        assert_eq!(ago(at(100), at(130)), "30s ago");
        assert_eq!(ago(at(0), at(7_300)), "2h ago");
        assert_eq!(ago(at(200), at(100)), "just now");
    }
}
