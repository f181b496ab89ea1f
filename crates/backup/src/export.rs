//! Databases as line protocol, in the format of `influx_inspect export`: what `influx -import` reads.
//!
//! ```text
//! # INFLUXDB EXPORT: <start> - <end>
//! # DDL
//! CREATE DATABASE "db" WITH DURATION INF REPLICATION 1 SHARD DURATION 1w NAME "autogen"
//! # DML
//! # CONTEXT-DATABASE:db
//! # CONTEXT-RETENTION-POLICY:autogen
//! cpu,host=a value=1 1500000000000000000
//! ```
//!
//! The data directory is opened as a server would open it, with its lock. Points leave block by block: what is in
//! memory does not grow with what is exported.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use skywatch_influxql::{format_duration, quote_ident};
use skywatch_meta::{CatalogueHost, Database, HostError, RetentionPolicy};
use skywatch_model::{TimeRange, serialize::append_rows};
use skywatch_storage::{
    OpenError, Order, ReadError, ScanRequest, ShardId, ShardRead, Store, StoreOptions, TagPredicate,
};

/// What to export. Empty means everything.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// This database only.
    pub database: Option<String>,
    /// This retention policy only.
    pub policy: Option<String>,
    /// These measurements only.
    pub measurements: Vec<String>,
    /// Points in this range only.
    pub range: TimeRange,
}

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportSummary {
    /// Databases.
    pub databases: u64,
    /// Points, a line each.
    pub points: u64,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Nothing was ever stored there.
    #[error("{} is not a data directory: it has no meta/catalogue.json", .0.display())]
    NoDataDirectory(PathBuf),
    /// The database or policy does not exist.
    #[error("{what} {name:?} does not exist")]
    NotThere {
        /// Of what kind.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The data cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The catalogue cannot be opened.
    #[error(transparent)]
    Catalogue(#[from] HostError),
    /// The data cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The receiver refused.
    #[error("cannot write the export: {0}")]
    Output(#[source] io::Error),
}

/// Writes the points below `data_dir` to `out`. `progress` is told of each shard's share of the whole, in bytes on
/// disk, and first of the whole.
pub fn export(
    data_dir: &Path,
    options: &ExportOptions,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(ExportStep),
) -> Result<ExportSummary, ExportError> {
    if !data_dir.join("meta/catalogue.json").exists() {
        return Err(ExportError::NoDataDirectory(data_dir.to_owned()));
    }
    // The store first: its lock keeps servers away from the catalogue too.
    let store =
        Store::open(&data_dir.join("data"), StoreOptions { background: false, ..StoreOptions::default() })?;
    let catalogue = CatalogueHost::open(&data_dir.join("meta"))?.current();
    let databases = choose(catalogue.databases(), options)?;
    let mut exporter = Exporter { store: &store, options, out, progress, summary: ExportSummary::default() };
    exporter.head(&databases).map_err(ExportError::Output)?;
    (exporter.progress)(ExportStep::Total(
        store.shards().iter().map(|shard| shard.stats().disk_bytes()).sum(),
    ));
    for database in &databases {
        exporter.summary.databases += 1;
        for policy in &database.retention_policies {
            exporter.policy(database, policy)?;
        }
    }
    exporter.out.flush().map_err(ExportError::Output)?;
    Ok(exporter.summary)
}

/// What an export tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportStep {
    /// Bytes on disk of everything.
    Total(u64),
    /// Bytes on disk of a shard that is done.
    Done(u64),
}

/// The databases wanted, with the policies wanted.
fn choose(all: &[Database], options: &ExportOptions) -> Result<Vec<Database>, ExportError> {
    let mut chosen: Vec<Database> = all.to_vec();
    if let Some(name) = &options.database {
        chosen.retain(|database| database.name == *name);
        if chosen.is_empty() {
            return Err(ExportError::NotThere { what: "database", name: name.clone() });
        }
    }
    if let Some(name) = &options.policy {
        let policies = chosen.iter_mut().map(|database| &mut database.retention_policies);
        for policies in policies {
            policies.retain(|policy| policy.name == *name);
        }
        if chosen.iter().all(|database| database.retention_policies.is_empty()) {
            return Err(ExportError::NotThere { what: "retention policy", name: name.clone() });
        }
    }
    Ok(chosen)
}

struct Exporter<'a> {
    store: &'a Store,
    options: &'a ExportOptions,
    out: &'a mut dyn Write,
    progress: &'a mut dyn FnMut(ExportStep),
    summary: ExportSummary,
}

impl Exporter<'_> {
    fn head(&mut self, databases: &[Database]) -> io::Result<()> {
        let time = |ns: i64| Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
        let TimeRange { start, end } = self.options.range;
        writeln!(self.out, "# INFLUXDB EXPORT: {} - {}", time(start), time(end))?;
        writeln!(self.out, "# DDL")?;
        for database in databases {
            let default =
                database.retention_policies.iter().find(|it| it.name == database.default_retention_policy);
            match default.or(database.retention_policies.first()) {
                Some(first) => {
                    let name = quote(&database.name);
                    let (settings_first, first_name) = (settings(first), quote(&first.name));
                    writeln!(self.out, "CREATE DATABASE {name} WITH {settings_first} NAME {first_name}")?;
                    for policy in
                        database.retention_policies.iter().filter(|policy| policy.name != first.name)
                    {
                        let (policy, settings) = (quote(&policy.name), settings(policy));
                        writeln!(self.out, "CREATE RETENTION POLICY {policy} ON {name} {settings}")?;
                    }
                }
                None => writeln!(self.out, "CREATE DATABASE {}", quote(&database.name))?,
            }
        }
        writeln!(self.out, "# DML")
    }

    fn policy(&mut self, database: &Database, policy: &RetentionPolicy) -> Result<(), ExportError> {
        writeln!(self.out, "# CONTEXT-DATABASE:{}", database.name).map_err(ExportError::Output)?;
        writeln!(self.out, "# CONTEXT-RETENTION-POLICY:{}", policy.name).map_err(ExportError::Output)?;
        let overlaps =
            |start_ns, end_ns: i64| self.options.range.overlaps(TimeRange::new(start_ns, end_ns - 1));
        let groups: Vec<_> =
            policy.live_shard_groups().filter(|group| overlaps(group.start_ns, group.end_ns)).collect();
        for shard in groups.iter().flat_map(|group| &group.shards) {
            // One that nothing was written to yet has no files.
            if let Some(shard) = self.store.shard(ShardId(shard.id)) {
                self.shard(&*shard.snapshot())?;
                (self.progress)(ExportStep::Done(shard.stats().disk_bytes()));
            }
        }
        Ok(())
    }

    fn shard(&mut self, shard: &dyn ShardRead) -> Result<(), ExportError> {
        let mut lines = String::new();
        for measurement in shard.measurements()? {
            let wanted = &self.options.measurements;
            if !wanted.is_empty() && !wanted.iter().any(|name| **name == *measurement) {
                continue;
            }
            let fields: Vec<Arc<str>> =
                shard.fields(&measurement)?.into_iter().map(|(name, _)| name).collect();
            let scanner = shard.scanner(&ScanRequest::new(&measurement, &fields))?;
            for series in shard.select_series(&measurement, &TagPredicate::All)? {
                let key = shard.series_key(series);
                let mut blocks = scanner.scan(series, self.options.range, Order::Ascending)?;
                while let Some(block) = blocks.next_block()? {
                    let rows = block.decode()?;
                    append_rows(&mut lines, &key, &fields, &rows);
                    self.summary.points += rows.times.len() as u64;
                    self.out.write_all(lines.as_bytes()).map_err(ExportError::Output)?;
                    lines.clear();
                }
            }
        }
        Ok(())
    }
}

/// A name in quotes, needed or not.
fn quote(name: &str) -> String {
    let quoted = quote_ident(name);
    if quoted.starts_with('"') { quoted } else { format!("\"{quoted}\"") }
}

fn settings(policy: &RetentionPolicy) -> String {
    let duration =
        if policy.duration_ns == 0 { "INF".to_owned() } else { format_duration(policy.duration_ns) };
    let shard = format_duration(policy.shard_group_duration_ns);
    format!("DURATION {duration} REPLICATION {} SHARD DURATION {shard}", policy.replica_n)
}
