//! What single values of an inventory mean. Every error says what was expected.

use std::net::IpAddr;

use skywatch_influxql::parse_duration;

/// A name of a host, a site, a cloud: what goes into file names, host names and tags without quoting.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty()
        || text.len() > 63
        || !text.bytes().all(is_fine)
        || text.starts_with('-')
        || text.ends_with('-')
    {
        return Err(format!(
            "{text:?} is no name: write 1 to 63 small letters, digits and hyphens, such as \"data1\""
        ));
    }
    if text == "localhost" {
        return Err("localhost is every host's own name: give the host one that others can tell it by".into());
    }
    Ok(text.to_owned())
}

/// What is put behind names of hosts.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let labels = text.split('.').map(name).collect::<Result<Vec<_>, _>>();
    match labels {
        Ok(_) if text.len() <= 190 => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no domain; write it as cloud.example, without a dot at either end")),
    }
}

/// What InfluxDB calls a database, a policy, a user: anything printable that fits a line and a path.
pub(super) fn identifier(text: &str) -> Result<String, String> {
    let is_bad = |letter: char| {
        letter.is_control() || letter == '/' || letter == '\\' || letter == '\'' || letter == '"'
    };
    if text.is_empty()
        || text.len() > 120
        || text.contains(is_bad)
        || text.starts_with(['.', ' '])
        || text.ends_with(' ')
    {
        return Err(format!("{text:?} is no name: write 1 to 120 letters, digits, `_`, `-` or `.`"));
    }
    Ok(text.to_owned())
}

/// An address that a host can have.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr =
        text.parse().map_err(|_| format!("{text:?} is no IP address; write it as 10.10.0.11 or fd00::11"))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("{text} is no address of a host"));
    }
    if address.is_loopback() {
        return Err(format!("{text} is every host's own; write the address by which others reach it"));
    }
    Ok(address)
}

/// A duration in nanoseconds; `None` is for ever.
pub(super) fn duration(text: &str) -> Result<Option<i64>, String> {
    let bad = || format!("{text:?} is no duration; write it as \"30d\", \"12h\" or \"INF\"");
    if matches!(text, "INF" | "inf") {
        return Ok(None);
    }
    match parse_duration(text) {
        Ok(nanoseconds) if nanoseconds > 0 => Ok(Some(nanoseconds)),
        _ => Err(bad()),
    }
}

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no size; write it as \"16g\" or \"512m\"");
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(bad()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(bad)
}

/// How often an agent asks.
pub(super) fn interval(text: &str) -> Result<String, String> {
    match parse_duration(text) {
        Ok(nanoseconds) if (1_000_000_000..=3_600_000_000_000).contains(&nanoseconds) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no interval; write it as \"10s\", from 1s to 1h")),
    }
}

/// A release, such as 3.5.2.
pub(super) fn release(text: &str) -> Result<String, String> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    match numbers {
        Some(numbers) if (2..=3).contains(&numbers.len()) => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no release; write it as \"3.5.2\" or \"4.1.0\"")),
    }
}

/// An absolute path that needs no quoting anywhere.
pub(super) fn path(text: &str) -> Result<String, String> {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-');
    let climbs = text.split('/').any(|part| part == "..");
    if !text.starts_with('/') || text.len() < 2 || !text.chars().all(is_fine) || climbs {
        return Err(format!("{text:?} is no absolute path of letters, digits, `.`, `_` and `-`"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A network interface's name, as the kernel takes it.
pub(super) fn interface(text: &str) -> Result<String, String> {
    let is_fine = |letter: char| letter.is_ascii_graphic() && letter != '/' && letter != '"' && letter != '#';
    if text.is_empty() || text.len() > 15 || !text.chars().all(is_fine) {
        return Err(format!("{text:?} is no network interface; `ip -brief address` lists them"));
    }
    Ok(text.to_owned())
}

/// Where Discord takes messages for a channel.
pub(super) fn webhook(text: &str) -> Result<String, String> {
    let is_fine =
        |letter: char| letter.is_ascii_graphic() && !matches!(letter, '"' | '\'' | '\\' | '$' | '`');
    if !text.starts_with("https://") || !text.chars().all(is_fine) {
        return Err("is no webhook; Discord shows it at Edit Channel > Integrations > Webhooks, as \
                    https://discord.com/api/webhooks/..."
            .into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_domains() {
        for good in ["data1", "a", "kvm-07", "9a"] {
            assert_eq!(name(good).unwrap(), good);
        }
        for bad in ["", "Data1", "-a", "a-", "a_b", "a.b", "ü", "localhost", &"x".repeat(64)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(domain("cloud.example").is_ok() && domain("cloud.").is_err() && domain("").is_err());
        assert!(identifier("my db").is_ok() && identifier("../x").is_err() && identifier("a\"b").is_err());
    }

    #[test]
    fn addresses_sizes_durations() {
        assert!(address("10.10.0.11").is_ok() && address("fd00::11").is_ok());
        for bad in ["10.10.0", "127.0.0.1", "::", "0.0.0.0", "224.0.0.1", "data1"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert_eq!((size("16g").unwrap(), size("512 MiB").unwrap()), (16 << 30, 512 << 20));
        for bad in ["16", "g", "0g", "-1g", "99999999999t"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!((duration("1h").unwrap(), duration("INF").unwrap()), (Some(3_600_000_000_000), None));
        assert!(duration("0s").is_err() && duration("soon").is_err() && duration("-1h").is_err());
        assert!(interval("10s").is_ok() && interval("10ms").is_err() && interval("2h").is_err());
        assert!(release("3.5.2").is_ok() && release("4").is_err() && release("x.y").is_err());
        assert!(
            path("/opt/kafka/").is_ok()
                && path("opt").is_err()
                && path("/a/../b").is_err()
                && path("/").is_err()
        );
        assert!(interface("eth0").is_ok() && interface("").is_err() && interface("a b").is_err());
        assert!(webhook("https://discord.com/api/webhooks/1/x").is_ok() && webhook("http://x").is_err());
    }
}
