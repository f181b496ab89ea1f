//! Which URLs a subscription may have: those that Go's `net/url` takes and that have a port, as in InfluxDB.

/// Whether writes can be forwarded to `url`: `http`, `https` or `udp`, a host (none means this machine) and a port.
pub(super) fn is_destination(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    if !["http", "https", "udp"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return false;
    }
    if url.chars().any(|c| c.is_ascii_control()) {
        return false;
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    are_escapes_whole(path) && are_escapes_whole(fragment) && is_user(user) && is_address(address)
}

/// `name:password`, either may be missing.
fn is_user(user: &str) -> bool {
    are_escapes_whole(user)
        && user.chars().all(|c| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c))
}

/// `host:port` or `[IPv6]:port`.
fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let bare = match host.strip_prefix('[') {
        Some(inner) => match inner.strip_suffix(']') {
            Some(inner) => inner,
            None => return false,
        },
        None if host.contains([':', '[', ']']) => return false,
        None => host,
    };
    let is_host_char =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:<>\"".contains(c);
    bare.chars().all(is_host_char) && is_port(port)
}

/// InfluxDB takes any digits; a port over 65535 could never be reached.
fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Whether every `%` has its two hexadecimal digits.
fn are_escapes_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What InfluxDB 1.6.7 said to each, ports beyond 65535 excepted.
    #[test]
    fn takes_what_influxdb_takes() {
        for good in [
            "http://h:1",
            "HTTP://h:1",
            "https://h:443/path",
            "udp://h:1/x",
            "udp://h:0",
            "http://:9999",
            "http://[::1]:80",
            "http://h:1?x=%zz",
            "http://h:1#frag",
            "http://u@h:1",
            "http://u:@h:1",
            "http://u:p@h:1",
            "http://é:1",
            "http://h_1:1",
            "http://h:1/a b",
            "http://<h>:1",
            "http://h:65535",
        ] {
            assert!(is_destination(good), "{good}");
        }
        for bad in [
            "",
            "foo",
            "h:1",
            "127.0.0.1:9092",
            "ftp://h:1",
            "http://",
            "http://h",
            "http://h:",
            "udp://h:x",
            "://h",
            "http://h :1",
            "http://a b:1",
            " http://h:1",
            "http://h:1/%zz",
            "http://h:-1",
            "http://h:+1",
            "http://h:1:2",
            "http://[::1:80",
            "http://[::1]",
            "https://h:0x1",
            "http://%41:1",
            "http://::1:80",
            "http://h%zz:1",
            "http:/h:1",
            "http:h:1",
            "http://u:p p@h:1",
            "http://h:http",
            "udp://:x",
            "http://h:1\n",
            "http://h:65536",
        ] {
            assert!(!is_destination(bad), "{bad}");
        }
    }
}
