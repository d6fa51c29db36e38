//! One picture through the rules, from file to file.

use crate::{
    apply::apply,
    info::{Info, Original, Outcome, md5},
    picture::{self, Format},
    problem::Problem,
    rules::{Quality, Rules},
    write::write,
};

/// The result: a file, and what there is to tell about it.
#[derive(Debug)]
pub struct Processed {
    /// The result, as it is to be stored.
    pub file: Vec<u8>,
    /// What there is to know about original and result.
    pub info: Info,
    /// What was asked for and could not be had, where that is no failure.
    pub notes: Vec<String>,
}

/// Processes the picture in `input` by the rules.
pub fn process(rules: &Rules, input: &[u8]) -> Result<Processed, Problem> {
    let (mut picture, facts) = picture::read(input)?;
    let original = Original::new(input, &picture.pixels, facts);
    apply(&rules.steps, &mut picture)?;
    if rules.strip {
        picture.exif = None;
        picture.icc = None;
    }

    let format = rules.format.unwrap_or(facts.format);
    let quality = rules.quality.after(facts.quality);
    let (width, height) = (picture.pixels.width(), picture.pixels.height());
    let file = write(picture, format, quality)?;

    let mut notes = Vec::new();
    if facts.animated {
        notes.push("the input is an animation: only its first frame is processed".to_owned());
    }
    if rules.quality != Quality::default() && format != Format::Jpeg {
        notes.push(format!("quality has no effect: {} is written lossless", format.name()));
    }
    let result = Outcome {
        format,
        width,
        height,
        size_bytes: file.len(),
        md5: md5(&file),
        quality: (format == Format::Jpeg).then_some(quality),
    };
    Ok(Processed { file, info: Info { original, result }, notes })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, metadata::Orientation};
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    const FORMATS: [ImageFormat; 3] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];

    fn file(format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        testing::flag(32, 16).write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn processed(rules: &str, input: &[u8]) -> Processed {
        process(&rules.parse().unwrap(), input).unwrap()
    }

    #[test]
    fn a_photograph_goes_the_whole_way() {
        let photograph = include_bytes!("../../../../tests/data/chelsea.jpg");

        let Processed { file, info, notes } =
            processed("imageMogr2/auto-orient/thumbnail/200x/quality/70", photograph);

        assert_eq!(notes, Vec::<String>::new());
        assert_eq!((info.original.width, info.original.height), (300, 451));
        assert_eq!((info.original.format, info.original.quality), (Format::Jpeg, Some(90)));
        assert_eq!((info.original.orientation, info.original.size_bytes), (6, photograph.len()));
        assert_eq!((info.result.width, info.result.height), (200, 133));
        assert_eq!((info.result.quality, info.result.size_bytes), (Some(70), file.len()));

        let (picture, facts) = picture::read(&file).unwrap();
        assert_eq!(facts.orientation, Some(Orientation::NoTransforms));
        assert_eq!(facts.quality, Some(70));
        assert_eq!(picture.pixels.width(), 200);
        assert!(picture.icc.is_some() && picture.exif.is_some());
    }

    #[test]
    fn strip_leaves_metadata_out_and_keeps_an_orientation_that_was_applied() {
        let photograph = include_bytes!("../../../../tests/data/chelsea.jpg");
        let stripped = processed("auto-orient/strip", photograph);
        let (picture, facts) = picture::read(&stripped.file).unwrap();
        assert_eq!((picture.exif, picture.icc, facts.orientation), (None, None, None));
        assert_eq!((stripped.info.result.width, stripped.info.result.height), (451, 300));
    }

    #[test]
    fn every_format_becomes_every_other() {
        for from in FORMATS {
            for (rule, to) in [("jpg", Format::Jpeg), ("png", Format::Png), ("webp", Format::WebP)]
            {
                let result = processed(&format!("format/{rule}"), &file(from));
                assert_eq!(picture::read(&result.file).unwrap().1.format, to);
                assert_eq!(result.info.result.format, to);
            }
        }
    }

    #[test]
    fn without_a_format_the_picture_keeps_its_own() {
        assert_eq!(
            processed("rotate/90", &file(ImageFormat::WebP)).info.result.format,
            Format::WebP
        );
    }

    #[test]
    fn a_quality_that_has_no_effect_is_told() {
        let told = processed("quality/50/format/webp", &file(ImageFormat::Jpeg));
        assert_eq!(told.notes, ["quality has no effect: WebP is written lossless"]);
        assert_eq!(told.info.result.quality, None);
    }

    #[test]
    fn info_is_written_as_json() {
        let info = processed("rotate/90", &file(ImageFormat::Png)).info;
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(json["original"]["format"], "PNG");
        assert_eq!(json["original"]["average_color"], "0x800080");
        assert_eq!(json["original"]["orientation"], 0);
        assert_eq!((&json["result"]["width"], &json["result"]["height"]), (&16.into(), &32.into()));
        assert!(json["result"]["quality"].is_null());
    }

    proptest! {
        /// Decoders meet hostile files; a panic would be an ending without a message.
        #[test]
        fn a_damaged_file_is_processed_or_refused(
            format in prop::sample::select(FORMATS.as_slice()),
            damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut damaged = file(format);
            for (at, byte) in damages {
                let at = at.index(damaged.len());
                damaged[at] = byte;
            }
            let rules: Rules = "auto-orient/thumbnail/20x20/rotate/30".parse().unwrap();
            let _ = process(&rules, &damaged);
        }
    }
}
