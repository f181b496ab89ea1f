//! What a meta node answers on 8091: questions and answers, as heads of calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skywatch_meta::{Applied, Catalogue, CatalogueError, Command, Lease, NodeId};

use crate::announcements::Announcement;

/// `meta.watch`: tell me when there is something new.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {
    /// The index of the catalogue that the asker has.
    #[serde(default)]
    pub index: u64,
    /// How long to wait for another one.
    #[serde(default)]
    pub wait_ms: u64,
}

/// The answer to [`Watch`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watched {
    /// The index of the catalogue that the meta node has.
    pub index: u64,
    /// The term in which its latest entry was made.
    #[serde(default)]
    pub term: u64,
    /// HTTP address of the leader; empty if none is known.
    #[serde(default)]
    pub leader: String,
    /// Whatever was acknowledged longer ago than this is in it. Missing where that cannot be told, as on a meta node
    /// that is cut off.
    #[serde(default)]
    pub age_ms: Option<u64>,
    /// For how long the question had been here at that moment.
    #[serde(default)]
    pub waited_ms: u64,
    /// The catalogue, if it is newer than the asker's.
    #[serde(default)]
    pub catalogue: Option<Catalogue>,
}

/// `meta.execute`: carry out a command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Execute {
    /// Its times are those of whoever sends it.
    pub command: Command,
    /// A meta node passes on what came from somebody else, once.
    #[serde(default)]
    pub forwarded: bool,
}

/// The answer to [`Execute`]: what it did, or why the catalogue refused it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Executed {
    /// The index of the catalogue after it.
    pub index: u64,
    /// What it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<CatalogueError>,
}

/// `meta.lease`: let me be the one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskLease {
    /// For what.
    pub name: String,
    /// Who asks.
    pub owner: NodeId,
    /// For how long, counted from when it was asked for.
    pub duration_ms: u64,
    /// See [`Execute::forwarded`].
    #[serde(default)]
    pub forwarded: bool,
}

/// The answer to [`AskLease`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskedLease {
    /// Whether the asker has it.
    pub granted: bool,
    /// As it stands.
    pub lease: Lease,
}

/// `meta.release`: I need it no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseLease {
    /// For what.
    pub name: String,
    /// Who had it.
    pub owner: NodeId,
    /// The count of renewals at which it was held: a call that comes late takes nothing from who asked anew.
    #[serde(default)]
    pub renewals: Option<u64>,
}

/// `meta.announce`: somebody is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announce {
    /// The sender, or somebody it heard of.
    pub announcement: Announcement,
    /// How long ago it was heard of.
    #[serde(default)]
    pub age_ms: u64,
}

/// The answer to `meta.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// `meta`.
    pub node_type: String,
    /// Raft address of the leader; empty if none is known.
    pub leader: String,
    /// Where it says it is.
    pub http_addr: String,
    /// Where it says other meta nodes find it.
    pub raft_addr: String,
    /// Raft addresses of the members, itself included; empty before it belongs to a cluster.
    pub peers: Vec<String>,
    /// What the cluster is told apart by; 0 before it has a name.
    #[serde(rename = "clusterID")]
    pub cluster_id: u64,
    /// The member's number in Raft.
    pub member: u64,
    /// Whether somebody said what its host is called.
    pub is_named: bool,
    /// The index of its catalogue.
    pub index: u64,
    /// The release that runs there.
    pub version: String,
    /// What else a later release tells.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// `meta.join` to another meta node: forget what you were, so that you can become a member. Only a node that is no
/// member of another cluster does so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reset {
    /// The cluster that asks.
    pub(crate) cluster_id: u64,
    /// The member that is to go.
    pub(crate) member: u64,
}

/// `meta.dismiss` to the leader: take this member out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dismiss {
    /// Which.
    pub(crate) member: u64,
    /// Its HTTP address, by which the catalogue knows it.
    pub(crate) http_addr: String,
}
