//! Which nodes get copies in the place of those that went with others: a pure plan from a catalogue.
//!
//! Only copies that were lost are replaced. A node that joins the cluster, or a policy that wants more copies from now on,
//! moves nothing: both are for the groups to come, as in InfluxDB.

use crate::{
    Catalogue, Command, NodeId, RetentionPolicy, Shard,
    placement::{choose_owner, copies_of},
};

/// Commands that make nodes owners of shards which have too few, since nodes were removed, or are `gone` for good although
/// they were not removed. Shards with the fewest copies come first; of all nodes those are chosen that keep copies apart
/// (rack, then data centre), and that have least. No more than `at_once` owners are being filled at any time, so this is
/// asked again whenever one is confirmed.
///
/// A shard of which nobody has everything who is left is passed over: there is nothing to fill an owner from.
pub fn repair_plan(catalogue: &Catalogue, gone: &[NodeId], at_once: usize) -> Vec<Command> {
    let is_there = |node: &NodeId| !gone.contains(node) && catalogue.data_node(*node).is_some();
    let there: Vec<NodeId> = catalogue.data_nodes().iter().map(|node| node.id).filter(is_there).collect();
    let sites = if there.is_empty() { Vec::new() } else { catalogue.sites(&there) };
    let joining =
        catalogue.live_shards().flat_map(|shard| &shard.joining).filter(|node| is_there(node)).count();
    let mut copies_by_node = catalogue.copies_by_node();
    let mut wanting: Vec<Wanting<'_>> = with_policies(catalogue)
        .filter_map(|(policy, shard)| {
            let owners: Vec<NodeId> = shard.owners.iter().copied().filter(is_there).collect();
            let whole = shard.whole_owners().filter(is_there).count();
            let lost = shard.lost as usize + shard.owners.len() - owners.len();
            let wanted = copies_of(policy.replica_n, sites.len()).saturating_sub(owners.len()).min(lost);
            (whole > 0 && wanted > 0).then_some(Wanting { shard, owners, whole, wanted })
        })
        .collect();
    wanting.sort_by_key(|it| (it.whole, it.shard.id));
    let mut commands = Vec::new();
    for Wanting { shard, mut owners, wanted, .. } in wanting {
        for _ in 0..wanted {
            if joining + commands.len() >= at_once {
                return commands;
            }
            let load_of = |node| copies_by_node.get(&node).copied().unwrap_or(0);
            let Some(node) = choose_owner(&sites, &owners, load_of) else { break };
            owners.push(node);
            *copies_by_node.entry(node).or_default() += 1;
            commands.push(Command::AddShardOwner { shard: shard.id, node, joining: true });
        }
    }
    commands
}

/// A shard that lacks copies.
struct Wanting<'a> {
    shard: &'a Shard,
    /// Those that are there.
    owners: Vec<NodeId>,
    /// How many of them have everything.
    whole: usize,
    /// How many more it is to have.
    wanted: usize,
}

fn with_policies(catalogue: &Catalogue) -> impl Iterator<Item = (&RetentionPolicy, &Shard)> {
    let policies = catalogue.databases().iter().flat_map(|database| &database.retention_policies);
    policies.flat_map(|policy| {
        let shards = policy.live_shard_groups().flat_map(|group| &group.shards);
        shards.map(move |shard| (policy, shard))
    })
}

#[cfg(test)]
mod tests;
