//! Which owners may answer for a shard.

use skywatch_meta::{Catalogue, NodeId, Shard};

/// Who is asked for a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These nodes hold all of it, in the order in which they are asked.
    Whole(Vec<NodeId>),
    /// None does. The reason is told; these are asked if a partial answer is better than none.
    Lacking {
        /// Owners, those that lack least first.
        owners: Vec<NodeId>,
        /// Which of them lack what, and who keeps it.
        reason: String,
    },
}

/// Chooses who is asked: owners that are neither joining nor behind, those that answered last time first. Which of these
/// comes first depends on shard and asker, so that the load is shared.
pub fn choose(
    catalogue: &Catalogue,
    shard: &Shard,
    me: NodeId,
    is_absent: impl Fn(NodeId) -> bool,
) -> Choice {
    let is_whole = |owner: &NodeId| !shard.joining.contains(owner) && !catalogue.is_behind(*owner);
    let mut owners = shard.owners.clone();
    if !owners.is_empty() {
        let first = (shard.id.wrapping_add(me.0) % owners.len() as u64) as usize;
        owners.rotate_left(first);
    }
    owners.sort_by_key(|owner| (*owner != me, is_absent(*owner)));
    let whole: Vec<NodeId> = owners.iter().copied().filter(is_whole).collect();
    if !whole.is_empty() {
        return Choice::Whole(whole);
    }
    owners.sort_by_key(|owner| shard.joining.contains(owner));
    let told = |owner: &NodeId| {
        if shard.joining.contains(owner) {
            return format!("node {} is still being given a copy", owner.0);
        }
        let holders = catalogue.behind().iter().filter(|behind| behind.node == *owner);
        let holders: Vec<String> = holders.map(|behind| behind.holder.0.to_string()).collect();
        format!("node {} lacks writes that node {} keeps for it", owner.0, holders.join(" and node "))
    };
    let reason = match owners.is_empty() {
        true => "no node owns it".to_owned(),
        false => owners.iter().map(told).collect::<Vec<_>>().join("; "),
    };
    Choice::Lacking { owners, reason }
}
