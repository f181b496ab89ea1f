//! The addresses that interfaces have, in the network namespace of a process: from `/proc/PID/net`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::input::read_text;

/// Reads them below `net`, a directory as `/proc/PID/net`.
pub(super) fn read(net: &Path) -> Result<BTreeSet<IpAddr>, String> {
    let text = |name| read_text(&net.join(name)).map_err(|error| error.to_string());
    let mut addresses = ipv4(&text("fib_trie")?);
    // A host without IPv6 has no such file.
    if let Ok(text) = text("if_inet6") {
        addresses.extend(ipv6(&text));
    }
    Ok(addresses)
}

/// The local addresses of the routing table: each stands above the line that says what it is.
fn ipv4(text: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    let mut above: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            above = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(above.map(IpAddr::V4));
        }
    }
    found
}

/// One line for each address: thirty-two hexadecimal digits, and the interface at the end.
fn ipv6(text: &str) -> BTreeSet<IpAddr> {
    let digits = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    digits
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_master() {
        let mut found = ipv4(include_str!("../../../fixtures/keepalived/fib_trie"));
        found.extend(ipv6(include_str!("../../../fixtures/keepalived/if_inet6")));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "10.77.0.1",
                "10.77.0.100",
                "10.77.0.101",
                "127.0.0.1",
                "::1",
                "fd00:77::100",
                "fe80::77",
                "fe80::a0:e7ff:fe45:48d3",
            ]
        );
    }
}
