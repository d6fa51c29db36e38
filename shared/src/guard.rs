//! Which addresses may be talked to because a user named them: those on the
//! open internet, and where the operator says.
//!
//! Who connects by itself asks [`Guard::lookup`] and connects to what it
//! answers. [`Guard::barred`] is for names that somebody else connects to and
//! looks up again: it keeps out plain attempts, but no name server that changes
//! its answer in between.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Text that was offered as a range of addresses and is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of addresses such as `10.0.0.0/8` or `fd00::/8`")]
pub struct BadCidr(String);

/// An address that may not be talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is not allowed")]
pub struct Barred(pub IpAddr);

/// A range of addresses, as in `10.0.0.0/8`.
///
/// Addresses of version 4 are kept as version 6 has them, `::ffff:0:0/96`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    first: u128,
    mask: u128,
}

impl Cidr {
    /// Whether `address` is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.first
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(text.chars().take(80).collect());
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            "" if !text.contains('/') => width,
            digits => digits.parse::<u32>().map_err(|_| bad())?,
        };
        let free = width.checked_sub(length).ok_or_else(bad)?;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Ok(Cidr { first: bits(address) & mask, mask })
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from_bits(self.first), self.mask.count_ones())
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// What is not the open internet (the IANA's special-purpose registries), less
/// what the whole of `2000::/3` leaves out anyway.
const INNER: [&str; 21] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    // A cloud's host, though the address looks like any other.
    "168.63.129.16/32",
    "5f00::/16",
];

/// Where unicast addresses of version 6 are given out.
const GLOBAL: [&str; 2] = ["2000::/3", "0.0.0.0/0"];

/// Tells which addresses may be talked to.
#[derive(Clone, Debug)]
pub struct Guard {
    inner: Vec<Cidr>,
    global: Vec<Cidr>,
    allowed: Vec<Cidr>,
}

impl Guard {
    /// The open internet, and what is in `allowed`.
    pub fn new(allowed: Vec<Cidr>) -> Self {
        let table = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Guard { inner: table(&INNER), global: table(&GLOBAL), allowed }
    }

    /// Whether this address may be talked to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let within = |table: &[Cidr]| table.iter().any(|range| range.contains(address));
        within(&self.allowed) || (within(&self.global) && !within(&self.inner))
    }

    /// The addresses of `name`; none of them, if there is one among them that
    /// may not be talked to.
    pub async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        match addresses.iter().find(|address| !self.allows(**address)) {
            Some(barred) => Err(io::Error::other(Barred(*barred))),
            None => Ok(addresses),
        }
    }

    /// The first address of `host` (`name` or `name:port`) that may not be
    /// talked to.
    pub async fn barred(&self, host: &str) -> io::Result<Option<IpAddr>> {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().map_err(io::Error::other)?),
            None => (host, 443),
        };
        let mut found = tokio::net::lookup_host((name, port)).await?;
        Ok(found.find(|address| !self.allows(address.ip())).map(|address| address.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(guard: &Guard, address: &str) -> bool {
        guard.allows(address.parse().unwrap())
    }

    #[test]
    fn only_the_open_internet_is_allowed() {
        let guard = Guard::new(Vec::new());
        assert_eq!(guard.inner.len(), INNER.len());
        for open in ["1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:4700::1111"] {
            assert!(allows(&guard, open), "{open}");
        }
        for inner in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "5f00::1",
        ] {
            assert!(!allows(&guard, inner), "{inner}");
        }
    }

    #[test]
    fn an_operator_opens_ranges() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::1".parse().unwrap()]);
        assert!(allows(&guard, "127.0.0.1") && allows(&guard, "::ffff:127.0.0.1"));
        assert!(allows(&guard, "fd00::1") && !allows(&guard, "fd00::2"));
        assert!(!allows(&guard, "10.0.0.1"));
        let everything: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("10.0.0.1".parse().unwrap()));
        assert!(!everything.contains("::1".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_with_an_inner_address_is_not_looked_up() {
        let closed = Guard::new(Vec::new()).lookup("localhost").await.unwrap_err();
        assert!(
            closed.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Barred>),
            "{closed}"
        );
        let ranges = ["127.0.0.0/8", "::1"].map(|range| range.parse().unwrap());
        let open = Guard::new(ranges.to_vec()).lookup("localhost").await.unwrap();
        assert!(open.iter().all(IpAddr::is_loopback) && !open.is_empty(), "{open:?}");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/", "host"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_all_its_addresses() {
        let guard = Guard::new(Vec::new());
        let loopback = Some("127.0.0.1".parse().unwrap());
        assert_eq!(guard.barred("127.0.0.1:5000").await.unwrap(), loopback);
        assert!(guard.barred("localhost").await.unwrap().is_some());
        // As the C library reads it, so does the engine.
        assert_eq!(guard.barred("2130706433:80").await.unwrap(), loopback);
        assert!(guard.barred("host:port").await.is_err());
    }
}
