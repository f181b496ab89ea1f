//! Addresses of this machine's network interfaces.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first address of an interface: one of IPv4 if it has any.
pub(crate) fn interface_address(name: &str) -> Option<IpAddr> {
    let all = addresses_of(name);
    all.iter().find(|address| address.is_ipv4()).or_else(|| all.first()).copied()
}

fn addresses_of(name: &str) -> Vec<IpAddr> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs writes a list to the place given, or fails and writes nothing.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = list;
    // SAFETY: `at` is null or an entry of the list, which is freed only below.
    while let Some(entry) = unsafe { at.as_ref() } {
        // SAFETY: the name of an entry is a text that ends with NUL.
        let its_name = unsafe { CStr::from_ptr(entry.ifa_name) };
        if its_name.to_bytes() == name.as_bytes() {
            found.extend(address_of(entry));
        }
        at = entry.ifa_next;
    }
    // SAFETY: the list came from getifaddrs and nothing of it is used any more.
    unsafe { libc::freeifaddrs(list) };
    found
}

fn address_of(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: the address is null or points to at least the family, which tells what the rest is.
    let family = i32::from(unsafe { entry.ifa_addr.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: an address of this family is a sockaddr_in.
            let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_in>() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: an address of this family is a sockaddr_in6.
            let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_in6>() };
            Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_address_and_what_does_not_exist_has_none() {
        assert_eq!(interface_address("lo"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(interface_address("no-such-0"), None);
    }
}
