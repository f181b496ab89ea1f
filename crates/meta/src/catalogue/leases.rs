//! Who does what only one node does at a time. Time is no business of the catalogue: it counts renewals, and a host that has
//! seen a count stand still for as long as the lease lasts says so in the command.

use super::Catalogue;
use crate::{Lease, NodeId, command::Applied, error::CatalogueError};

/// Names are few and known; whoever asks for more is mistaken, and none is ever forgotten.
const LEASES_MAX: usize = 64;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Owner of a lease that has been given back.
const NOBODY: NodeId = NodeId(0);

impl Catalogue {
    /// The lease of that name, whoever holds it; [`NodeId`] 0 once it was given back.
    pub fn lease(&self, name: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.name == name)
    }

    /// All of them, whether somebody holds them or not.
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// A node that was removed must not go on holding what it held, so only nodes of the cluster are given anything.
    pub(super) fn acquire_lease(
        &mut self,
        name: &str,
        owner: NodeId,
        duration_ms: u64,
        unrenewed: Option<u64>,
    ) -> Result<Applied, CatalogueError> {
        if owner == NOBODY || !self.may_act(owner) {
            return Err(CatalogueError::NodeNotFound(owner.0));
        }
        let count = self.leases.len();
        let Some(lease) = self.leases.iter_mut().find(|lease| lease.name == name) else {
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                return Err(CatalogueError::InvalidName);
            }
            if count >= LEASES_MAX {
                return Err(CatalogueError::TooManyLeases(count));
            }
            let lease = Lease { name: name.to_owned(), owner, renewals: 1, duration_ms };
            self.leases.push(lease.clone());
            return Ok(Applied { lease: Some(lease), ..Applied::CHANGED });
        };
        let is_free = lease.owner == NOBODY || unrenewed == Some(lease.renewals);
        if lease.owner != owner && !is_free {
            return Ok(Applied { lease: Some(lease.clone()), ..Applied::default() });
        }
        lease.owner = owner;
        lease.renewals += 1;
        lease.duration_ms = duration_ms;
        Ok(Applied { lease: Some(lease.clone()), ..Applied::CHANGED })
    }

    /// The count of renewals goes on, so that who looked at it before is not misled. A request that comes late, when the
    /// owner has asked for the lease anew, must not take it away: it names the count it was about.
    pub(super) fn release_lease(&mut self, name: &str, owner: NodeId, renewals: Option<u64>) -> Applied {
        let is_meant = |lease: &&mut Lease| {
            lease.name == name && lease.owner == owner && renewals.is_none_or(|at| at == lease.renewals)
        };
        match self.leases.iter_mut().find(is_meant) {
            Some(lease) if owner != NOBODY => {
                lease.owner = NOBODY;
                lease.renewals += 1;
                Applied { lease: Some(lease.clone()), ..Applied::CHANGED }
            }
            _ => Applied::default(),
        }
    }
}

#[cfg(test)]
mod tests;
