//! libvirt's URIs: `driver[+transport]://[user@][host][:port]/[path][?parameters]`. Pure.
//!
//! libvirt itself reads them, with all its parameters; here only what it would tell at the first connection, which
//! is at the first gather, is told when the configuration is read.

/// libvirt's transports.
const TRANSPORTS: [&str; 8] = ["unix", "tcp", "tls", "ssh", "libssh", "libssh2", "ext", "netcat"];

/// The URI to connect to, or what is wrong with this one.
pub(super) fn checked(uri: &str) -> Result<String, String> {
    let shape = "driver[+transport]://[user@][host][:port]/[path][?parameters]";
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Err(format!("{uri:?} is no URI; libvirt's look like {shape}"));
    };
    let (driver, transport) = match scheme.split_once('+') {
        Some((driver, transport)) => (driver, Some(transport)),
        None => (scheme, None),
    };
    let is_word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if !is_word(driver) {
        return Err(format!("{uri:?} names no driver; libvirt's URIs look like {shape}"));
    }
    if let Some(transport) = transport.filter(|transport| !TRANSPORTS.contains(transport)) {
        return Err(format!("{transport:?} is none of libvirt's transports: {}", TRANSPORTS.join(", ")));
    }
    if uri.contains(|c: char| c.is_control() || c == ' ') {
        return Err(format!("{uri:?} holds a space or a control character; write it as %20"));
    }
    let (authority, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, _) = authority.split_once('/').unwrap_or((authority, ""));
    check_port(authority)?;
    if let Some(query) = query {
        check_parameters(query)?;
    }
    // Without a terminal ssh could only wait for an answer to its question.
    let asks =
        transport == Some("ssh") && !query.unwrap_or("").split(['&', ';']).any(|p| p.starts_with("no_tty="));
    Ok(match (asks, query.is_some()) {
        (false, _) => uri.to_owned(),
        (true, false) => format!("{uri}?no_tty=1"),
        (true, true) => format!("{uri}&no_tty=1"),
    })
}

fn check_port(authority: &str) -> Result<(), String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // An IPv6 address stands in brackets.
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_err() => Err(format!("{port:?} is no port")),
        _ => Ok(()),
    }
}

fn check_parameters(query: &str) -> Result<(), String> {
    for parameter in query.split(['&', ';']).filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {}
            _ => return Err(format!("the parameter {parameter:?} is not of the form name=value")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_all_dialects_are_taken_as_they_are() {
        for uri in [
            "qemu:///system",
            "qemu:///session",
            "test:///default",
            "lxc:///",
            "qemu+unix:///system?socket=/run/libvirt/libvirt-sock-ro",
            "qemu+tcp://kvm-7:16509/system",
            "qemu+tls://kvm-7.example.org/system?pkipath=/etc/pki/agent",
            "qemu+tls://[2001:db8::7]:16514/system?no_verify=1",
            "qemu+libssh2://monitor@kvm-7/system?keyfile=/etc/skywatch/id&known_hosts=/etc/skywatch/known",
            "vpx://administrator@vcenter/dc/cluster/esx?no_verify=1",
            "qemu+ssh://root@kvm-7/system?keyfile=/k&no_tty=0",
        ] {
            assert_eq!(checked(uri).as_deref(), Ok(uri));
        }
    }

    #[test]
    fn ssh_is_told_not_to_ask() {
        assert_eq!(checked("qemu+ssh://kvm-7/system").as_deref(), Ok("qemu+ssh://kvm-7/system?no_tty=1"));
        assert_eq!(
            checked("qemu+ssh://m@kvm-7:2222/system?keyfile=/k").as_deref(),
            Ok("qemu+ssh://m@kvm-7:2222/system?keyfile=/k&no_tty=1")
        );
    }

    #[test]
    fn what_libvirt_would_refuse_is_told_at_once() {
        for (uri, because) in [
            ("", "is no URI"),
            ("/run/libvirt/libvirt-sock", "is no URI"),
            ("qemu:/system", "is no URI"),
            ("://x/", "names no driver"),
            ("+ssh://x/", "names no driver"),
            ("qemu+http://x/system", "none of libvirt's transports: unix, tcp"),
            ("qemu+tcp://x:http/system", "\"http\" is no port"),
            ("qemu+tcp://x:70000/system", "is no port"),
            ("qemu+tls://[::1]:x/system", "is no port"),
            ("qemu+unix:///system?socket", "not of the form name=value"),
            ("qemu+unix:///system?socket=", "not of the form name=value"),
            ("qemu:///sys tem", "%20"),
        ] {
            let error = checked(uri).expect_err(uri);
            assert!(error.contains(because), "{uri}: {error}");
        }
    }
}
