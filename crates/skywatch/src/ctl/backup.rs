//! `skywatch ctl backup` and `skywatch ctl restore`: the command line around `skywatch-backup`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use skywatch_backup::{
    BackupOptions, Changes, Cluster, HttpServer, Part, Progress, RestoreSummary, Selection, Verification,
    backup, estimate, list, restore, verify,
};
use skywatch_client::{Connection, Place};
use skywatch_cluster::{
    Node, NodeConfig,
    backup::{Backups, Times},
};
use skywatch_ctl::{DataApi, Environment, data_apis};
use skywatch_query::Limits;
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};

use super::{print, warn};
use crate::{
    cli::{BackupArgs, BackupCommand, BackupStrategy, CtlCommand, RestoreArgs},
    connection::ConnectionArgs,
};

/// `global` are the options of every command of `ctl`; without any it is about a single server.
pub(crate) fn run(command: CtlCommand, global: &[String], program: &str) -> Result<ExitCode> {
    let name = match command {
        CtlCommand::Backup(_) => "backup",
        CtlCommand::Restore(_) => "restore",
    };
    let cluster =
        |connection: &ConnectionArgs, from: Option<&str>| reach(connection, from, global, (program, name));
    match command {
        CtlCommand::Backup(args) => match args.command {
            Some(BackupCommand::Verify { dir, quiet }) => run_verify(&dir, quiet),
            None => run_backup(args, &cluster),
        },
        CtlCommand::Restore(args) if args.list => run_list(&args.dir),
        CtlCommand::Restore(args) => run_restore(&args, &cluster),
    }
}

/// What is backed up or restored to, and what it is called.
type Reached = (Box<dyn Backups>, String);

/// Finds it; the second is the data node that is preferred.
type Reach<'a> = dyn Fn(&ConnectionArgs, Option<&str>) -> Result<Reached> + 'a;

/// Has the data node with this address asked first for every shard that it holds.
fn prefer(known: &[DataApi], from: Option<&str>, nodes: &mut [(u64, Box<dyn Backups>)]) -> Result<()> {
    let Some(from) = from else { return Ok(()) };
    let Some(preferred) = known.iter().find(|api| api.tcp_addr == from) else {
        let addresses: Vec<&str> = known.iter().map(|api| api.tcp_addr.as_str()).collect();
        bail!("--from {from}: no data node has this address; there are {}", addresses.join(", "));
    };
    nodes.sort_by_key(|(id, _)| *id != preferred.id);
    Ok(())
}

/// The server of `--url`, or the data nodes that the meta nodes of `-bind` name, that of `from` before the others.
fn reach(
    connection: &ConnectionArgs,
    from: Option<&str>,
    global: &[String],
    (program, command): (&str, &str),
) -> Result<Reached> {
    let server = connection.connection()?;
    if global.is_empty() {
        if from.is_some() {
            bail!("--from names a node of a cluster: it goes with -bind");
        }
        let place = server.place.to_string();
        return Ok((Box::new(HttpServer::new(server)?), place));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let apis = runtime.block_on(data_apis(global, &Environment::of_this_machine(program)))?;
    if let Some(unled) = &apis.unled {
        warn(&format!("{command}: {unled}"));
    }
    let mut nodes: Vec<(u64, Box<dyn Backups>)> = Vec::new();
    for api in &apis.nodes {
        let Connection { place, .. } = Connection::to(&api.url)?;
        // The options of this command come first: the data nodes may know other users than the meta nodes.
        let credentials = server.credentials.clone().or_else(|| apis.login.clone());
        let connection = Connection {
            place: Place::clone(&place),
            credentials,
            ca: server.ca.clone().or_else(|| apis.ca.clone().map(PathBuf::from)),
            insecure: server.insecure || apis.insecure,
            silence: apis.timeout,
            ..server.clone()
        };
        nodes.push((api.id, Box::new(HttpServer::new(connection)?)));
    }
    prefer(&apis.nodes, from, &mut nodes)?;
    let urls: Vec<&str> = apis.nodes.iter().map(|api| api.url.as_str()).collect();
    Ok((Box::new(Cluster::new(nodes)), urls.join(" ")))
}

fn run_backup(args: BackupArgs, reach: &Reach<'_>) -> Result<ExitCode> {
    let dir = args.dir.context("a directory is needed")?;
    if let Some(other @ (BackupStrategy::Incremental | BackupStrategy::OnlyMeta)) =
        args.strategy.filter(|_| args.full)
    {
        let name = other.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        bail!("-full and -strategy {name} contradict each other: leave one of them out");
    }
    let metadata_only = args.strategy == Some(BackupStrategy::OnlyMeta);
    let times = args.times.range()?.map(Times::from);
    if metadata_only && times.is_some() {
        bail!("-strategy only-meta copies no points: leave it out, or -start and -end");
    }
    let part = Part { policies: args.rp, shards: args.shard, metadata_only, times };
    let (node, source) = reach(&args.connection, args.from.as_deref())?;
    if args.estimate {
        let sum = estimate(&*node, &args.db, &part)?;
        print(&format!("{} databases: {} files, {} bytes", sum.databases, sum.files, sum.bytes))?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = BackupOptions {
        databases: args.db,
        part,
        keep: args.keep as usize,
        source,
        skywatch_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let summary = backup(&*node, &dir, &options, Progress::detect(args.quiet))?;
    if !args.quiet {
        print(&format!(
            "backup {} of {} databases in {}: {} files, {} bytes; copied {} files, {} bytes",
            summary.number,
            summary.databases,
            dir.display(),
            summary.files,
            summary.bytes,
            summary.copied_files,
            summary.copied_bytes
        ))?;
    }
    for file in &summary.damaged {
        warn(&format!(
            "backup: {file} is missing or damaged on the server; the backup is as incomplete as the server"
        ));
    }
    if args.verify { run_verify(&dir, args.quiet) } else { Ok(ExitCode::SUCCESS) }
}

fn run_verify(dir: &Path, is_quiet: bool) -> Result<ExitCode> {
    let backups = verify(dir, Progress::detect(is_quiet))?;
    let mut code = ExitCode::SUCCESS;
    for backup in backups {
        let state = if backup.problems.is_empty() { "whole" } else { "DAMAGED" };
        if !is_quiet || !backup.problems.is_empty() {
            print(&described(&backup, &format!(": {state}")))?;
        }
        for problem in &backup.problems {
            warn(&problem.to_string());
            code = ExitCode::FAILURE;
        }
        for file in &backup.lacking {
            warn(&format!("{file} was missing or damaged on the server already"));
        }
    }
    Ok(code)
}

fn run_list(dir: &Path) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for backup in list(dir)? {
        print(&described(&backup, ""))?;
        for problem in &backup.problems {
            warn(&problem.to_string());
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn described(backup: &Verification, state: &str) -> String {
    let part = if backup.part.is_whole() { String::new() } else { format!("; only {}", backup.part) };
    format!(
        "backup {} of {}{state}; {} files, {} bytes; databases: {}{part}",
        backup.number,
        backup.created,
        backup.files,
        backup.bytes,
        backup.databases.join(", ")
    )
}

fn run_restore(args: &RestoreArgs, reach: &Reach<'_>) -> Result<ExitCode> {
    let duration_ns = args.new_duration.map(|duration| i64::try_from(duration.0.as_nanos())).transpose();
    let selection = Selection {
        database: args.db.clone(),
        new_name: args.new_db.clone(),
        policies: args.rp.clone(),
        shards: args.shard.clone(),
        number: args.number,
        changes: Changes {
            policy: args.new_rp.clone(),
            replicas: args.new_rf,
            duration_ns: duration_ns.context("--new-duration is too long")?,
        },
    };
    let progress = Progress::detect(args.quiet);
    let summary = match &args.data_dir {
        None => restore(&*reach(&args.connection, None)?.0, &args.dir, &selection, progress)?,
        Some(data_dir) => restore_offline(data_dir, &args.dir, &selection, progress)?,
    };
    if !args.quiet {
        print(&format!(
            "restored {} from backup {} of {}{}: {} files, {} bytes",
            summary.databases.join(", "),
            summary.number,
            summary.created,
            if summary.part.is_whole() { String::new() } else { format!(" (only {})", summary.part) },
            summary.files,
            summary.bytes
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the data directory as a server would; its lock keeps servers out, and the other way round.
fn restore_offline(
    data_dir: &Path,
    backups: &Path,
    selection: &Selection,
    progress: Progress,
) -> Result<RestoreSummary> {
    let node = Node::open(NodeConfig {
        data_dir: data_dir.to_path_buf(),
        durability: Durability::Fsync,
        // Nothing is written and nothing asked while the directory is open; it must open whatever it holds.
        memory: Arc::new(MemoryBudget::unlimited()),
        cardinality: CardinalityLimits::NONE,
        limits: Limits::default(),
        autogen: true,
        upkeep: skywatch_cluster::UpkeepSettings::default(),
        monitor: Arc::default(),
    })?;
    let restored = restore(&*node, backups, selection, progress);
    node.close();
    Ok(restored?)
}
