//! Why a backup, a check or a restore did not come about.

use std::{
    io,
    path::{Path, PathBuf},
};

use skywatch_cluster::backup::BackupError;

use crate::verify::Problem;

/// See the module's header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another backup or restore works on the directory.
    #[error("another process is working on {}; wait until it is done", .0.display())]
    Locked(PathBuf),
    /// There is none.
    #[error("{} holds no backup; one is made with: skywatch ctl backup {}", .0.display(), .0.display())]
    NoBackup(PathBuf),
    /// The record of a backup is not what was written.
    #[error("{} is damaged: {reason}; other backups of the directory may be whole: skywatch ctl backup verify", path.display())]
    DamagedRecord {
        /// The file.
        path: PathBuf,
        /// What disagrees.
        reason: String,
    },
    /// Made by a later release.
    #[error("{} has format version {found}, this release reads {supported}: use a newer skywatch", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// Ours.
        supported: &'static str,
    },
    /// Files of the backup are not what was written.
    #[error("the backup is damaged and nothing was restored:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Damaged(Vec<Problem>),
    /// The backup has no such database or policy.
    #[error("the backup has no {what} {name:?}; it has {}", if there.is_empty() { "none".to_owned() } else { there.join(", ") })]
    NotThere {
        /// Of what kind.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// A shard that was asked for is of other times than those that were asked for.
    #[error("shard {shard} has no points {times}")]
    OtherTimes {
        /// The shard.
        shard: u64,
        /// Both ends, in words.
        times: String,
    },
    /// A file arrived otherwise than the server has it, twice.
    #[error(
        "file {name} of shard {shard} does not arrive as the server has it; check the network and the server's memory"
    )]
    Unfaithful {
        /// The shard.
        shard: u64,
        /// The file.
        name: String,
    },
    /// What cannot be changed on the way.
    #[error("{0}")]
    Changes(String),
    /// The other nodes hold the rest.
    #[error(
        "this is data node {0} of a cluster and holds a part of it only; back the whole up with -bind and a meta node: skywatch ctl -bind meta1:8091 backup DIR"
    )]
    PartOfCluster(u64),
    /// Owners of a shard are away or behind.
    #[error(
        "nobody who answers holds all of shard {shard}, and a backup without it would lack points ({reason}); of the rest there can be a \
         backup: see --db, --rp and --shard"
    )]
    Unheld {
        /// The shard.
        shard: u64,
        /// Why, for each of its owners.
        reason: String,
    },
    /// The node refused or failed.
    #[error(transparent)]
    Node(#[from] BackupError),
    /// Some databases were restored, then one failed.
    #[error("restored {}; then {database:?} failed", done.join(", "))]
    Partly {
        /// Those that are there.
        done: Vec<String>,
        /// The one that is not; of it nothing is there.
        database: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
}

/// For `map_err`.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
