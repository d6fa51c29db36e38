//! The rules: a pipeline of operations in `imageMogr2/…` notation.

use std::str::FromStr;

use crate::{
    blur::Blur,
    crop::{Crop, Gravity, Place, offset},
    number::whole,
    picture::Format,
    problem::BadRule,
    thumbnail::Thumbnail,
};

/// What is to be done with a picture, and how the result is to be written.
///
/// Operations happen in the order in which they are written. How the result
/// is written is said about the one result there is, wherever it is said.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) steps: Vec<Step>,
    pub(crate) format: Option<Format>,
    pub(crate) quality: Quality,
    pub(crate) strip: bool,
}

/// An operation, with the text that it was read from for messages.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) written: String,
    pub(crate) operation: Operation,
}

/// One change of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operation {
    AutoOrient,
    /// Clockwise, in degrees.
    Rotate(u32),
    FlipHorizontal,
    FlipVertical,
    Thumbnail(Thumbnail),
    Crop(Crop),
    Blur(Blur),
}

/// The quality that a JPEG result is asked to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quality {
    pub(crate) wish: Wish,
    pub(crate) lowest: Option<u8>,
}

/// Quality in relation to the original's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    #[default]
    AsOriginal,
    AtMost(u8),
    Exactly(u8),
    Percent(u8),
}

/// What a word of the notation means.
#[derive(Clone, Copy)]
enum Word {
    /// An operation that needs no value.
    Bare(Operation),
    /// An operation, read from its value and the place of this rule's crops.
    Valued(fn(&str, Place) -> Result<Operation, String>),
    /// Says where this rule's crops lie.
    Places(fn(&str, &mut Place) -> Result<(), String>),
    /// Says how the result is written.
    Writes(fn(&str, &mut Rules) -> Result<(), String>),
    /// Says, without a value, that the result is written without metadata.
    Strips,
}

const WORDS: [(&str, Word); 15] = [
    ("auto-orient", Word::Bare(Operation::AutoOrient)),
    ("rotate", Word::Valued(|value, _| whole("angle", value, 0..=360).map(Operation::Rotate))),
    ("flip", Word::Valued(|value, _| flip(value))),
    ("thumbnail", Word::Valued(|value, _| Thumbnail::parse(value).map(Operation::Thumbnail))),
    ("crop", Word::Valued(|value, place| Crop::parse(value, place).map(Operation::Crop))),
    (
        "gravity",
        Word::Places(|value, place| Gravity::parse(value).map(|read| place.gravity = read)),
    ),
    ("dx", Word::Places(|value, place| offset("offset", value).map(|read| place.dx = read))),
    ("dy", Word::Places(|value, place| offset("offset", value).map(|read| place.dy = read))),
    ("cut", Word::Valued(|value, _| Crop::parse_cut(value).map(Operation::Crop))),
    ("blur", Word::Valued(|value, _| Blur::parse(value).map(Operation::Blur))),
    (
        "format",
        Word::Writes(|value, rules| Format::parse(value).map(|read| rules.format = Some(read))),
    ),
    ("quality", Word::Writes(|value, rules| quality(value).map(|read| rules.quality.wish = read))),
    (
        "rquality",
        Word::Writes(|value, rules| relative(value).map(|read| rules.quality.wish = read)),
    ),
    (
        "lquality",
        Word::Writes(|value, rules| percent(value).map(|read| rules.quality.lowest = Some(read))),
    ),
    ("strip", Word::Strips),
];

/// A word of a rule, with the value that follows it.
struct Part<'a> {
    word: Word,
    value: &'a str,
    written: String,
}

impl FromStr for Rules {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let mut rules = Self::default();
        for rule in text.split('|') {
            rules.read(rule)?;
        }
        Ok(rules)
    }
}

impl Rules {
    /// Adds one rule of the pipeline.
    fn read(&mut self, rule: &str) -> Result<(), BadRule> {
        let parts = parts(rule)?;
        let place = place(&parts)?;
        for part in parts {
            match part.word {
                Word::Bare(operation) => self.steps.push(part.step(operation)),
                Word::Valued(read) => {
                    let operation = read(part.value, place).map_err(|wrong| part.bad(wrong))?;
                    self.steps.push(part.step(operation));
                }
                Word::Places(_) => {}
                Word::Writes(read) => read(part.value, self).map_err(|wrong| part.bad(wrong))?,
                Word::Strips => self.strip = true,
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    fn step(&self, operation: Operation) -> Step {
        Step { written: self.written.clone(), operation }
    }

    /// Whether it is a crop that does not name its own place.
    fn is_placeable(&self) -> bool {
        self.written.starts_with("crop/") && !self.value.starts_with('!')
    }

    fn bad(&self, wrong: impl Into<String>) -> BadRule {
        BadRule::new(&self.written, wrong)
    }
}

/// Takes a rule apart at its slashes.
fn parts(rule: &str) -> Result<Vec<Part<'_>>, BadRule> {
    let mut pieces = rule.strip_prefix("imageMogr2/").unwrap_or(rule).split('/');
    let mut parts = Vec::new();
    while let Some(name) = pieces.next() {
        let word = word(name)?;
        let (value, written) = match word {
            Word::Bare(_) | Word::Strips => ("", name.to_owned()),
            Word::Valued(_) | Word::Places(_) | Word::Writes(_) => {
                let value = pieces.next().filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| BadRule::new(name, "its value is missing"))?;
                (value, format!("{name}/{value}"))
            }
        };
        parts.push(Part { word, value, written });
    }
    Ok(parts)
}

fn word(name: &str) -> Result<Word, BadRule> {
    let known = WORDS.iter().find(|(known, _)| *known == name);
    known.map(|(_, word)| *word).ok_or_else(|| {
        let names: Vec<_> = WORDS.iter().map(|(name, _)| *name).collect();
        BadRule::new(name, format!("there is no such operation, allowed are {}", names.join(" ")))
    })
}

/// Where the crops of a rule lie. It may be said before or after them, because
/// the two traditions of the notation differ in that.
fn place(parts: &[Part]) -> Result<Place, BadRule> {
    let mut place = Place::default();
    let placeable = parts.iter().any(Part::is_placeable);
    for part in parts {
        if let Word::Places(read) = part.word {
            if !placeable {
                return Err(part.bad("it places a crop, and this rule has none to place"));
            }
            read(part.value, &mut place).map_err(|wrong| part.bad(wrong))?;
        }
    }
    Ok(place)
}

fn flip(axis: &str) -> Result<Operation, String> {
    match axis {
        "horizontal" => Ok(Operation::FlipHorizontal),
        "vertical" => Ok(Operation::FlipVertical),
        _ => Err("there is no such axis, allowed are horizontal and vertical".to_owned()),
    }
}

fn quality(text: &str) -> Result<Wish, String> {
    match text.strip_suffix('!') {
        Some(forced) => percent(forced).map(Wish::Exactly),
        None => percent(text).map(Wish::AtMost),
    }
}

fn relative(text: &str) -> Result<Wish, String> {
    percent(text).map(Wish::Percent)
}

fn percent(text: &str) -> Result<u8, String> {
    let number = whole("quality", text, 1..=100)?;
    Ok(u8::try_from(number).expect("it is at most 100"))
}

impl Quality {
    /// The quality of the result, where the original's is known and where it is not.
    pub(crate) fn after(self, original: Option<u8>) -> u8 {
        let before = original.unwrap_or(Self::UNKNOWN);
        let wished = match self.wish {
            Wish::AsOriginal => before,
            Wish::AtMost(most) => original.map_or(most, |before| before.min(most)),
            Wish::Exactly(quality) => quality,
            Wish::Percent(percent) => scaled(before, percent),
        };
        self.lowest.map_or(wished, |lowest| wished.max(lowest))
    }

    /// Taken for the quality of an original that has none, such as a PNG.
    const UNKNOWN: u8 = 85;
}

fn scaled(quality: u8, percent: u8) -> u8 {
    let scaled = u16::from(quality) * u16::from(percent) / 100;
    u8::try_from(scaled.max(1)).expect("a share of a number is not above it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operations(rules: &str) -> Vec<Operation> {
        let rules: Rules = rules.parse().unwrap();
        rules.steps.into_iter().map(|step| step.operation).collect()
    }

    fn refusal(rules: &str) -> String {
        rules.parse::<Rules>().unwrap_err().to_string()
    }

    #[test]
    fn operations_follow_each_other_within_a_rule_and_from_rule_to_rule() {
        let expected = vec![
            Operation::Thumbnail(Thumbnail::parse("300x").unwrap()),
            Operation::Rotate(90),
            Operation::AutoOrient,
        ];
        assert_eq!(
            operations("imageMogr2/thumbnail/300x/rotate/90|imageMogr2/auto-orient"),
            expected
        );
        assert_eq!(operations("thumbnail/300x|rotate/90|auto-orient"), expected);
    }

    #[test]
    fn every_word_is_understood_and_explained() {
        let all = "imageMogr2/auto-orient/rotate/45/flip/vertical/thumbnail/!50p/crop/10x10\
                   /gravity/center/dx/1/dy/2/cut/1x2x3x4/blur/3x1.5/format/png/quality/80\
                   /rquality/70/lquality/50/strip";
        let rules: Rules = all.parse().unwrap();
        assert_eq!(rules.steps.len(), 7);
        assert_eq!(rules.format, Some(Format::Png));
        assert_eq!(rules.quality, Quality { wish: Wish::Percent(70), lowest: Some(50) });
        assert!(rules.strip);
        for (word, _) in WORDS {
            assert!(all.contains(word), "{word} is not tried");
            assert!(crate::NOTATION.contains(word), "{word} is not explained");
        }
    }

    #[test]
    fn gravity_may_be_said_before_or_after_its_crop() {
        let after = operations("crop/10x10/gravity/center/dx/1");
        assert_eq!(after, operations("gravity/center/dx/1/crop/10x10"));
        assert_ne!(after, operations("crop/10x10"));
    }

    #[test]
    fn gravity_without_a_crop_in_its_rule_is_refused() {
        let told = refusal("crop/10x10|gravity/center");
        assert_eq!(
            told,
            "rule `gravity/center`: it places a crop, and this rule has none to place"
        );
    }

    #[test]
    fn a_refusal_names_the_part_the_fault_and_what_is_allowed() {
        for (rules, told) in [
            (
                "imageMogr2/rotate/400",
                "rule `rotate/400`: the angle is `400`, allowed is a whole number from 0 to 360",
            ),
            ("rotate", "rule `rotate`: its value is missing"),
            ("rotate/", "rule `rotate`: its value is missing"),
            (
                "flip/both",
                "rule `flip/both`: there is no such axis, allowed are horizontal and vertical",
            ),
            (
                "format/gif",
                "rule `format/gif`: there is no such format, allowed are jpg, png and webp",
            ),
            (
                "quality/0",
                "rule `quality/0`: the quality is `0`, allowed is a whole number from 1 to 100",
            ),
            (
                "quality/101!",
                "rule `quality/101!`: the quality is `101`, allowed is a whole number from 1 to 100",
            ),
            ("thumbnail/300", "rule `thumbnail/300`: `300` is not of the form WxH, Wx or xH"),
        ] {
            assert_eq!(refusal(rules), told);
        }
    }

    #[test]
    fn unknown_and_empty_operations_are_refused_with_the_known_ones() {
        for rules in [
            "",
            "|",
            "imageMogr2",
            "imageMogr2/",
            "rotate/90/",
            "watermark/1",
            "Rotate/90",
            "rotate/90|",
        ] {
            assert!(
                refusal(rules)
                    .contains("there is no such operation, allowed are auto-orient rotate"),
                "{rules}"
            );
        }
    }

    #[test]
    fn quality_keeps_to_the_original_unless_it_is_forced() {
        let after = |rules: &str, original| rules.parse::<Rules>().unwrap().quality.after(original);
        assert_eq!(after("strip", Some(70)), 70);
        assert_eq!(after("strip", None), 85);
        assert_eq!(after("quality/90", Some(70)), 70);
        assert_eq!(after("quality/90", None), 90);
        assert_eq!(after("quality/50", Some(70)), 50);
        assert_eq!(after("quality/90!", Some(70)), 90);
        assert_eq!(after("rquality/80", Some(80)), 64);
        assert_eq!(after("rquality/1", Some(1)), 1);
        assert_eq!(after("rquality/50/lquality/60", Some(80)), 60);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Rules>();
        }

        #[test]
        fn no_almost_rule_makes_the_parser_panic(
            text in "(imageMogr2/)?\
                     ((rotate|thumbnail|crop|cut|blur|quality|format|gravity|dx)/\
                     !?[0-9xpra@<>!.|é-]{0,12}/?){1,4}"
        ) {
            let _ = text.parse::<Rules>();
        }
    }
}
