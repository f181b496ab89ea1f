//! Beginning a cluster anew from what is left of its catalogue, once most of its meta nodes are lost for good.
//!
//! Raft goes on only while more than half of the members are there. An operator who knows that the others will not come
//! back takes the newest catalogue that is left, be it in the store of a meta node or with a data node, and makes the store
//! of one meta node from it, the only member of the cluster. Others are then added to it as new ones.
//!
//! What is left may be a little older than what was acknowledged last. The catalogue therefore goes on at an index
//! ([`INDEX_LEAP`]) that the lost nodes cannot have reached, so that whoever follows it takes it for newer than what it
//! knows.

use std::{collections::BTreeMap, sync::Arc};

use openraft::{CommittedLeaderId, Membership, StorageError as RaftStorageError, Vote};
use skywatch_meta::{Catalogue, CatalogueError, Command};

use crate::{
    disk::Disk,
    machine::{Machine, Seen, freeze},
    raft_types::{Entry, LogId, Member, StoredMembership},
    store::{Description, Store, StoreError},
};

/// So many changes the lost nodes can have made at most since what is left of them. A busy cluster makes some ten a second:
/// this is more than a day of them.
pub const INDEX_LEAP: u64 = 1 << 20;

/// The first member's election follows upon this.
const TERM: u64 = 1;

/// A catalogue, and how many changes it has seen.
#[derive(Debug, Clone)]
pub struct Remains {
    /// As data nodes count them.
    pub index: u64,
    /// As of then.
    pub catalogue: Arc<Catalogue>,
}

/// Why a cluster does not begin anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A store cannot be read, or not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log does not follow upon the snapshot, or this release cannot read it.
    #[error("the log of the meta node's store cannot be carried out: {0}")]
    Log(String),
    /// There is a store where the new one should be.
    #[error("{0} is there already")]
    Occupied(String),
    /// The catalogue refuses the new member.
    #[error("the catalogue does not take the meta node: {0}")]
    Refused(#[from] CatalogueError),
}

impl From<Box<RaftStorageError<u64>>> for RecoveryError {
    fn from(error: Box<RaftStorageError<u64>>) -> Self {
        Self::Log(error.to_string())
    }
}

/// What the store of a meta node that does not run has of the catalogue: every change that came to its disk, also such as
/// it does not know to have been decided, since whoever knew that may be lost. `None` of a node that was no member.
pub fn remains(disk: &dyn Disk) -> Result<Option<Remains>, RecoveryError> {
    let Some(store) = Store::reopen(disk)? else { return Ok(None) };
    let mut seen = Machine::open(&store)?.seen();
    let next = seen.applied.map_or(0, |applied| applied.index + 1);
    let entries: Vec<Entry> = store.entries(next..)?;
    if seen.applied.is_none() && entries.is_empty() {
        return Ok(None);
    }
    for (expected, entry) in (next..).zip(entries) {
        if entry.log_id.index != expected {
            let found = entry.log_id.index;
            return Err(RecoveryError::Log(format!("entry {expected} is missing before entry {found}")));
        }
        Machine::apply_entry(&mut seen, entry).map_err(Box::new)?;
    }
    Ok(Some(Remains { index: seen.index, catalogue: seen.catalogue }))
}

/// Makes the store of the one member with which the cluster begins anew: `member`, whose number in Raft is `identity`. The disk
/// holds no store yet. Returns the catalogue as it is from then on: with this meta node and no other.
pub fn begin_anew(
    disk: &dyn Disk,
    remains: &Remains,
    member: Member,
    identity: u64,
) -> Result<Remains, RecoveryError> {
    if Store::reopen(disk)?.is_some() {
        return Err(RecoveryError::Occupied(disk.name()));
    }
    let mut catalogue = (*remains.catalogue).clone();
    let is_own =
        |http_addr: &str, raft_addr: &str| (http_addr, raft_addr) == (&member.http_addr, &member.raft_addr);
    let lost: Vec<_> = catalogue
        .meta_nodes()
        .iter()
        .filter(|node| !is_own(&node.http_addr, &node.raft_addr))
        .map(|node| node.id)
        .collect();
    for id in lost {
        catalogue.apply(&Command::DeleteMetaNode { id })?;
    }
    let Member { http_addr, raft_addr } = member.clone();
    catalogue.apply(&Command::CreateMetaNode { http_addr, raft_addr })?;

    let at = LogId::new(CommittedLeaderId::new(TERM, identity), remains.index + INDEX_LEAP);
    let members = Membership::new(vec![[identity].into()], BTreeMap::from([(identity, member)]));
    let seen = Seen {
        applied: Some(at),
        index: at.index,
        catalogue: Arc::new(catalogue),
        membership: StoredMembership::new(Some(at), members),
    };
    let description = Description {
        last_log_id: Some(at),
        last_membership: seen.membership.clone(),
        snapshot_id: format!("anew-{}", at.index),
    };
    let store = Store::open(disk, identity)?;
    store.save_snapshot(&description, &freeze(&seen))?;
    store.begin_after(at, Vote::new(TERM, identity))?;
    Ok(Remains { index: seen.index, catalogue: seen.catalogue })
}
