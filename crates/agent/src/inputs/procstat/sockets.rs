//! The sockets of processes: which a process has, from its open files; what they are, from the kernel's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::input::{Accumulator, GatherError};
use crate::inputs::proc_dir::ProcDir;
use crate::metric::{Metric, Value};
use crate::paths::HostPaths;

/// Which sockets are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Protocols {
    pub(super) tcp4: bool,
    pub(super) tcp6: bool,
    pub(super) udp4: bool,
    pub(super) udp6: bool,
    pub(super) unix: bool,
}

impl Protocols {
    pub(super) const ALL: Self = Self { tcp4: true, tcp6: true, udp4: true, udp6: true, unix: true };
}

/// The words for the kernel's numbers of states (`include/net/tcp_states.h`).
const STATES: [&str; 13] = [
    "none",
    "established",
    "syn-sent",
    "syn-recv",
    "fin-wait1",
    "fin-wait2",
    "time-wait",
    "closed",
    "close-wait",
    "last-ack",
    "listen",
    "closing",
    "syn-recv",
];

/// Every socket of the wanted protocols, by the number of its inode.
#[derive(Debug, Default)]
pub(super) struct SocketTable(BTreeMap<u64, Socket>);

/// A socket.
#[derive(Debug, Clone, PartialEq)]
enum Socket {
    Internet {
        protocol: &'static str,
        state: &'static str,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
        send_queue: u64,
        receive_queue: u64,
        retransmits: u64,
    },
    Unix {
        kind: &'static str,
        state: &'static str,
        name: String,
    },
}

impl SocketTable {
    /// Reads the tables; one that cannot be read is reported.
    pub(super) fn read(paths: &HostPaths, protocols: &Protocols, acc: &mut Accumulator) -> Self {
        let mut table = Self::default();
        for (wanted, file, protocol) in [
            (protocols.tcp4, "tcp", "tcp4"),
            (protocols.tcp6, "tcp6", "tcp6"),
            (protocols.udp4, "udp", "udp4"),
            (protocols.udp6, "udp6", "udp6"),
            (protocols.unix, "unix", "unix"),
        ] {
            if !wanted {
                continue;
            }
            let path = paths.proc_net(file);
            let lines = match fs::File::open(&path) {
                Ok(file) => BufReader::with_capacity(64 * 1024, file).lines().skip(1),
                // A kernel without IPv6.
                Err(error) if error.kind() == ErrorKind::NotFound && protocol.ends_with('6') => continue,
                Err(source) => {
                    acc.report(GatherError::Read { path, source });
                    continue;
                }
            };
            let parse = |line: &str| if protocol == "unix" { unix(line) } else { internet(line, protocol) };
            table.0.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
        }
        table
    }

    /// Adds a point for each socket of a process; `blank` has its name and tags.
    pub(super) fn add(
        &self,
        acc: &mut Accumulator,
        blank: &Metric,
        pid: i32,
        proc: &ProcDir,
        tag_with: &BTreeSet<String>,
    ) {
        let Ok(entries) = fs::read_dir(proc.path(pid, "fd")) else { return };
        let inodes: BTreeSet<u64> = entries
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
            .collect();
        for inode in inodes {
            if let Some(socket) = self.0.get(&inode) {
                acc.add(point(blank.clone(), socket, inode, pid, tag_with));
            }
        }
    }
}

fn point(mut metric: Metric, socket: &Socket, inode: u64, pid: i32, tag_with: &BTreeSet<String>) -> Metric {
    let mut set = |key: &'static str, value: Value| {
        if tag_with.contains(key) {
            let text = crate::field_value::text(&value.0).into_owned();
            if !text.is_empty() {
                metric.set_tag(key, text);
            }
        } else {
            metric.set_field(key, value);
        }
    };
    match socket {
        Socket::Internet { protocol, state, source, destination, send_queue, receive_queue, retransmits } => {
            set("protocol", (*protocol).into());
            set("state", (*state).into());
            set("pid", i64::from(pid).into());
            set("src", source.0.to_string().into());
            set("src_port", u64::from(source.1).into());
            set("dest", destination.0.to_string().into());
            set("dest_port", u64::from(destination.1).into());
            set("rx_queue", (*receive_queue).into());
            set("tx_queue", (*send_queue).into());
            if protocol.starts_with("tcp") {
                set("retransmits", (*retransmits).into());
            }
        }
        Socket::Unix { kind, state, name } => {
            set("protocol", "unix".into());
            set("type", (*kind).into());
            set("state", (*state).into());
            set("pid", i64::from(pid).into());
            set("name", name.as_str().into());
            set("inode", inode.into());
        }
    }
    metric
}

/// `0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1215 ...`.
fn internet(line: &str, protocol: &'static str) -> Option<(u64, Socket)> {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let [_, source, destination, state, queues, _, retransmits, _, _, inode, ..] = words.as_slice() else {
        return None;
    };
    let (send_queue, receive_queue) = queues.split_once(':')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let state = usize::from_str_radix(state, 16).ok()?;
    let socket = Socket::Internet {
        protocol,
        state: STATES.get(state).copied().unwrap_or("none"),
        source: address(source)?,
        destination: address(destination)?,
        send_queue: hex(send_queue)?,
        receive_queue: hex(receive_queue)?,
        retransmits: hex(retransmits)?,
    };
    // Those without an inode belong to no process any more.
    Some((inode.parse().ok().filter(|&inode| inode != 0)?, socket))
}

/// The address in words of four bytes, each in this machine's byte order; the port behind a colon.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address = if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        IpAddr::V4(Ipv4Addr::from(four))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?))
    };
    Some((address, port))
}

/// `0000000000000000: 00000002 00000000 00010000 0001 01 24917 /run/x.sock`; the name is missing where there is none.
fn unix(line: &str) -> Option<(u64, Socket)> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let flags = u32::from_str_radix(words.next()?, 16).ok()?;
    let kind = match words.next()? {
        "0001" => "stream",
        "0002" => "dgram",
        "0005" => "seqpacket",
        _ => "unknown",
    };
    /// `__SO_ACCEPTCON`: it listens.
    const ACCEPTS: u32 = 1 << 16;
    let state = match words.next()? {
        _ if flags & ACCEPTS != 0 => "listen",
        "03" => "established",
        _ => "closed",
    };
    let inode = words.next()?.parse().ok()?;
    let name = words.next().unwrap_or_default().to_owned();
    Some((inode, Socket::Unix { kind, state, name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_tables() {
        let line = "  0: 0100007F:07E8 0200007F:C350 01 0000000A:0000000B 00:00000000 00000002     0        0 1215 1 0";
        let (inode, socket) = internet(line, "tcp4").expect("valid");
        assert_eq!(inode, 1215);
        let expected = Socket::Internet {
            protocol: "tcp4",
            state: "established",
            source: ("127.0.0.1".parse().expect("address"), 2024),
            destination: ("127.0.0.2".parse().expect("address"), 50000),
            send_queue: 10,
            receive_queue: 11,
            retransmits: 2,
        };
        assert_eq!(socket, expected);
        let line = "  0: 00000000000000000000000001000000:0016 0:0 0A 0:0 0:0 0 0 0 7 1 0";
        assert_eq!(internet(line, "tcp6"), None, "a destination that is none");
        assert_eq!(
            address("00000000000000000000000001000000:0016"),
            Some(("::1".parse().expect("address"), 22))
        );
        let line = "00000000a0623425: 00000003 00000000 00010000 0001 01 1390410 /run/a.sock";
        let expected = Socket::Unix { kind: "stream", state: "listen", name: "/run/a.sock".to_owned() };
        assert_eq!(unix(line), Some((1_390_410, expected)));
        assert_eq!(unix("Num RefCount"), None);
    }
}
