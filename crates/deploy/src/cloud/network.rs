//! An address with the length of its network's prefix.

use std::{fmt, net::IpAddr, str::FromStr};

/// `10.10.0.100/24`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address itself.
    pub address: IpAddr,
    /// Bits of it that name the network.
    pub prefix: u8,
}

impl Network {
    /// Whether an address is of this network.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, self.prefix),
            IpAddr::V6(address) => (u128::from(address), self.prefix),
        };
        let ((own, prefix), (other_bits, _)) = (bits(self.address), bits(other));
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        super::same_family(self.address, other) && own & mask == other_bits & mask
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no address with a prefix; write it as 10.10.0.100/24");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(bad()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_network() {
        let contains =
            |network: &str, other: &str| network.parse::<Network>().unwrap().contains(other.parse().unwrap());
        assert!(contains("10.10.0.100/24", "10.10.0.7"));
        assert!(!contains("10.10.0.100/24", "10.10.1.7"));
        assert!(!contains("10.10.0.100/24", "fd00::1"));
        assert!(contains("10.10.0.100/0", "192.168.0.1"));
        assert!(contains("10.10.0.100/32", "10.10.0.100"));
        assert!(contains("fd00::100/64", "fd00::1"));
        assert!(!contains("fd00::100/64", "fd00:0:0:1::1"));
        for bad in ["10.10.0.100", "10.10.0.100/33", "10.10.0/24", "x/1", "fd00::1/129", "1.2.3.4/-1"] {
            assert!(bad.parse::<Network>().unwrap_err().contains("10.10.0.100/24"), "{bad}");
        }
    }
}
