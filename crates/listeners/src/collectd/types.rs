//! `types.db`: of which values a type consists.

use std::{borrow::Cow, collections::HashMap};

/// A line that is none of `types.db`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?} is no type: a name and name:GAUGE:min:max, with commas between, are expected")]
pub struct TypesError {
    line: usize,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    /// Any number, or whole ones only.
    pub(super) is_gauge: bool,
}

/// Types by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypesDb {
    types: HashMap<String, Vec<Source>>,
    /// Types that are not in it are passed over.
    is_complete: bool,
}

/// Of collectd's own types those that have several values; all others have one, which is called `value`.
const SEVERAL: &[(&[&str], &[&str], bool)] = &[
    (&["load"], &["shortterm", "midterm", "longterm"], true),
    (
        &[
            "if_octets",
            "if_packets",
            "if_errors",
            "if_dropped",
            "io_octets",
            "io_packets",
            "mysql_octets",
            "node_octets",
            "serial_octets",
            "memcached_octets",
        ],
        &["rx", "tx"],
        false,
    ),
    (
        &[
            "disk_octets",
            "disk_ops",
            "disk_time",
            "disk_merged",
            "disk_latency",
            "ps_disk_octets",
            "ps_disk_ops",
        ],
        &["read", "write"],
        false,
    ),
    (&["disk_io_time"], &["io_time", "weighted_io_time"], false),
    (&["ps_count"], &["processes", "threads"], true),
    (&["ps_cputime"], &["user", "syst"], false),
    (&["ps_pagefaults", "vmpage_faults"], &["minflt", "majflt"], false),
    (&["vmpage_io"], &["in", "out"], false),
    (&["df"], &["used", "free"], true),
    (&["compression"], &["uncompressed", "compressed"], false),
    (&["dns_octets"], &["queries", "responses"], false),
    (&["smart_attribute"], &["current", "worst", "threshold", "pretty"], true),
];

impl TypesDb {
    /// The types that collectd comes with, as far as more than one value is to be named. Others are taken as they come.
    pub fn built_in() -> Self {
        let mut types = HashMap::new();
        for (names, sources, is_gauge) in SEVERAL {
            for name in *names {
                let source = |source: &&str| Source { name: (*source).to_owned(), is_gauge: *is_gauge };
                types.insert((*name).to_owned(), sources.iter().map(source).collect());
            }
        }
        Self { types, is_complete: false }
    }

    /// Reads the text of one or several files; values of types that they do not have are passed over, as in InfluxDB.
    pub fn parse(text: &str) -> Result<Self, TypesError> {
        let mut types = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || TypesError { line: index + 1, text: line.to_owned() };
            let (name, rest) = line.split_once(char::is_whitespace).ok_or_else(bad)?;
            let sources = rest.split(',').map(|source| {
                let mut words = source.trim().split(':');
                let name = words.next().filter(|name| !name.is_empty())?;
                let kind = words.next()?.to_ascii_uppercase();
                let is_known = matches!(kind.as_str(), "GAUGE" | "COUNTER" | "DERIVE" | "ABSOLUTE");
                is_known.then(|| Source { name: name.to_owned(), is_gauge: kind == "GAUGE" })
            });
            types.insert(name.to_owned(), sources.collect::<Option<Vec<_>>>().ok_or_else(bad)?);
        }
        Ok(Self { types, is_complete: true })
    }

    /// Its values, if it is known; whether it is to be passed over otherwise.
    pub(super) fn of(&self, kind: &str) -> Result<Option<&[Source]>, ()> {
        match self.types.get(kind) {
            None if self.is_complete => Err(()),
            known => Ok(known.map(Vec::as_slice)),
        }
    }
}

/// The name of a value that no type names, as collectd's network plugin has it.
pub(super) fn unnamed(index: usize, count: usize) -> Cow<'static, str> {
    if count == 1 { Cow::Borrowed("value") } else { Cow::Owned(index.to_string()) }
}
