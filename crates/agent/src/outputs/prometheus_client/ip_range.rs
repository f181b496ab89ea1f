//! Ranges of addresses, as `10.0.0.0/8`.

use std::net::{IpAddr, Ipv6Addr};

/// A range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IpRange {
    /// IPv4 as IPv6 has it.
    network: u128,
    /// How many of the first bits matter.
    bits: u32,
}

impl IpRange {
    /// Reads an address, a slash and a number of bits.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no range of addresses such as \"10.0.0.0/8\"");
        let (address, bits) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits: u32 = bits.parse().map_err(|_| bad())?;
        let (width, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        if bits > width {
            return Err(bad());
        }
        Ok(Self { network: as_number(address), bits: before + bits })
    }

    /// Whether the address is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let differing = as_number(address) ^ self.network;
        differing.leading_zeros() >= self.bits
    }
}

/// The address as one of IPv6: what comes over IPv4 to a socket of both is the same address.
fn as_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::1", false),
            ("127.0.0.1/32", "127.0.0.1", true),
            ("127.0.0.1/32", "127.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "203.0.113.9", true),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(IpRange::parse(range).expect(range).contains(address), inside, "{range} {address}");
        }
        for bad in ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "::/129", "10.0.0.0/x", ""] {
            assert!(IpRange::parse(bad).expect_err(bad).contains("no range of addresses"));
        }
    }
}
