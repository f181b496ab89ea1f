//! What a node of a cluster would run with, as a file: every key that InfluxDB's own file has, with the value that counts
//! here, under what the file and the environment say. Read back it means the same.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use toml::{Table, Value};

use super::{
    DATA_PLACES, DEFAULT_DATA_FILE, FileConfig, data_table, environment, in_file,
    meta::{self, DEFAULT_META_FILE, MetaFile},
};

/// Every key of a data node's file, with the defaults of the original.
const ORIGINAL_DATA: &str = include_str!("original_data.toml");
/// The same of a meta node's.
const ORIGINAL_META: &str = include_str!("original_meta.toml");

/// Where defaults of keys that are in no default file are not those of the original: see docs/differences.md.
const OWN_DATA: &str = "\
    [data]\nmax-series-per-database = 10000000\nmax-values-per-tag = 10000000\n\
    [http]\nflux-enabled = true\nmax-connection-limit = 4096\nlog-enabled = false\npprof-auth-enabled = true\nprom-read-auth-enabled = true\n";

/// Keys of `[http]` with two names, of which a file may use one.
const NAMES: [(&str, &str); 3] = [
    ("bind", "bind-address"),
    ("max-body-bytes", "max-body-size"),
    ("max-connections", "max-connection-limit"),
];

/// Of a data node.
pub(crate) fn effective_data(file: Option<&Path>) -> Result<Table> {
    match file {
        Some(path) => in_file(path, |text| data(text, std::env::vars_os())),
        None => data("", std::env::vars_os()),
    }
}

/// Of a meta node.
pub(crate) fn effective_meta(file: Option<&Path>) -> Result<Table> {
    match file {
        Some(path) => in_file(path, |text| meta_node(text, std::env::vars_os())),
        None => meta_node("", std::env::vars_os()),
    }
}

fn data(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Table> {
    let said = environment::changed::<FileConfig>(data_table(text)?, DATA_PLACES, environment)?;
    under(&[ORIGINAL_DATA, DEFAULT_DATA_FILE, OWN_DATA], said)
}

fn meta_node(text: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Table> {
    let said = environment::changed::<MetaFile>(text.parse()?, meta::PLACES, environment)?;
    under(&[ORIGINAL_META, DEFAULT_META_FILE], said)
}

/// What is said, over defaults of which the later count more.
fn under(defaults: &[&str], mut said: Table) -> Result<Table> {
    let mut table = Table::new();
    for text in defaults {
        put_over(&mut table, text.parse()?);
    }
    if let Some(Value::Table(http)) = said.get_mut("http") {
        for (ours, theirs) in NAMES {
            if let Some(value) = http.remove(ours) {
                http.insert(theirs.to_owned(), value);
            }
        }
    }
    put_over(&mut table, said);
    Ok(table)
}

/// Table by table; lists of tables are taken whole.
fn put_over(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(there)), Value::Table(more)) => put_over(there, more),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{DataArgs, MetaArgs},
        config::{MetaSettings, RunSettings, data_file},
    };

    fn none() -> Vec<(OsString, OsString)> {
        Vec::new()
    }

    /// What the settings of a data node's file are, but for what names keys without effect.
    fn shown(text: &str) -> String {
        let (mut settings, cluster) =
            RunSettings::merge_data(&DataArgs::default(), data_file(text, none()).unwrap()).unwrap();
        settings.ignored = super::super::IgnoredKeys::default();
        format!("{settings:?} {cluster:?}")
    }

    #[test]
    fn what_is_printed_means_the_same_when_it_is_read() {
        for text in [
            "",
            "hostname = \"d1\"\n[http]\nbind = \":1\"\nmax-connections = 7\n[cluster]\nwrite-timeout = \"3s\"\n\
             [[udp]]\nenabled = true\ndatabase = \"u\"",
        ] {
            let printed = toml::to_string(&data(text, none()).unwrap()).unwrap();
            assert_eq!(shown(&printed), shown(text), "{printed}");
        }
    }

    #[test]
    fn file_and_environment_come_before_defaults() {
        let environment = vec![("INFLUXDB_DATA_DIR".into(), "/e".into())];
        let table = data("[data]\ndir = \"/f\"\n[coordinator]\ndial-timeout = \"9s\"", environment).unwrap();
        let of = |section: &str, key: &str| table[section][key].as_str().unwrap().to_owned();
        assert_eq!(of("data", "dir"), "/e");
        assert_eq!(
            (of("coordinator", "dial-timeout"), of("coordinator", "write-timeout")),
            ("9s".into(), "10s".into())
        );
        assert_eq!(of("hinted-handoff", "purge-interval"), "1m");
    }

    #[test]
    fn the_same_of_a_meta_node() {
        let printed = |text: &str, variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
            toml::to_string(&meta_node(text, variables).unwrap()).unwrap()
        };
        let text = printed("[meta]\ndir = \"/m\"", &[("INFLUXDB_META_LEASE_DURATION", "30s")]);
        for line in
            ["dir = \"/m\"", "lease-duration = \"30s\"", "consensus-timeout = \"30s\"", "hostname = \"\""]
        {
            assert!(text.lines().any(|there| there == line), "{line}: {text}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), printed("", &[])).unwrap();
        let args = MetaArgs { config: Some(file.path().to_path_buf()), ..MetaArgs::default() };
        let (read, default) =
            (MetaSettings::resolve(&args).unwrap(), MetaSettings::resolve(&MetaArgs::default()).unwrap());
        assert_eq!((read.dir, read.node.lease_lasts), (default.dir, default.node.lease_lasts));
    }
}
