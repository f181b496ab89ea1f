//! `skywatch ctl backup` and `skywatch ctl restore`: the command line around `skywatch-backup`.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use skywatch_backup::{
    BackupOptions, HttpServer, Progress, RestoreSummary, Selection, backup, restore, verify,
};
use skywatch_cluster::{Node, NodeConfig};
use skywatch_query::Limits;
use skywatch_storage::{CardinalityLimits, Durability, MemoryBudget};

use super::{print, warn};
use crate::cli::{BackupArgs, BackupCommand, CtlCommand, RestoreArgs};

pub(crate) fn run(command: CtlCommand) -> Result<ExitCode> {
    match command {
        CtlCommand::Backup(args) => match args.command {
            Some(BackupCommand::Verify { dir, quiet }) => run_verify(&dir, quiet),
            None => run_backup(args),
        },
        CtlCommand::Restore(args) => run_restore(&args),
    }
}

fn run_backup(args: BackupArgs) -> Result<ExitCode> {
    let dir = args.dir.context("a directory is needed")?;
    let connection = args.connection.connection()?;
    let options = BackupOptions {
        databases: args.db,
        keep: args.keep as usize,
        source: connection.place.to_string(),
        skywatch_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let summary = backup(&HttpServer::new(connection)?, &dir, &options, Progress::detect(args.quiet))?;
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
            "{file} is missing or damaged on the server; the backup is as incomplete as the server"
        ));
    }
    if args.verify { run_verify(&dir, args.quiet) } else { Ok(ExitCode::SUCCESS) }
}

fn run_verify(dir: &Path, is_quiet: bool) -> Result<ExitCode> {
    let backups = verify(dir, Progress::detect(is_quiet))?;
    let mut code = ExitCode::SUCCESS;
    for backup in backups {
        let state = if backup.problems.is_empty() { "whole" } else { "DAMAGED" };
        let line = format!(
            "backup {} of {}: {state}; {} files, {} bytes; databases: {}",
            backup.number,
            backup.created,
            backup.files,
            backup.bytes,
            backup.databases.join(", ")
        );
        if !is_quiet || !backup.problems.is_empty() {
            print(&line)?;
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

fn run_restore(args: &RestoreArgs) -> Result<ExitCode> {
    let selection = Selection {
        database: args.db.clone(),
        new_name: args.new_db.clone(),
        policies: args.rp.clone(),
        number: args.number,
    };
    let progress = Progress::detect(args.quiet);
    let summary = match &args.data_dir {
        None => restore(&HttpServer::new(args.connection.connection()?)?, &args.dir, &selection, progress)?,
        Some(data_dir) => restore_offline(data_dir, &args.dir, &selection, progress)?,
    };
    if !args.quiet {
        print(&format!(
            "restored {} from backup {} of {}: {} files, {} bytes",
            summary.databases.join(", "),
            summary.number,
            summary.created,
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
        monitor: Arc::default(),
    })?;
    let restored = restore(&*node, backups, selection, progress);
    node.close();
    Ok(restored?)
}
