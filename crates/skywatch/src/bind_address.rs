//! An address to listen on: `HOST:PORT`, `[IPV6]:PORT`, or `:PORT` for all addresses.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// Checked for its shape when it is read; whether it can be listened on shows when it is bound.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct BindAddress {
    text: String,
    port: u16,
}

/// The text is no address to listen on.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no address to listen on: expected HOST:PORT, such as 127.0.0.1:8086, or :8086 for all addresses"
)]
pub(crate) struct BadBindAddress(String);

impl BindAddress {
    /// An address of this machine only.
    pub(crate) fn loopback(port: u16) -> Self {
        Self { text: format!("127.0.0.1:{port}"), port }
    }

    /// Every address of this machine.
    pub(crate) fn everywhere(port: u16) -> Self {
        Self { text: format!(":{port}"), port }
    }

    /// The host, without brackets; nothing if it is every address of this machine.
    pub(crate) fn host(&self) -> Option<&str> {
        let host = self.text.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        (!matches!(host, "" | "0.0.0.0" | "::" | "*")).then_some(host)
    }

    /// What is listened on, with a host in any case.
    pub(crate) fn to_listen(&self) -> String {
        if self.text.starts_with(':') { format!("[::]{}", self.text) } else { self.text.clone() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// What to say where the address cannot be had, and what to do: `key` is the setting that chooses another.
    pub(crate) fn cannot_listen(&self, whom: &str, key: &str) -> String {
        format!("cannot listen on {self} for {whom}; {}, {key} chooses another", who_has(self.port))
    }
}

/// How to find the process that listens on a port already.
pub(crate) fn who_has(port: u16) -> String {
    format!("`ss -ltnp 'sport = :{port}'` names who has the port")
}

/// A host and a port as others are told them: an IPv6 address is in brackets, whether it was given with them or not.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    let bare = host.trim_matches(['[', ']']);
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") }
}

impl FromStr for BindAddress {
    type Err = BadBindAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadBindAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        if (host.contains(':') && !is_bracketed) || host.contains(char::is_whitespace) {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), port })
    }
}

impl TryFrom<String> for BindAddress {
    type Error = BadBindAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_port_is_found_by_a_command() {
        let address: BindAddress = "127.0.0.1:8088".parse().unwrap();
        assert_eq!(
            address.cannot_listen("other nodes", "bind-address"),
            "cannot listen on 127.0.0.1:8088 for other nodes; `ss -ltnp 'sport = :8088'` names who has the port, \
             bind-address chooses another"
        );
    }

    #[test]
    fn only_ipv6_addresses_are_told_in_brackets() {
        for (host, told) in [("d1", "d1:8088"), ("10.0.0.1", "10.0.0.1:8088"), ("::1", "[::1]:8088")] {
            assert_eq!(with_port(host, 8088), told);
        }
        assert_eq!(with_port("[fd00::1]", 8088), "[fd00::1]:8088");
    }

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["127.0.0.1:8086", ":8086", "[::1]:0", "localhost:3000"] {
            assert_eq!(good.parse::<BindAddress>().unwrap().as_str(), good);
        }
        for bad in ["", "somewhere", "::1:80", "a b:1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1"] {
            assert!(bad.parse::<BindAddress>().is_err(), "{bad}");
        }
    }
}
