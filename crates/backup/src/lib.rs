//! Backups of databases in a directory: made, checked and restored.
//!
//! ```text
//! DIR/LOCK                       held while somebody works on the directory
//! DIR/backup-0000000007.json     what makes up backup 7; the last file a backup writes        (format)
//! DIR/files/<shard>/<checksum>-<name>   files of shards, shared by backups                    (directory)
//! ```
//!
//! [`backup`] copies what the directory does not have yet from a node, [`restore`] sends a backup to a node, [`verify`]
//! reads a directory and says what is damaged. What is to be copied, kept or sent is decided in [`plan`], without
//! I/O. The node is anything that implements [`skywatch_cluster::backup::Backups`]: [`HttpServer`] reaches one over
//! the network, an open `Node` is one itself, and a [`Cluster`] is many of them together.
//!
//! [`export`] writes databases as text: line protocol that InfluxDB's own tools read. The way back is `skywatch_shell`'s.

mod backup;
mod cluster;
mod directory;
mod error;
mod export;
mod format;
mod http;
mod part;
mod plan;
mod progress;
mod restore;
mod verify;

pub use backup::{BackupOptions, BackupSummary, Estimate, backup, estimate};
pub use cluster::Cluster;
pub use error::Error;
pub use export::{ExportError, ExportOptions, ExportStep, ExportSummary, export};
pub use http::HttpServer;
pub use part::Part;
pub use plan::{Changes, Selection};
pub use progress::{Progress, Task};
pub use restore::{RestoreSummary, restore};
pub use verify::{Problem, Verification, list, verify};
