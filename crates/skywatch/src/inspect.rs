//! `skywatch inspect`: what `skywatch_storage::inspect` finds, printed.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use skywatch_backup::Progress;
use skywatch_meta::CatalogueHost;
use skywatch_storage::{
    fs::{Fs, OsFs},
    inspect::{describe, size_bytes, verify},
};

use crate::{
    cli::{DescribeFormat, InspectCommand},
    ctl::{print, warn},
    export,
};

pub(crate) fn run(command: InspectCommand) -> Result<ExitCode> {
    match command {
        InspectCommand::Verify { paths, quiet } => run_verify(&paths, quiet),
        InspectCommand::Describe { path, format } => run_describe(&path, format),
        InspectCommand::Export(args) => export::run(&args),
    }
}

fn run_verify(paths: &[PathBuf], is_quiet: bool) -> Result<ExitCode> {
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let (mut files, mut bytes, mut damage) = (0, 0, 0);
    for path in paths {
        if path.join("files").is_dir() {
            bail!("{0} holds backups: skywatch ctl backup verify {0}", path.display());
        }
        let mut task = Progress::detect(is_quiet).task("verifying", size_bytes(&*fs, path)?);
        let report = verify(&fs, path, &mut |bytes| task.add(bytes))?;
        task.finish();
        if !is_quiet {
            report.notes.iter().try_for_each(|note| print(note))?;
        }
        for finding in &report.findings {
            print(&format!("DAMAGED {finding}"))?;
        }
        (files, bytes) = (files + report.files, bytes + report.bytes);
        damage += report.findings.len() + verify_catalogue(path, is_quiet)?;
        if !is_quiet && is_in_use(path) {
            print(&format!(
                "{}: a server is running on it; files it is writing now may look torn",
                path.display()
            ))?;
        }
    }
    if damage > 0 {
        warn(&format!("{damage} damaged places in {files} files ({bytes} bytes)"));
        return Ok(ExitCode::FAILURE);
    }
    if !is_quiet {
        print(&format!("{files} files, {bytes} bytes: all is well"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The catalogue of a data directory: can it be read, and does it know every shard there is? Returns the damage.
fn verify_catalogue(data_dir: &Path, is_quiet: bool) -> Result<usize> {
    let meta = data_dir.join("meta");
    if !data_dir.join("data").is_dir() {
        return Ok(0);
    }
    if !meta.join("catalogue.json").exists() {
        print(&format!(
            "DAMAGED {}: the catalogue is missing. Without it shards have no names.",
            meta.display()
        ))?;
        return Ok(1);
    }
    let catalogue = match CatalogueHost::open(&meta) {
        Ok(host) => host.current(),
        Err(error) => {
            print(&format!("DAMAGED {error}"))?;
            return Ok(1);
        }
    };
    let live: Vec<u64> = catalogue.live_shards().map(|shard| shard.id).collect();
    let entries = OsFs.list(&data_dir.join("data")).context("cannot list the shards")?;
    let mut damage = 0;
    for id in entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| entry.name.parse::<u64>().ok()) {
        if id > catalogue.shard_id_last() {
            print(&format!("DAMAGED {}: the catalogue is older than shard {id}", meta.display()))?;
            damage += 1;
        } else if !live.contains(&id) && !is_quiet {
            print(&format!(
                "{}/data/{id}: belongs to no database; removed at the next start",
                data_dir.display()
            ))?;
        }
    }
    Ok(damage)
}

/// Whether a process holds the lock of the data directory, a store's or a shard's.
fn is_in_use(path: &Path) -> bool {
    let places = [path.join("data/LOCK"), path.join("LOCK"), path.join("../LOCK"), path.join("../../LOCK")];
    places
        .iter()
        .filter_map(|place| std::fs::File::open(place).ok())
        .any(|lock| lock.try_lock_shared().is_err())
}

fn run_describe(path: &Path, format: DescribeFormat) -> Result<ExitCode> {
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let description = serde_json::to_value(describe(&fs, path)?).context("cannot encode the description")?;
    match format {
        DescribeFormat::Json => print(&serde_json::to_string_pretty(&description)?)?,
        DescribeFormat::Table => {
            let mut text = String::new();
            outline(&description, 0, &mut text);
            print(text.trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Objects as lines of names and values, lists of flat objects as tables.
fn outline(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let Value::Object(object) = value else {
        *out += &format!("{indent}{}\n", plain(value));
        return;
    };
    let width = object.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in object {
        let title = name.replace('_', " ");
        match value {
            Value::Object(_) => {
                *out += &format!("{indent}{title}\n");
                outline(value, depth + 1, out);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                *out += &format!("{indent}{title}\n");
                if items.iter().all(is_flat) {
                    table(items, depth + 1, out);
                } else {
                    for item in items {
                        outline(item, depth + 1, out);
                        out.push('\n');
                    }
                }
            }
            _ => *out += &format!("{indent}{title:<width$}  {}\n", plain(value)),
        }
    }
}

fn is_flat(value: &Value) -> bool {
    let is_plain = |value: &Value| match value {
        Value::Object(_) => false,
        Value::Array(items) => !items.iter().any(Value::is_object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    value.as_object().is_some_and(|object| object.values().all(is_plain))
}

fn table(items: &[Value], depth: usize, out: &mut String) {
    let rows = items.iter().filter_map(Value::as_object);
    let names: Vec<&String> = rows.clone().next().map(|row| row.keys().collect()).unwrap_or_default();
    let mut lines: Vec<Vec<String>> = vec![names.iter().map(|name| name.replace('_', " ")).collect()];
    lines.extend(
        rows.map(|row| names.iter().map(|name| row.get(*name).map(plain).unwrap_or_default()).collect()),
    );
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        *out += &format!("{}{}\n", "  ".repeat(depth), line.trim_end());
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
