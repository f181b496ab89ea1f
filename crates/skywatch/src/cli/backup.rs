//! Options of `skywatch ctl backup` and `restore`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::times::TimeArgs;
use crate::{config::go_duration::GoDuration, connection::ConnectionArgs};

const BACKUP_EXAMPLES: &str = "\
Examples:
  skywatch ctl backup /backup/skywatch                      all databases of the server on this machine
  skywatch ctl backup --db telegraf --keep 7 /backup/tele   the second time only what is new is copied
  skywatch ctl backup --strategy only-meta /backup/meta     databases, policies and continuous queries, no points
  skywatch ctl backup --start 2026-05-01T00:00:00Z --end 2026-05-31T23:59:59Z /backup/may   points of these times
  skywatch ctl backup --url http://store-1:8086 --verify /backup/store-1
  skywatch ctl -bind meta1:8091,meta2:8091 backup /backup/cluster   a whole cluster, wherever its shards are
  skywatch ctl backup verify /backup/skywatch               is it whole? (needs no server)";

const RESTORE_EXAMPLES: &str = "\
Examples:
  skywatch ctl restore /backup/skywatch                     every database of the latest backup
  skywatch ctl restore --db telegraf --new-db telegraf_may /backup/skywatch
  skywatch ctl restore --data-dir /var/lib/skywatch /backup/skywatch   where no server runs yet
  skywatch ctl -bind meta1:8091 restore --db telegraf --new-rf 2 /backup/cluster   into a cluster
  skywatch ctl restore --list /backup/skywatch              what backups are there";

/// The commands of `ctl` that work on a server and on directories; those of a cluster have options of another kind and are
/// read by `skywatch_ctl`.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct CtlCli {
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Copy databases of a running server into a directory; what is there already is not copied again
    #[command(after_help = BACKUP_EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Backup(BackupArgs),
    /// Make databases of a backup, on a running server or in a data directory that no process uses
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
    /// Directory of the backups; created if missing
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Database to back up; may be given several times [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) db: Vec<String>,
    /// Back up this retention policy only; may be given several times
    #[arg(long, value_name = "NAME", requires = "db")]
    pub(crate) rp: Vec<String>,
    /// Back up this shard only, as `ctl show-shards` numbers them; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Vec<u64>,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    /// Of a cluster: the data node to take shards from, as `ctl show` names it, where it holds all of them; others otherwise
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) from: Option<String>,
    /// Say how much there is to back up, and copy nothing
    #[arg(long)]
    pub(crate) estimate: bool,
    /// As in InfluxDB Enterprise; full or incremental, only what is new is copied, and every backup can be restored by itself
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) strategy: Option<BackupStrategy>,
    /// The same as --strategy full
    #[arg(long)]
    pub(crate) full: bool,
    /// Backups of each database that stay restorable, this one included
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Read the backup again afterwards
    #[arg(long)]
    pub(crate) verify: bool,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What Enterprise's backups copy; here the first two are one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackupStrategy {
    /// Everything
    Full,
    /// What is new
    Incremental,
    /// Databases, retention policies and continuous queries, without points
    OnlyMeta,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Read every backup of a directory and name what is damaged; needs no server
    Verify {
        /// Directory of the backups
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Say nothing but errors
        #[arg(long)]
        quiet: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Directory of the backups
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Restore into this data directory instead, which no process may be using
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Restore this database only [default: all of the backup]
    #[arg(long, value_name = "NAME")]
    pub(crate) db: Option<String>,
    /// Restore it under this name
    #[arg(long, alias = "newdb", value_name = "NAME", requires = "db")]
    pub(crate) new_db: Option<String>,
    /// A new name for the retention policy, if only one is restored
    #[arg(long, alias = "newrp", value_name = "NAME", requires = "db")]
    pub(crate) new_rp: Option<String>,
    /// How many copies its shards are to have, in a cluster [default: as many as they had]
    #[arg(long, alias = "newrf", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) new_rf: Option<u32>,
    /// How long its retention policies are to keep points, as 168h; 0s for ever [default: as long as they did]
    #[arg(long, alias = "newduration", value_name = "DURATION")]
    pub(crate) new_duration: Option<GoDuration>,
    /// List the backups of the directory, and restore nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// As in InfluxDB Enterprise, and without effect: every backup here is a full one
    #[arg(long = "full")]
    pub(crate) _full: bool,
    /// Restore this retention policy only; may be given several times
    #[arg(long, value_name = "NAME", requires = "db")]
    pub(crate) rp: Vec<String>,
    /// Restore this shard of the backup only; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) shard: Vec<u64>,
    /// Number of the backup, as `ctl backup verify` lists them [default: the latest]
    #[arg(long, value_name = "N")]
    pub(crate) number: Option<u64>,
    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,
}
