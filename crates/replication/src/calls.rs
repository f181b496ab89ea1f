//! What data nodes say to each other about operations: method names, questions and answers. Bodies of `apply` are
//! operations one after the other, each behind its length; the answer has an outcome for each.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use skywatch_meta::NodeId;
use skywatch_rpc::Failure;
use skywatch_storage::wire::{Malformed, Reader, put_varint};

use crate::owner::Report;

/// Applies operations.
pub const APPLY: &str = "replication.apply";
/// A node is back and asks for what waits for it.
pub const HELLO: &str = "replication.hello";
/// Asks a node to make sure that its copy of the catalogue has seen so many commands.
pub const REACH: &str = "replication.reach";

/// Head of [`APPLY`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ApplyQuestion {
    /// Whether this is catching up, for which no client waits.
    #[serde(default)]
    pub late: bool,
    /// Positions of writes that were acknowledged before any owner had looked at them: what of them cannot be stored is kept
    /// aside, since nobody was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<u32>,
}

/// Answer to [`APPLY`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ApplyAnswer {
    /// One for each operation, in order.
    pub outcomes: Vec<ApplyOutcome>,
}

/// What became of an operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyOutcome {
    /// It is stored, as far as it can be.
    Stored(Report),
    /// It is not.
    Failed(Failure),
}

/// Head of [`HELLO`].
#[derive(Debug, Serialize, Deserialize)]
pub struct HelloQuestion {
    /// Who asks.
    pub node: NodeId,
}

/// Answer to [`HELLO`].
#[derive(Debug, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// How many operations wait for the node here.
    pub waiting: u64,
    /// How many commands the catalogue has seen here.
    #[serde(default)]
    pub index: u64,
}

/// Head of [`REACH`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ReachQuestion {
    /// How many commands.
    pub index: u64,
}

/// Answer to [`REACH`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ReachAnswer {
    /// Whether it has.
    pub reached: bool,
}

/// Asks an owner whether it can remember a further delete.
pub const ROOM: &str = "replication.room";

/// Head of [`ROOM`].
#[derive(Debug, Serialize, Deserialize)]
pub struct RoomQuestion {
    /// Of which shard.
    pub shard: u64,
}

/// Answer to [`ROOM`].
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomAnswer {
    /// Why not, if so.
    pub refusal: Option<String>,
}

/// A body of operations.
pub fn join<'a>(operations: impl IntoIterator<Item = &'a Bytes>) -> Bytes {
    let mut body = Vec::new();
    for operation in operations {
        put_varint(&mut body, operation.len() as u64);
        body.extend_from_slice(operation);
    }
    body.into()
}

/// The operations of a body.
pub fn split(body: &Bytes) -> Result<Vec<Bytes>, Malformed> {
    let mut reader = Reader::new(body);
    let mut operations = Vec::new();
    while reader.remaining() > 0 {
        operations.push(body.slice_ref(reader.bytes()?));
    }
    Ok(operations)
}
