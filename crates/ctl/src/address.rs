//! Addresses of nodes, `host:port`.

use std::net::{IpAddr, Ipv6Addr};

use crate::CtlError;

/// A meta node's HTTP API.
pub(crate) const META_HTTP_PORT: u16 = 8091;
/// A data node's port for other nodes.
pub(crate) const DATA_TCP_PORT: u16 = 8088;

/// The host, without brackets.
pub(crate) fn host(address: &str) -> &str {
    let host = match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => address,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

/// With the port, if there is none.
pub(crate) fn with_port(address: &str, port: u16) -> String {
    let bare =
        address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or(address);
    let bare = bare.trim_end_matches('/');
    let has_port = bare.rsplit(']').next().unwrap_or_default().contains(':');
    let is_bare_v6 = bare.parse::<Ipv6Addr>().is_ok();
    match (is_bare_v6, has_port) {
        (true, _) => format!("[{bare}]:{port}"),
        (false, true) => bare.to_owned(),
        (false, false) => format!("{bare}:{port}"),
    }
}

/// Refuses what cannot be the address of a node: `address` has a port already.
pub(crate) fn check(address: &str) -> Result<(), CtlError> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_node = address.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
    if is_node {
        return Ok(());
    }
    Err(CtlError::local(format!(
        "{address:?} is no address of a node: a name or an IP address is expected, with a port or without, such as d1:8088"
    )))
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let Some(bracketed) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) else {
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        return !host.is_empty() && host.chars().all(is_of_name);
    };
    let (ip, _zone) = bracketed.split_once('%').unwrap_or((bracketed, ""));
    ip.parse::<Ipv6Addr>().is_ok()
}

/// Whether other machines that use this address reach themselves, or nobody.
pub(crate) fn is_local(address: &str) -> bool {
    let host = host(address);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host.is_empty() || host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_known() {
        for (address, local) in [
            ("localhost:8088", true),
            ("127.0.0.1:8088", true),
            ("[::1]:8088", true),
            (":8088", true),
            ("0.0.0.0:8088", true),
            ("d1:8088", false),
            ("10.0.0.1:8088", false),
            ("[fd00::1]:8088", false),
            ("localhost.example:8088", false),
        ] {
            assert_eq!(is_local(address), local, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_from_what_is() {
        for address in [
            "d1:8088",
            "10.0.0.1:8088",
            "[fd00::1]:8088",
            "[fe80::1%eth0]:1",
            "my_host.example:1",
            "größe:8088",
        ] {
            assert!(check(address).is_ok(), "{address}");
        }
        for address in [
            "bad addr:8088",
            "d1",
            ":8088",
            "d1:",
            "d1:0",
            "d1:65536",
            "d1:x",
            "a:b:1",
            "d1:8088/x",
            "[d1]:1",
            "u@d1:1",
            "d1\n:1",
        ] {
            assert!(check(address).is_err(), "{address}");
        }
        let told = check("bad addr:8088").unwrap_err().to_string();
        assert!(told.starts_with("\"bad addr:8088\" is no address of a node"), "{told}");
    }

    #[test]
    fn ports_are_added_where_there_is_none() {
        for (address, whole) in [
            ("m1", "m1:8091"),
            ("m1:9", "m1:9"),
            ("http://m1:9/", "m1:9"),
            ("::1", "[::1]:8091"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:8091"),
        ] {
            assert_eq!(with_port(address, META_HTTP_PORT), whole);
        }
    }
}
