//! The sizes that Fargate has.

use crate::job::Resources;

/// A pair that Fargate sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// 1,024 are one CPU.
    pub cpu_units: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

impl From<Size> for Resources {
    fn from(size: Size) -> Resources {
        let Size { cpu_units, memory_mib } = size;
        Resources { cpu_millis: cpu_units * 1_000 / 1_024, memory_mib }
    }
}

/// What there is for a number of CPU units.
struct Sold {
    cpu_units: u32,
    least_mib: u32,
    most_mib: u32,
    step_mib: u32,
}

/// Smaller ones first.
const SOLD: [Sold; 9] = [
    sold(256, 512, 512, 512),
    sold(256, 1_024, 1_024, 1_024),
    sold(256, 2_048, 2_048, 2_048),
    sold(512, 1_024, 4_096, 1_024),
    sold(1_024, 2_048, 8_192, 1_024),
    sold(2_048, 4_096, 16_384, 1_024),
    sold(4_096, 8_192, 30_720, 1_024),
    sold(8_192, 16_384, 61_440, 4_096),
    sold(16_384, 32_768, 122_880, 8_192),
];

const fn sold(cpu_units: u32, least_mib: u32, most_mib: u32, step_mib: u32) -> Sold {
    Sold { cpu_units, least_mib, most_mib, step_mib }
}

impl Size {
    /// The smallest that has all that is asked for; else what is too much.
    pub fn fitting(asked: Resources) -> Result<Size, String> {
        let cpu_units = (u64::from(asked.cpu_millis) * 1_024).div_ceil(1_000);
        let fits = |sold: &&Sold| {
            u64::from(sold.cpu_units) >= cpu_units && sold.most_mib >= asked.memory_mib
        };
        let sold = SOLD.iter().find(fits).ok_or_else(|| {
            let Resources { cpu_millis, memory_mib } = asked;
            format!(
                "asks for {} CPUs and {memory_mib} MiB of memory, and a task has at most 16 and \
                 122880",
                f64::from(cpu_millis) / 1_000.0
            )
        })?;
        let memory_mib = asked.memory_mib.max(sold.least_mib).next_multiple_of(sold.step_mib);
        Ok(Size { cpu_units: sold.cpu_units, memory_mib })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting(cpu_millis: u32, memory_mib: u32) -> Result<(u32, u32), String> {
        let size = Size::fitting(Resources { cpu_millis, memory_mib })?;
        Ok((size.cpu_units, size.memory_mib))
    }

    #[test]
    fn what_is_asked_for_is_rounded_up_to_what_is_sold() {
        for (asked, sold) in [
            ((1, 1), (256, 512)),
            ((250, 512), (256, 512)),
            ((250, 513), (256, 1_024)),
            ((250, 1_025), (256, 2_048)),
            ((250, 2_049), (512, 3_072)),
            ((251, 512), (512, 1_024)),
            ((1_000, 2_048), (1_024, 2_048)),
            ((1_001, 1), (2_048, 4_096)),
            ((4_000, 30_720), (4_096, 30_720)),
            ((4_000, 30_721), (8_192, 32_768)),
            ((16_000, 33_000), (16_384, 40_960)),
            ((1, 122_880), (16_384, 122_880)),
        ] {
            assert_eq!(fitting(asked.0, asked.1), Ok(sold), "{asked:?}");
        }
    }

    #[test]
    fn what_nobody_sells_is_told_so() {
        let why = fitting(16_001, 1).unwrap_err();
        assert!(why.starts_with("asks for 16.001 CPUs and 1 MiB"), "{why}");
        assert!(fitting(1, 122_881).is_err() && fitting(u32::MAX, u32::MAX).is_err());
    }
}
