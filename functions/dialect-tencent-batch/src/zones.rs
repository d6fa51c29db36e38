//! Regions and their zones. Here they are words that go with one another, no
//! places: a job runs where the installation is.

use crate::faults::Fault;

/// A region: its name, and the numbers of its zones that are open.
struct Region {
    name: &'static str,
    open: &'static [u8],
    /// Numbers of zones in which nothing new starts any more.
    closed: &'static [u8],
}

const fn region(name: &'static str, open: &'static [u8]) -> Region {
    Region { name, open, closed: &[] }
}

const REGIONS: [Region; 20] = [
    Region { name: "ap-guangzhou", open: &[2, 3, 4, 5, 6, 7], closed: &[1] },
    Region { name: "ap-shanghai", open: &[2, 3, 4, 5, 8], closed: &[1] },
    Region { name: "ap-beijing", open: &[2, 3, 4, 5, 6, 7, 8], closed: &[1] },
    region("ap-nanjing", &[1, 2, 3]),
    region("ap-chengdu", &[1, 2]),
    region("ap-chongqing", &[1]),
    region("ap-hongkong", &[1, 2, 3]),
    region("ap-taipei", &[1]),
    region("ap-singapore", &[1, 2, 3, 4]),
    region("ap-jakarta", &[1, 2]),
    region("ap-bangkok", &[1, 2]),
    region("ap-mumbai", &[1, 2]),
    region("ap-seoul", &[1, 2]),
    region("ap-tokyo", &[1, 2]),
    region("na-siliconvalley", &[1, 2]),
    region("na-ashburn", &[1, 2]),
    Region { name: "na-toronto", open: &[], closed: &[1] },
    region("eu-frankfurt", &[1, 2]),
    Region { name: "eu-moscow", open: &[], closed: &[1] },
    region("sa-saopaulo", &[1]),
];

/// The region of a request, if it says one that there is.
pub(crate) fn check_region(region: Option<&str>) -> Result<(), Fault> {
    match region.filter(|region| !region.is_empty()) {
        Some(name) if !REGIONS.iter().any(|region| region.name == name) => {
            let message = format!("The region `{name}` is not supported.");
            Err(Fault::new("UnsupportedRegion", message))
        }
        Some(_) | None => Ok(()),
    }
}

/// The zone of a placement, if it is one, of the region that is asked, and open.
pub(crate) fn check(zone: &str, asked: Option<&str>) -> Result<(), Fault> {
    let parts = zone.rsplit_once('-').and_then(|(region, n)| Some((region, n.parse::<u8>().ok()?)));
    let found = parts.and_then(|(name, number)| {
        let region = REGIONS.iter().find(|region| region.name == name)?;
        let is_open = region.open.contains(&number);
        (is_open || region.closed.contains(&number)).then_some((name, is_open))
    });
    let Some((region, is_open)) = found else {
        let message = format!("The zone `{zone}` does not exist.");
        return Err(Fault::new("InvalidZone.MismatchRegion", message));
    };
    match asked.filter(|asked| !asked.is_empty()) {
        Some(asked) if asked != region => {
            let message = format!("The zone `{zone}` is not in the region `{asked}`.");
            Err(Fault::new("InvalidParameterValue.InvalidZoneMismatchRegion", message))
        }
        _ if !is_open => {
            let message = format!("The zone `{zone}` is not available.");
            Err(Fault::new("InvalidParameterValue.UnavailableZone", message))
        }
        Some(_) | None => Ok(()),
    }
}

/// The open zones of a region; of all without one.
pub(crate) fn open(region: Option<&str>) -> impl Iterator<Item = String> {
    let wanted = region.filter(|region| !region.is_empty()).map(str::to_owned);
    let of = move |region: &&Region| wanted.as_deref().is_none_or(|name| name == region.name);
    REGIONS
        .iter()
        .filter(of)
        .flat_map(|region| region.open.iter().map(|number| format!("{}-{number}", region.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_one_of_its_region_and_open() {
        let code = |zone, region| check(zone, region).err().map(|fault| fault.code);
        assert_eq!(code("ap-guangzhou-2", Some("ap-guangzhou")), None);
        assert_eq!(code("ap-guangzhou-2", None), None);
        let mismatch = Some("InvalidParameterValue.InvalidZoneMismatchRegion");
        assert_eq!(code("ap-beijing-2", Some("ap-guangzhou")), mismatch);
        for zone in ["nowhere", "ap-guangzhou-99", "ap-guangzhou", "ap-atlantis-1", ""] {
            assert_eq!(
                code(zone, Some("ap-guangzhou")),
                Some("InvalidZone.MismatchRegion"),
                "{zone}"
            );
        }
        let closed = Some("InvalidParameterValue.UnavailableZone");
        assert_eq!(code("ap-guangzhou-1", Some("ap-guangzhou")), closed);
        assert!(open(None).all(|zone| check(&zone, None).is_ok()));
        assert_eq!(check_region(Some("mars")).unwrap_err().code, "UnsupportedRegion");
    }
}
