//! `nstat`: the counters of the network protocols, from `/proc/net/netstat`, `snmp` and `snmp6`.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::Metric;
use crate::paths::HostPaths;

/// The input. A file that the configuration and the environment do not name is the host's.
#[derive(Debug)]
struct Nstat {
    netstat: Option<PathBuf>,
    snmp: Option<PathBuf>,
    snmp6: Option<PathBuf>,
    dump_zeros: bool,
    paths: HostPaths,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let [netstat, snmp, snmp6] = context.paths.nstat().clone();
    let mut file = |key, of_environment: Option<PathBuf>| {
        let given = section.string(key)?.filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok::<_, ConfigError>(given.or(of_environment))
    };
    Ok(Box::new(Nstat {
        netstat: file("proc_net_netstat", netstat)?,
        snmp: file("proc_net_snmp", snmp)?,
        snmp6: file("proc_net_snmp6", snmp6)?,
        dump_zeros: section.boolean("dump_zeros")?.unwrap_or(false),
        paths: context.paths.clone(),
    }))
}

impl Input for Nstat {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        for (name, file) in [("netstat", &self.netstat), ("snmp", &self.snmp)] {
            match read_text(&self.file(name, file)) {
                Ok(text) => self.add(acc, name, &parse_pairs_of_lines(&text)),
                Err(error) => acc.report(error),
            }
        }
        match read_text(&self.file("snmp6", &self.snmp6)) {
            Ok(text) => self.add(acc, "snmp6", &parse_lines(&text)),
            // A kernel without IPv6.
            Err(GatherError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            Err(error) => acc.report(error),
        }
        Ok(())
    }
}

impl Nstat {
    fn file(&self, name: &str, given: &Option<PathBuf>) -> PathBuf {
        given.clone().unwrap_or_else(|| self.paths.proc_net(name))
    }

    fn add(&self, acc: &mut Accumulator, name: &str, counters: &[(String, i64)]) {
        let counters = counters.iter().filter(|(_, value)| self.dump_zeros || *value != 0);
        let metric = acc.metric("nstat").tag("name", name);
        let metric = counters.fold(metric, |metric: Metric, (key, value)| metric.field(key.clone(), *value));
        acc.add(metric);
    }
}

/// Pairs of lines, the first with names and the second with their values, both with the group in front:
/// `Tcp: RtoMin RtoMax` and `Tcp: 200 120000` are `TcpRtoMin` and `TcpRtoMax`.
fn parse_pairs_of_lines(text: &str) -> Vec<(String, i64)> {
    let mut counters = Vec::new();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (mut names, mut values) = (names.split_ascii_whitespace(), values.split_ascii_whitespace());
        let Some(group) = names.next().map(|group| group.trim_end_matches(':')) else { continue };
        values.next();
        let pairs = names.zip(values).filter_map(|(name, value)| Some((name, value.parse().ok()?)));
        counters.extend(pairs.map(|(name, value)| (format!("{group}{name}"), value)));
    }
    counters
}

/// A name and its value in each line: `Ip6InReceives 7`.
fn parse_lines(text: &str) -> Vec<(String, i64)> {
    let parse = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::Integer;

    #[test]
    fn names_above_their_values() {
        let text =
            "TcpExt: SyncookiesSent SyncookiesRecv Odd\nTcpExt: 3 0 x\nIpExt: InOctets OutOctets\nIpExt: 7\n";
        let expected = [("TcpExtSyncookiesSent", 3), ("TcpExtSyncookiesRecv", 0), ("IpExtInOctets", 7)];
        assert_eq!(parse_pairs_of_lines(text), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(parse_pairs_of_lines("Tcp: MaxConn\nTcp: -1\n"), [("TcpMaxConn".to_owned(), -1)]);
        assert!(parse_pairs_of_lines("TcpExt: A B\n").is_empty(), "torn");
        assert!(parse_pairs_of_lines("\n\n\n\n").is_empty());
    }

    #[test]
    fn zeros_on_request_and_files_from_anywhere() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        write("n", "TcpExt: A B\nTcpExt: 1 0\n");
        write("s", "Ip: A\nIp: 0\n");
        let options = |zeros| {
            let root = dir.path().display();
            format!(
                "dump_zeros = {zeros}\nproc_net_netstat = '{root}/n'\nproc_net_snmp = '{root}/s'\nproc_net_snmp6 = '{root}/6'"
            )
        };
        let gather = |zeros| {
            let mut section = crate::config::section_for_tests(&options(zeros));
            let mut input = build(&mut section, &Context::default()).expect("valid");
            let mut acc = Accumulator::new(0);
            input.gather(&mut acc).expect("works");
            acc.into_parts()
        };
        let (metrics, errors) = gather(false);
        assert!(errors.is_empty(), "a missing snmp6 is no error: {errors:?}");
        assert_eq!(metrics.len(), 1, "a point without fields is none");
        assert_eq!(metrics[0].fields(), [("TcpExtA".into(), Integer(1))]);
        let (metrics, _) = gather(true);
        assert_eq!(metrics.len(), 2);
        assert_eq!(metrics[0].field_value("TcpExtB"), Some(&Integer(0)));
        std::fs::remove_file(dir.path().join("s")).expect("removed");
        let (metrics, errors) = gather(true);
        assert_eq!((metrics.len(), errors.len()), (1, 1), "one file does not cost the other");
    }
}
