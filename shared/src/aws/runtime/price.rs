//! What Fargate costs, as AWS lists it: for Linux in `us-east-1`, in 2026.
//! Other regions cost up to half as much again. Spot has no listed price.

use super::{
    config::{Architecture, Capacity},
    size::Size,
};
use crate::{job::Resources, platform::Charge};

/// Millionths of a US dollar for a CPU, and for a GiB of memory, an hour.
const fn rates(architecture: Architecture) -> (u64, u64) {
    match architecture {
        Architecture::Amd64 => (40_480, 4_445),
        Architecture::Arm64 => (32_380, 3_560),
    }
}

/// What a task of this size costs.
pub(super) fn listed(architecture: Architecture, capacity: Capacity, size: Size) -> Option<Charge> {
    if capacity == Capacity::Spot {
        return None;
    }
    let (cpu, gib) = rates(architecture);
    let (units, mib) = (u64::from(size.cpu_units), u64::from(size.memory_mib));
    Some(Charge {
        sold: Resources { cpu_millis: size.cpu_units * 1_000 / 1_024, memory_mib: size.memory_mib },
        micro_usd_an_hour: (units * cpu + mib * gib).div_ceil(1_024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_costs_what_its_size_does() {
        let listed = |architecture, cpu_millis, memory_mib| {
            let size = Size::fitting(Resources { cpu_millis, memory_mib }).unwrap();
            listed(architecture, Capacity::OnDemand, size).unwrap()
        };
        let small = listed(Architecture::Amd64, 250, 512);
        assert_eq!(small.sold, Resources { cpu_millis: 250, memory_mib: 512 });
        assert_eq!(small.micro_usd_an_hour, 12_343, "0.25 × 40,480 + 0.5 × 4,445");
        let large = listed(Architecture::Arm64, 900, 100);
        assert_eq!(large.sold, Resources { cpu_millis: 1_000, memory_mib: 2_048 });
        assert_eq!(large.micro_usd_an_hour, 39_500);
        let size = Size::fitting(small.sold).unwrap();
        assert_eq!(super::listed(Architecture::Amd64, Capacity::Spot, size), None);
    }
}
