//! The types that the catalogue is replicated with.

use std::io::Cursor;

use serde::{Deserialize, Serialize};
use skywatch_meta::{Applied, CatalogueError, Command};

use crate::runtime::SteadyRuntime;

/// A member of the Raft group, as the others reach it.
///
/// A member's number in Raft is drawn when its store is made and never used again: a node that was wiped is another
/// member, since it does not remember what it voted. The number that people see is the catalogue's, found by address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// `host:port` of its HTTP API, which data nodes call too.
    pub http_addr: String,
    /// `host:port` at which the other meta nodes reach it.
    pub raft_addr: String,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The catalogue's index after it.
    pub index: u64,
    /// What it did, or why it was refused.
    pub result: Result<Applied, CatalogueError>,
}

openraft::declare_raft_types!(
    /// Types of the replicated catalogue.
    pub Types:
        D = Command,
        R = Outcome,
        NodeId = u64,
        Node = Member,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = SteadyRuntime,
);

pub(crate) type Raft = openraft::Raft<Types>;
pub(crate) type Entry = openraft::Entry<Types>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, Member>;
