//! Ids of jobs and sub-jobs, both of them 32 hex digits.
//!
//! A job's are its own 128 bits. A sub-job's are those with the task's place in
//! the job written over the bits that are the same in every job's id (RFC 9562
//! §5.7), so that nothing has to be looked up to read it:
//!
//! | bits of the id | in a job's | in a sub-job's |
//! |---|---|---|
//! | the first 6 (of the time, until the year 2109) | 0 | bits 0 to 5 of the place |
//! | the version's 4 | 7 | 8, plus bits 8 to 10 of the place |
//! | the variant's 2 | 2 | bits 6 and 7 of the place |

use shared::job::JobId;

/// Where the first bits are.
const FIRST: u32 = 122;

/// Where the version is.
const VERSION: u32 = 76;

/// Where the variant is.
const VARIANT: u32 = 62;

/// What all of these cover.
const COVERED: u128 = (0x3f << FIRST) | (0xf << VERSION) | (0x3 << VARIANT);

/// The same bits of every job's id.
const OF_JOBS: u128 = (7 << VERSION) | (2 << VARIANT);

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A job.
    Job(JobId),
    /// A task, by its place in its job.
    Task(JobId, usize),
}

/// A job's id.
pub fn of_job(job: JobId) -> String {
    job.hex()
}

/// The id of the sub-job that the task at this place is, of at most 2,048.
pub fn of_task(job: JobId, place: usize) -> String {
    let place = place as u128;
    let first = place & 0x3f;
    let variant = (place >> 6) & 0x3;
    let version = 0x8 | (place >> 8) & 0x7;
    let written = (first << FIRST) | (version << VERSION) | (variant << VARIANT);
    JobId::from_bits(job.bits() & !COVERED | written).hex()
}

/// What this text names; a job goes by its native id as well.
pub fn named(text: &str) -> Option<Named> {
    let digits = text.strip_prefix("job-").unwrap_or(text);
    let id: JobId = format!("job-{digits}").parse().ok()?;
    let part = |place: u32, mask: u128| (id.bits() >> place) & mask;
    let version = part(VERSION, 0xf);
    if version & 0x8 == 0 {
        return Some(Named::Job(id));
    }
    let place = part(FIRST, 0x3f) | (part(VARIANT, 0x3) << 6) | ((version & 0x7) << 8);
    let job = JobId::from_bits(id.bits() & !COVERED | OF_JOBS);
    Some(Named::Task(job, usize::try_from(place).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::job::MAX_TASKS;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_what_it_names(millis in 0_i64..1 << 42, entropy: [u8; 10]) {
            let job = JobId::new(jiff::Timestamp::from_millisecond(millis).unwrap(), entropy);
            prop_assert_eq!(named(&of_job(job)), Some(Named::Job(job)));
            prop_assert_eq!(named(&job.to_string()), Some(Named::Job(job)));
            for place in [0, 1, 63, 64, 255, 256, 257, MAX_TASKS - 1, 2_047] {
                let id = of_task(job, place);
                prop_assert_eq!(id.len(), 32);
                prop_assert_eq!(named(&id), Some(Named::Task(job, place)));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = named(&text);
        }
    }

    #[test]
    fn what_is_not_32_lower_case_hex_digits_names_nothing() {
        for text in ["", "job-", "0190b8a0", "0190B8A0A0A0A0A0A0A0A0A0A0A0A0A0", "job-job-1"] {
            assert_eq!(named(text), None, "{text}");
        }
    }
}
