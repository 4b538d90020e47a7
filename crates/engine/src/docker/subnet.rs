//! IPv4 ranges and the choice of a free one.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 range in CIDR form; the address is the first of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    /// The range of that prefix length (0 to 32) around the address; `None` for a longer prefix.
    #[must_use]
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { first: u32::from(address) & mask(prefix), prefix })
    }

    /// Where our networks come from unless configured: the end of 172.16.0.0/12, which Docker's own pools reach last, then
    /// a corner of 10.0.0.0/8.
    #[must_use]
    pub fn usual_pools() -> Vec<Self> {
        let pool = |a, b, prefix| Self { first: u32::from(Ipv4Addr::new(a, b, 0, 0)), prefix };
        vec![pool(172, 31, 16), pool(172, 30, 16), pool(10, 213, 16), pool(10, 214, 16)]
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.first & shorter == other.first & shorter
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.first
    }

    /// Its `n`th address, counted from 0.
    #[must_use]
    pub fn nth(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.first.wrapping_add(n))
    }

    /// Position of an address in it.
    #[must_use]
    pub fn position(self, address: Ipv4Addr) -> u32 {
        u32::from(address).wrapping_sub(self.first)
    }

    /// Its addresses in ranges of that prefix length, in order.
    pub(crate) fn pieces(self, prefix: u8) -> impl Iterator<Item = Self> {
        let count = if prefix < self.prefix { 0 } else { 1_u64 << (prefix - self.prefix) };
        let step = 1_u64 << (32 - u32::from(prefix));
        (0..count).map(move |n| Self { first: self.first.wrapping_add(u32::try_from(n * step).unwrap_or(0)), prefix })
    }

    /// The half with the higher addresses.
    pub(crate) fn upper_half(self) -> Self {
        let prefix = (self.prefix + 1).min(32);
        Self { first: self.first | ((!mask(prefix) + 1) & !mask(self.prefix)), prefix }
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not an IPv4 range such as 10.213.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let (address, prefix) = (address.parse().map_err(|_| bad())?, prefix.parse().map_err(|_| bad())?);
        Self::around(address, prefix).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_overlap_when_one_contains_the_other() {
        assert!(net("10.0.0.0/8").overlaps(net("10.213.7.0/24")));
        assert!(net("10.213.7.0/24").overlaps(net("10.0.0.0/8")));
        assert!(!net("172.30.0.0/16").overlaps(net("172.31.0.0/24")));
        assert!(net("0.0.0.0/0").overlaps(net("1.2.3.4/32")));
    }

    #[test]
    fn a_range_splits_into_pieces_and_halves() {
        let pieces: Vec<_> = net("10.1.0.0/22").pieces(24).map(|p| p.to_string()).collect();
        assert_eq!(pieces, ["10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"]);
        assert_eq!(net("10.1.2.0/24").pieces(16).count(), 0);
        assert_eq!(net("10.1.2.0/24").upper_half().to_string(), "10.1.2.128/25");
        assert_eq!(net("10.1.2.77/24"), net("10.1.2.0/24"));
        assert_eq!(net("10.1.2.0/24").nth(5).to_string(), "10.1.2.5");
    }
}
