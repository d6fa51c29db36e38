//! `crop/…` and `cut/…`: the part of a picture that is cut out.

use crate::number::{both_sides, sides, whole};

/// The farthest a crop may be moved in from a side.
const MAX_OFFSET: u32 = 30_000;

/// A cut-out: its size, where a side that is not given stays whole, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crop {
    width: Option<u32>,
    height: Option<u32>,
    place: Place,
}

/// Where a cut-out lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) gravity: Gravity,
    pub(crate) dx: u32,
    pub(crate) dy: u32,
}

/// The side or corner that a cut-out keeps to, as (horizontal, vertical).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gravity(Keep, Keep);

/// The end of an axis that is kept to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keep {
    #[default]
    Start,
    Middle,
    End,
}

/// A rectangle inside a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

const GRAVITIES: [(&str, Gravity); 9] = [
    ("northwest", Gravity(Keep::Start, Keep::Start)),
    ("north", Gravity(Keep::Middle, Keep::Start)),
    ("northeast", Gravity(Keep::End, Keep::Start)),
    ("west", Gravity(Keep::Start, Keep::Middle)),
    ("center", Gravity(Keep::Middle, Keep::Middle)),
    ("east", Gravity(Keep::End, Keep::Middle)),
    ("southwest", Gravity(Keep::Start, Keep::End)),
    ("south", Gravity(Keep::Middle, Keep::End)),
    ("southeast", Gravity(Keep::End, Keep::End)),
];

impl Gravity {
    /// Reads the name after `gravity/`, in capitals or not.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let known = GRAVITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, gravity)| *gravity).ok_or_else(|| {
            let names: Vec<_> = GRAVITIES.iter().map(|(name, _)| *name).collect();
            format!("there is no such gravity, allowed are {}", names.join(" "))
        })
    }
}

/// Reads the number after `dx/` or `dy/`.
pub(crate) fn offset(what: &str, text: &str) -> Result<u32, String> {
    whole(what, text, 0..=MAX_OFFSET)
}

impl Crop {
    /// Reads the geometry after `crop/`; `place` is that of the rule it is in.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, String> {
        if let Some(placed) = text.strip_prefix('!') {
            let [size, dx, dy] = split(placed, 'a').ok_or("it is not of the form !WxHaXaY")?;
            return Self::placed(size, dx, dy);
        }
        let (width, height) = sides(text)?;
        Ok(Self { width, height, place })
    }

    /// Reads the geometry after `cut/`.
    pub(crate) fn parse_cut(text: &str) -> Result<Self, String> {
        let [width, height, dx, dy] = split(text, 'x').ok_or("it is not of the form WxHxXxY")?;
        Self::placed(&format!("{width}x{height}"), dx, dy)
    }

    fn placed(size: &str, dx: &str, dy: &str) -> Result<Self, String> {
        let (width, height) = both_sides(size)?;
        let place =
            Place { gravity: Gravity::default(), dx: offset("x", dx)?, dy: offset("y", dy)? };
        Ok(Self { width: Some(width), height: Some(height), place })
    }

    /// The rectangle inside a picture of that size, or why there is none.
    pub(crate) fn area(&self, (width, height): (u32, u32)) -> Result<Area, String> {
        let Place { gravity: Gravity(horizontal, vertical), dx, dy } = self.place;
        let across = horizontal.span(width, self.width.unwrap_or(width), dx);
        let down = vertical.span(height, self.height.unwrap_or(height), dy);
        match (across, down) {
            (Some((x, width)), Some((y, height))) => Ok(Area { x, y, width, height }),
            (None, _) | (_, None) => {
                Err(format!("it reaches beyond the picture, which is {width}x{height} there"))
            }
        }
    }
}

impl Keep {
    /// Start and length of a stretch on one axis. There is no side to measure
    /// an offset from in the middle, so there it has no effect.
    fn span(self, whole: u32, length: u32, offset: u32) -> Option<(u32, u32)> {
        let room = whole.checked_sub(length)?;
        let start = match self {
            Self::Start => (offset <= room).then_some(offset)?,
            Self::Middle => room / 2,
            Self::End => room.checked_sub(offset)?,
        };
        Some((start, length))
    }
}

/// Splits `text` into exactly `N` pieces.
fn split<const N: usize>(text: &str, at: char) -> Option<[&str; N]> {
    text.split(at).collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: (u32, u32) = (100, 50);

    fn area(rule: &str, gravity: &str, dx: u32, dy: u32) -> Result<Area, String> {
        let place = Place { gravity: Gravity::parse(gravity).unwrap(), dx, dy };
        Crop::parse(rule, place).unwrap().area(PICTURE)
    }

    #[test]
    fn a_cut_out_keeps_to_the_side_that_gravity_names() {
        let corner = |gravity| {
            let Area { x, y, .. } = area("40x20", gravity, 0, 0).unwrap();
            (x, y)
        };
        assert_eq!(corner("northwest"), (0, 0));
        assert_eq!(corner("north"), (30, 0));
        assert_eq!(corner("northeast"), (60, 0));
        assert_eq!(corner("west"), (0, 15));
        assert_eq!(corner("Center"), (30, 15));
        assert_eq!(corner("east"), (60, 15));
        assert_eq!(corner("southwest"), (0, 30));
        assert_eq!(corner("south"), (30, 30));
        assert_eq!(corner("SouthEast"), (60, 30));
    }

    #[test]
    fn offsets_lead_inwards_and_have_no_effect_in_the_middle() {
        assert_eq!(
            area("40x20", "northwest", 5, 7).unwrap(),
            Area { x: 5, y: 7, width: 40, height: 20 }
        );
        assert_eq!(
            area("40x20", "southeast", 5, 7).unwrap(),
            Area { x: 55, y: 23, width: 40, height: 20 }
        );
        assert_eq!(
            area("40x20", "center", 5, 7).unwrap(),
            Area { x: 30, y: 15, width: 40, height: 20 }
        );
    }

    #[test]
    fn a_side_that_is_not_given_stays_whole() {
        assert_eq!(area("40x", "east", 0, 0).unwrap(), Area { x: 60, y: 0, width: 40, height: 50 });
        assert_eq!(
            area("x20", "south", 0, 0).unwrap(),
            Area { x: 0, y: 30, width: 100, height: 20 }
        );
    }

    #[test]
    fn a_cut_names_its_own_place() {
        let cut = Crop::parse_cut("40x20x5x7").unwrap();
        assert_eq!(cut, Crop::parse("!40x20a5a7", Place::default()).unwrap());
        assert_eq!(cut.area(PICTURE).unwrap(), Area { x: 5, y: 7, width: 40, height: 20 });
    }

    #[test]
    fn a_cut_out_beyond_the_picture_is_refused() {
        for (rule, dx, dy) in
            [("101x", 0, 0), ("x51", 0, 0), ("100x50", 1, 0), ("40x20", 61, 0), ("40x20", 0, 31)]
        {
            for gravity in ["northwest", "southeast"] {
                let told = area(rule, gravity, dx, dy).unwrap_err();
                assert_eq!(told, "it reaches beyond the picture, which is 100x50 there");
            }
        }
    }

    #[test]
    fn what_is_no_crop_is_refused() {
        for text in [
            "",
            "x",
            "0x1",
            "1x0",
            "10000x1",
            "!40x20",
            "!40x20a1",
            "!40xa1a1",
            "!40x20a1a1a1",
            "40x20a1a1",
        ] {
            assert!(Crop::parse(text, Place::default()).is_err(), "{text}");
        }
        for text in
            ["", "40x20", "40x20x5", "x20x5x7", "40x20x5x7x9", "40x20x-5x7", "40x20x30001x0"]
        {
            assert!(Crop::parse_cut(text).is_err(), "{text}");
        }
        assert!(Gravity::parse("up").unwrap_err().contains("northwest north"));
    }
}
