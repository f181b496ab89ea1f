//! Where copies of shards go: pure planning over numbers of nodes and where they stand.
//!
//! As in InfluxDB a group has as few shards as let every node own equally many copies, dealt round robin to the nodes in
//! order of their ids. Labels add to that: copies of a shard share a rack only if there are fewer racks than copies, and a data
//! centre only as often as the number of data centres demands. Where round robin does not give that by itself, copies are
//! dealt as follows; the example has two nodes in rack a, one in rack b and two copies, so three shards and six copies.
//!
//! 1. Every node gets its load, one copy after the other to whoever has least, with no rack (data centre) getting more than
//!    its shards can take: b may hold one copy of each of the three shards, and does. Loads: a1 2, a2 1, b1 3. Because the
//!    bounds are nested, this is as even as the bounds permit, and even where they permit it.
//! 2. The loads are laid out one after the other, nodes of a rack beside each other, racks of a data centre too, and every
//!    copy goes to the next shard: `a1 a1 a2 b1 b1 b1` to shards `1 2 3 1 2 3`. What lies together in the row comes around
//!    to the same shard only after all others, so no node, rack or data centre holds more of one shard than it has to.

use std::collections::BTreeMap;

use crate::NodeId;

/// Labels that say where a node stands. A rack's name counts within its data centre.
const RACK: &str = "rack";
const DATA_CENTRE: &str = "dc";

type Labels = BTreeMap<String, String>;

/// A node, and where it stands in numbers: equal numbers stand together. Racks are numbered through all data centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) node: NodeId,
    rack: usize,
    data_centre: usize,
}

/// What tells one place from another. A node without a label stands alone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Named(Option<&'a str>, Option<&'a str>),
    Alone(NodeId),
}

/// The places of nodes, in order of their ids.
pub(crate) fn sites<'a>(nodes: impl IntoIterator<Item = (NodeId, Option<&'a Labels>)>) -> Vec<Site> {
    let nodes: BTreeMap<NodeId, Option<&Labels>> = nodes.into_iter().collect();
    let places: Vec<_> = nodes
        .iter()
        .map(|(&node, labels)| {
            let label = |name| labels.and_then(|labels| labels.get(name)).map(String::as_str);
            let (data_centre, rack) = (label(DATA_CENTRE), label(RACK));
            let rack_place = rack.map_or(Place::Alone(node), |_| Place::Named(data_centre, rack));
            // A rack in no data centre is one by itself, so that a rack never lies in two.
            let dc_place = match (data_centre, rack) {
                (None, None) => Place::Alone(node),
                (None, Some(_)) => Place::Named(None, rack),
                (Some(_), _) => Place::Named(data_centre, None),
            };
            (node, rack_place, dc_place)
        })
        .collect();
    let racks = numbered(places.iter().map(|(_, rack, _)| rack));
    let data_centres = numbered(places.iter().map(|(_, _, data_centre)| data_centre));
    places
        .iter()
        .map(|(node, rack, data_centre)| Site {
            node: *node,
            rack: racks[rack],
            data_centre: data_centres[data_centre],
        })
        .collect()
}

fn numbered<'p, 'a>(places: impl Iterator<Item = &'p Place<'a>>) -> BTreeMap<&'p Place<'a>, usize>
where
    'a: 'p,
{
    let mut numbers: BTreeMap<_, usize> = places.map(|place| (place, 0)).collect();
    numbers.values_mut().enumerate().for_each(|(number, slot)| *slot = number);
    numbers
}

/// Shards of a new group: as few as let every node own equally many copies.
pub(crate) fn shard_count(node_count: usize, copies: usize) -> usize {
    lcm(node_count, copies) / copies
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

/// Copies of a shard there can be.
pub(crate) fn copies_of(replica_n: u32, node_count: usize) -> usize {
    usize::try_from(replica_n).unwrap_or(usize::MAX).clamp(1, node_count.max(1))
}

/// Owners of each of `shard_count` shards; `turn` moves the start, so that the first nodes do not get every remainder.
/// There must be a site, and no more copies than sites.
pub(crate) fn plan_owners(sites: &[Site], copies: usize, shard_count: usize, turn: u64) -> Vec<Vec<NodeId>> {
    assert!((1..=sites.len()).contains(&copies), "{copies} copies on {} nodes", sites.len());
    let turn = (turn % sites.len() as u64) as usize;
    let bounds = Bounds::of(sites, copies);
    let dealt = deal_round_robin(sites, copies, shard_count, turn);
    let dealt = if dealt.iter().all(|owners| bounds.permit(owners)) {
        dealt
    } else {
        deal_apart(sites, &bounds, copies * shard_count, shard_count, turn)
    };
    dealt.into_iter().map(|owners| owners.into_iter().map(|site| site.node).collect()).collect()
}

/// How many copies of one shard a rack and a data centre hold at most: as few as can be.
#[derive(Debug)]
struct Bounds {
    rack: usize,
    data_centre: usize,
}

impl Bounds {
    fn of(sites: &[Site], copies: usize) -> Self {
        let nodes_by_rack = count_by(sites, |site| (site.data_centre, site.rack));
        let rack = least_bound(&nodes_by_rack.values().copied().collect::<Vec<_>>(), copies);
        let mut room_by_data_centre: BTreeMap<usize, usize> = BTreeMap::new();
        for ((data_centre, _), nodes) in nodes_by_rack {
            *room_by_data_centre.entry(data_centre).or_default() += nodes.min(rack);
        }
        let data_centre = least_bound(&room_by_data_centre.into_values().collect::<Vec<_>>(), copies);
        Self { rack, data_centre }
    }

    fn permit(&self, owners: &[Site]) -> bool {
        count_by(owners, |site| site.rack).values().all(|&count| count <= self.rack)
            && count_by(owners, |site| site.data_centre).values().all(|&count| count <= self.data_centre)
    }
}

/// The least number of copies per place with which all copies find room. All together there must be room.
fn least_bound(rooms: &[usize], copies: usize) -> usize {
    let takes = |bound: usize| rooms.iter().map(|room| room.min(&bound)).sum::<usize>() >= copies;
    (1..copies).find(|&bound| takes(bound)).unwrap_or(copies)
}

fn count_by<K: Ord>(sites: &[Site], key: impl Fn(&Site) -> K) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for site in sites {
        *counts.entry(key(site)).or_default() += 1;
    }
    counts
}

fn deal_round_robin(sites: &[Site], copies: usize, shard_count: usize, turn: usize) -> Vec<Vec<Site>> {
    let mut next = sites.iter().copied().cycle().skip(turn);
    (0..shard_count).map(|_| next.by_ref().take(copies).collect()).collect()
}

/// See the head of the file.
fn deal_apart(
    sites: &[Site],
    bounds: &Bounds,
    total: usize,
    shard_count: usize,
    turn: usize,
) -> Vec<Vec<Site>> {
    let loads = plan_loads(sites, bounds, total, shard_count, turn);
    let mut row: Vec<(Site, usize)> = sites.iter().copied().zip(loads).collect();
    row.sort_by_key(|(site, _)| (site.data_centre, site.rack, site.node));
    let copies = row.into_iter().flat_map(|(site, load)| std::iter::repeat_n(site, load));
    let mut dealt = vec![Vec::new(); shard_count];
    for (place, site) in copies.enumerate() {
        dealt[(place + turn) % shard_count].push(site);
    }
    dealt
}

/// How many copies each site gets. A remainder begins with the site at `turn`.
fn plan_loads(sites: &[Site], bounds: &Bounds, total: usize, shard_count: usize, turn: usize) -> Vec<usize> {
    let mut loads = vec![0; sites.len()];
    let mut by_rack: BTreeMap<usize, usize> = BTreeMap::new();
    let mut by_data_centre: BTreeMap<usize, usize> = BTreeMap::new();
    for _ in 0..total {
        let has_room = |&index: &usize| {
            let site = &sites[index];
            let held = |counts: &BTreeMap<usize, usize>, key| counts.get(&key).copied().unwrap_or(0);
            loads[index] < shard_count
                && held(&by_rack, site.rack) < bounds.rack * shard_count
                && held(&by_data_centre, site.data_centre) < bounds.data_centre * shard_count
        };
        let least = (0..sites.len())
            .filter(has_room)
            .min_by_key(|&index| (loads[index], (index + sites.len() - turn) % sites.len()))
            .expect("the bounds leave room for every copy");
        loads[least] += 1;
        *by_rack.entry(sites[least].rack).or_default() += 1;
        *by_data_centre.entry(sites[least].data_centre).or_default() += 1;
    }
    loads
}

/// The best of the sites for one more copy beside those at `owners`, which are among the sites: in another rack, then in
/// another data centre, then whoever has least, then the lowest id.
pub(crate) fn choose_owner(
    sites: &[Site],
    owners: &[NodeId],
    load_of: impl Fn(NodeId) -> usize,
) -> Option<NodeId> {
    let held: Vec<Site> = sites.iter().copied().filter(|site| owners.contains(&site.node)).collect();
    let beside = |site: &Site| {
        let in_rack = held.iter().filter(|other| other.rack == site.rack).count();
        let in_data_centre = held.iter().filter(|other| other.data_centre == site.data_centre).count();
        (in_rack, in_data_centre, load_of(site.node), site.node)
    };
    sites
        .iter()
        .filter(|site| !owners.contains(&site.node))
        .min_by_key(|site| beside(site))
        .map(|site| site.node)
}

#[cfg(test)]
mod tests;
