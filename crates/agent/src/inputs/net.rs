//! `net`: the traffic of network interfaces.

use std::fs;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::filter::glob::Globs;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// `IFF_UP` and `IFF_LOOPBACK` of the kernel's interface flags.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;

/// The input.
#[derive(Debug)]
struct Net {
    /// Empty takes every interface that is up and no loopback.
    interfaces: Option<Globs>,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let interfaces = section.strings("interfaces")?.filter(|list| !list.is_empty());
    // Deprecated in the original and without effect there as well.
    section.boolean("ignore_protocol_stats")?;
    Ok(Box::new(Net {
        interfaces: interfaces
            .map(|list| Globs::compile(&list, ""))
            .transpose()
            .map_err(|why| section.bad("interfaces", why))?,
        paths: context.paths.clone(),
    }))
}

impl Input for Net {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        for (name, traffic) in parse_dev(&read_text(&self.paths.proc_net("dev"))?) {
            if self.wants(&name) {
                let metric = acc.metric("net").kind(Kind::Counter).tag("interface", name.as_str());
                acc.add(fields(metric, &traffic).field("speed", self.speed(&name)));
            }
        }
        Ok(())
    }
}

impl Net {
    fn wants(&self, name: &str) -> bool {
        match &self.interfaces {
            Some(globs) => globs.matches(name),
            None if self.paths.proc_is_foreign() => true,
            None => match flags(&self.attribute(name, "flags")) {
                Some(flags) => flags & UP != 0 && flags & LOOPBACK == 0,
                // Without /sys nobody tells; the name is all there is.
                None => name != "lo",
            },
        }
    }

    /// Megabits a second; -1 where the driver does not tell.
    fn speed(&self, name: &str) -> i64 {
        self.attribute(name, "speed").trim().parse().unwrap_or(-1)
    }

    fn attribute(&self, interface: &str, name: &str) -> String {
        fs::read_to_string(self.paths.sys(format!("class/net/{interface}/{name}"))).unwrap_or_default()
    }
}

/// The flags of `/sys/class/net/*/flags`, as in `0x1003`.
fn flags(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// Since boot.
#[derive(Debug, PartialEq, Eq)]
struct Traffic {
    bytes_recv: u64,
    packets_recv: u64,
    err_in: u64,
    drop_in: u64,
    bytes_sent: u64,
    packets_sent: u64,
    err_out: u64,
    drop_out: u64,
}

/// Interfaces of `/proc/net/dev`: behind the colon eight counters received, then eight sent.
fn parse_dev(text: &str) -> Vec<(String, Traffic)> {
    let parse = |line: &str| {
        let (name, rest) = line.rsplit_once(':')?;
        let numbers: Vec<u64> = rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        let [
            bytes_recv,
            packets_recv,
            err_in,
            drop_in,
            _,
            _,
            _,
            _,
            bytes_sent,
            packets_sent,
            err_out,
            drop_out,
            ..,
        ] = numbers[..]
        else {
            return None;
        };
        let traffic = Traffic {
            bytes_recv,
            packets_recv,
            err_in,
            drop_in,
            bytes_sent,
            packets_sent,
            err_out,
            drop_out,
        };
        Some((name.trim().to_owned(), traffic))
    };
    text.lines().filter_map(parse).collect()
}

fn fields(metric: Metric, t: &Traffic) -> Metric {
    metric
        .field("bytes_sent", t.bytes_sent)
        .field("bytes_recv", t.bytes_recv)
        .field("packets_sent", t.packets_sent)
        .field("packets_recv", t.packets_recv)
        .field("err_in", t.err_in)
        .field("err_out", t.err_out)
        .field("drop_in", t.drop_in)
        .field("drop_out", t.drop_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Integer, Unsigned};

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0:5000 50 1 2 0 0 0 0 7000 70 3 4 0 0 0 0
";

    #[test]
    fn interfaces_and_their_counters() {
        let dev = parse_dev(DEV);
        assert_eq!(dev.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["lo", "eth0"]);
        let m = fields(Metric::new("net", 0), &dev[1].1);
        let values: Vec<_> = m.fields().iter().map(|(k, v)| (k.as_ref(), v.clone())).collect();
        let expected = [
            ("bytes_sent", 7000),
            ("bytes_recv", 5000),
            ("packets_sent", 70),
            ("packets_recv", 50),
            ("err_in", 1),
            ("err_out", 3),
            ("drop_in", 2),
            ("drop_out", 4),
        ];
        assert_eq!(values, expected.map(|(k, v)| (k, Unsigned(v))));
    }

    #[test]
    fn only_what_is_up_unless_listed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (name, flags) in [("lo", "0x9"), ("eth0", "0x1003"), ("eth1", "0x1002")] {
            let path = dir.path().join("class/net").join(name);
            fs::create_dir_all(&path).expect("created");
            fs::write(path.join("flags"), format!("{flags}\n")).expect("written");
        }
        fs::write(dir.path().join("class/net/eth0/speed"), "10000\n").expect("written");
        let root = dir.path().display().to_string();
        let paths = HostPaths::from_env(&|name| (name == "HOST_SYS").then(|| root.clone()));
        let mut net = Net { interfaces: None, paths };
        let wanted =
            |net: &Net| ["lo", "eth0", "eth1"].into_iter().filter(|n| net.wants(n)).collect::<Vec<_>>();
        assert_eq!(wanted(&net), ["eth0"]);
        assert_eq!((net.speed("eth0"), net.speed("eth1")), (10_000, -1));
        net.interfaces = Some(Globs::compile(&["eth*".to_owned(), "lo".to_owned()], "").expect("valid"));
        assert_eq!(wanted(&net), ["lo", "eth0", "eth1"], "whatever their state");
    }

    #[test]
    fn speed_is_an_integer() {
        let mut acc = Accumulator::new(0);
        let mut input =
            build(&mut crate::config::section_for_tests("interfaces = ['lo']"), &Context::default())
                .expect("valid");
        input.gather(&mut acc).expect("readable");
        let (metrics, _) = acc.into_parts();
        assert!(matches!(metrics[0].field_value("speed"), Some(Integer(_))));
    }
}
