//! What Fargate costs: as AWS lists it for Linux in `us-east-1` in 2026, if
//! nobody says otherwise. Other regions cost up to half as much again.

use std::{fmt, str::FromStr};

use super::Size;
use crate::job::Resources;

/// Seconds of an hour.
const HOUR: u64 = 3_600;

/// What a container costs an hour, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Each CPU.
    pub cpu: u32,
    /// Each GiB of memory.
    pub gib: u32,
}

impl Prices {
    /// Linux on x86-64 in `us-east-1`, on demand.
    pub const X86_64: Prices = Prices { cpu: 40_480, gib: 4_445 };

    /// The same on arm64.
    pub const ARM64: Prices = Prices { cpu: 32_380, gib: 3_560 };

    /// What a container of a size that is sold costs an hour, in millionths of
    /// a US dollar.
    pub fn an_hour(self, sold: Resources) -> u64 {
        let cpu = u64::from(sold.cpu_millis) * u64::from(self.cpu) * 1_024;
        let memory = u64::from(sold.memory_mib) * u64::from(self.gib) * 1_000;
        (cpu + memory).div_ceil(1_024 * 1_000)
    }

    /// What containers that may use so much cost that are charged for so many
    /// seconds together, in millionths of a US dollar; `None` of more than is
    /// sold.
    pub fn of(self, asked: Resources, seconds: u64) -> Option<u64> {
        let sold = Size::fitting(asked).ok()?.into();
        Some(self.an_hour(sold).saturating_mul(seconds).div_ceil(HOUR))
    }
}

/// Millionths of a US dollar as dollars.
#[expect(clippy::cast_precision_loss, reason = "nine thousand million dollars are exact")]
pub fn dollars(micro: u64) -> f64 {
    micro as f64 / 1e6
}

/// Text that was offered as prices and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "prices are US dollars an hour for a CPU and for a GiB of memory, such as `0.04048,0.004445`"
)]
pub struct BadPrices;

impl FromStr for Prices {
    type Err = BadPrices;

    fn from_str(text: &str) -> Result<Self, BadPrices> {
        let (cpu, gib) = text.split_once(',').ok_or(BadPrices)?;
        Ok(Prices { cpu: micro(cpu)?, gib: micro(gib)? })
    }
}

impl fmt::Display for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", f64::from(self.cpu) / 1e6, f64::from(self.gib) / 1e6)
    }
}

/// Dollars as millionths of one: up to a thousand of them, so that no sum
/// overflows.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within bounds")]
fn micro(text: &str) -> Result<u32, BadPrices> {
    let dollars: f64 = text.trim().parse().map_err(|_| BadPrices)?;
    if !(0.0..=1_000.0).contains(&dollars) {
        return Err(BadPrices);
    }
    Ok((dollars * 1e6).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_costs_what_its_size_does() {
        let an_hour = |prices: Prices, cpu_millis, memory_mib| {
            let sold = Size::fitting(Resources { cpu_millis, memory_mib }).unwrap().into();
            (sold, prices.an_hour(sold))
        };
        let (sold, micro) = an_hour(Prices::X86_64, 250, 512);
        assert_eq!(sold, Resources { cpu_millis: 250, memory_mib: 512 });
        assert_eq!(micro, 12_343, "0.25 × 40,480 + 0.5 × 4,445");
        let (sold, micro) = an_hour(Prices::ARM64, 900, 100);
        assert_eq!(sold, Resources { cpu_millis: 1_000, memory_mib: 2_048 });
        assert_eq!(micro, 39_500);
    }

    #[test]
    fn seconds_are_parts_of_an_hour_and_what_nobody_sells_has_no_price() {
        let small = Resources { cpu_millis: 250, memory_mib: 512 };
        assert_eq!(Prices::X86_64.of(small, 3_600), Some(12_343));
        assert_eq!(Prices::X86_64.of(small, 60), Some(206));
        assert_eq!(Prices::X86_64.of(small, 0), Some(0));
        assert_eq!(Prices::X86_64.of(Resources { cpu_millis: 64_000, ..small }, 60), None);
        assert_eq!(Prices::X86_64.of(small, u64::MAX), Some(u64::MAX.div_ceil(3_600)));
    }

    #[test]
    fn prices_are_read_as_they_are_written() {
        for prices in [Prices::X86_64, Prices::ARM64, Prices { cpu: 0, gib: 1_000_000_000 }] {
            assert_eq!(prices.to_string().parse(), Ok(prices));
        }
        assert_eq!(" 0.04048, 0.004445 ".parse(), Ok(Prices::X86_64));
        for bad in ["", "1", "1;2", "-1,1", "1,NaN", "1,inf", "1001,1", "a,b", "1,2,3"] {
            assert_eq!(bad.parse::<Prices>(), Err(BadPrices), "{bad}");
        }
    }
}
