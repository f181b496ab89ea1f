//! `keepalived_check.data`: virtual servers and the real ones behind them. Pure.
//!
//! ```text
//!  ------< Virtual server >------
//!  VS VIP = 10.77.0.100, VPORT = 80
//!    quorum = 1, hysteresis = 0
//!    ------< Real server >------
//!    RIP = 10.77.0.1, RPORT = 8080, WEIGHT = 1 EFF WEIGHT = 1
//!    alive = 0
//! ```
//!
//! Lines belong to the last server named above them; a heading of another kind ends the list.

use super::model::{Readings, RealServer, VirtualServer};

/// Adds the virtual servers.
pub(super) fn read(text: &[u8], readings: &mut Readings) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    if !text.contains("------<") {
        return Err("its data of virtual servers has no sections".to_owned());
    }
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix("------<") {
            inside =
                matches!(heading.trim_end_matches(['>', '-', ' ']).trim(), "Virtual server" | "Real server");
        } else if !inside {
        } else if let Some(name) = virtual_server_name(line) {
            readings.virtual_servers.push(VirtualServer { name, ..VirtualServer::default() });
        } else if let Some(server) = readings.virtual_servers.last_mut() {
            if let Some(real) = real_server(line) {
                server.real_servers.push(real);
            } else if let Some((key, value)) = line.split_once(" = ") {
                match server.real_servers.last_mut() {
                    Some(real) => of_real_server(real, key, value),
                    None => of_virtual_server(server, key, value),
                }
            }
        }
    }
    Ok(())
}

fn virtual_server_name(line: &str) -> Option<String> {
    let line = line.strip_prefix("VS ").unwrap_or(line);
    if let Some(address) = line.strip_prefix("VIP = ") {
        let (address, port) = address.split_once(", VPORT = ").unwrap_or((address, "0"));
        return Some(if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        });
    }
    if let Some(mark) = line.strip_prefix("FWMARK = ") {
        return Some(format!("fwmark:{mark}"));
    }
    let group = line.strip_prefix("GROUP = ").or_else(|| line.strip_prefix("VGNAME = "))?;
    let group = group.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(group);
    Some(format!("group:{group}"))
}

fn of_virtual_server(server: &mut VirtualServer, key: &str, value: &str) {
    match key {
        "protocol" if value != "none" => server.protocol = Some(value.to_ascii_lowercase()),
        "lvs_sched" => server.scheduler = Some(value.to_owned()),
        "quorum" => {
            let (quorum, hysteresis) = value.split_once(", hysteresis = ").unwrap_or((value, ""));
            (server.quorum, server.hysteresis) = (quorum.parse().ok(), hysteresis.parse().ok());
        }
        "quorum_state_up" => server.quorum_up = flag(value),
        "sorry server" => server.sorry_server = Some(value.to_owned()),
        _ => {}
    }
}

fn real_server(line: &str) -> Option<RealServer> {
    let (address, rest) = line.strip_prefix("RIP = ")?.split_once(", ")?;
    let port = rest.strip_prefix("RPORT = ").map(|rest| rest.split([',', ' ']).next().unwrap_or(rest));
    Some(RealServer {
        address: address.to_owned(),
        // That of a firewall mark has none.
        port: port.filter(|port| *port != "0").map(str::to_owned),
        ..RealServer::default()
    })
}

fn of_real_server(server: &mut RealServer, key: &str, value: &str) {
    match key {
        "forwarding method" => server.forwarding = Some(value.to_owned()),
        "initial weight" => server.weight = value.parse().ok(),
        "effective weight" => server.effective_weight = value.parse().ok(),
        "alive" => server.alive = flag(value),
        "num failed checkers" => server.failed_checkers = value.parse().ok(),
        "RS set" => server.set = flag(value),
        _ => {}
    }
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "1" | "yes" | "true" => Some(true),
        "0" | "no" | "false" => Some(false),
        _ => None,
    }
}
