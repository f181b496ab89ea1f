//! `netstat`: how many TCP sockets are in each state, and how many UDP sockets there are.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// The fields, by the kernel's number of the state (`include/net/tcp_states.h`); 0 is what no kernel uses.
const STATES: [&str; 12] = [
    "tcp_none",
    "tcp_established",
    "tcp_syn_sent",
    "tcp_syn_recv",
    "tcp_fin_wait1",
    "tcp_fin_wait2",
    "tcp_time_wait",
    "tcp_close",
    "tcp_close_wait",
    "tcp_last_ack",
    "tcp_listen",
    "tcp_closing",
];

/// A connection request that has no socket yet; listed like one that was received.
const NEW_SYN_RECV: usize = 12;
const SYN_RECV: usize = 3;

/// The input.
#[derive(Debug)]
struct Netstat {
    paths: HostPaths,
}

pub(crate) fn build(_: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    Ok(Box::new(Netstat { paths: context.paths.clone() }))
}

impl Input for Netstat {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let mut counts = Counts::default();
        for (file, required) in [("tcp", true), ("tcp6", false)] {
            self.each_line(file, required, |line| counts.add_tcp(line))?;
        }
        for (file, required) in [("udp", true), ("udp6", false)] {
            self.each_line(file, required, |_| counts.udp += 1)?;
        }
        let metric = counts.fields(acc.metric("netstat"));
        acc.add(metric);
        Ok(())
    }
}

impl Netstat {
    /// Calls `each` with every line but the heading. A busy host has a hundred thousand, so they are never held together.
    /// A kernel without IPv6 lacks the files that are not required.
    fn each_line(&self, file: &str, required: bool, mut each: impl FnMut(&[u8])) -> Result<(), GatherError> {
        let path = self.paths.proc_net(file);
        let source = match File::open(&path) {
            Ok(source) => source,
            Err(error) if !required && error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(GatherError::Read { path, source }),
        };
        let mut lines = BufReader::with_capacity(64 * 1024, source);
        let (mut line, mut heading) = (Vec::new(), true);
        loop {
            line.clear();
            match lines.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                Ok(_) if heading => heading = false,
                Ok(_) => each(&line),
                Err(source) => return Err(GatherError::Read { path, source }),
            }
        }
    }
}

/// Sockets by state.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    tcp: [i64; STATES.len()],
    udp: i64,
}

impl Counts {
    /// The state is the fourth word, in hexadecimal.
    fn add_tcp(&mut self, line: &[u8]) {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let state = words.nth(3).and_then(|word| std::str::from_utf8(word).ok());
        let Some(state) = state.and_then(|word| usize::from_str_radix(word, 16).ok()) else { return };
        let state = if state == NEW_SYN_RECV { SYN_RECV } else { state };
        self.tcp[if state < STATES.len() { state } else { 0 }] += 1;
    }

    fn fields(&self, metric: Metric) -> Metric {
        let states = STATES.iter().zip(self.tcp).skip(1);
        states
            .fold(metric, |metric, (field, count)| metric.field(*field, count))
            .field(STATES[0], self.tcp[0])
            .field("udp_socket", self.udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::Integer;

    #[test]
    fn states_in_hexadecimal() {
        let mut counts = Counts::default();
        for state in ["01", "01", "0A", "06", "0C", "03", "0F"] {
            counts.add_tcp(
                format!("   0: 00000000:07E8 00000000:0000 {state} 00000000:00000000 00:0\n").as_bytes(),
            );
        }
        counts.add_tcp(b"   1: garbage\n");
        let m = counts.fields(Metric::new("netstat", 0));
        let value = |field: &str| m.field_value(field).cloned();
        assert_eq!(value("tcp_established"), Some(Integer(2)));
        assert_eq!(value("tcp_listen"), Some(Integer(1)));
        assert_eq!(value("tcp_time_wait"), Some(Integer(1)));
        assert_eq!(value("tcp_syn_recv"), Some(Integer(2)), "requests too");
        assert_eq!(value("tcp_none"), Some(Integer(1)));
        assert_eq!(m.fields().len(), 13, "all are always there");
    }

    #[test]
    fn sockets_of_this_host_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let mut input = build(&mut crate::config::section_for_tests(""), &Context::default()).expect("valid");
        let mut acc = Accumulator::new(0);
        input.gather(&mut acc).expect("readable");
        let (metrics, _) = acc.into_parts();
        for field in ["tcp_listen", "udp_socket"] {
            assert!(matches!(metrics[0].field_value(field), Some(Integer(n)) if *n >= 1), "{field}");
        }
        drop((listener, udp));
    }
}
