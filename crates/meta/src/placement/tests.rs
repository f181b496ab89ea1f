use proptest::prelude::*;

use super::*;

fn labelled(places: &[(Option<u8>, Option<u8>)]) -> Vec<(NodeId, Labels)> {
    let labels = |(data_centre, rack): (Option<u8>, Option<u8>)| {
        let named = [(DATA_CENTRE, data_centre), (RACK, rack)];
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_string())))
            .collect::<Labels>()
    };
    places.iter().enumerate().map(|(index, &place)| (NodeId(index as u64 + 1), labels(place))).collect()
}

fn sites_of(nodes: &[(NodeId, Labels)]) -> Vec<Site> {
    sites(nodes.iter().map(|(node, labels)| (*node, Some(labels))))
}

/// Nodes 1, 2, ... in these racks.
fn in_racks(racks: &[u8]) -> Vec<Site> {
    sites_of(&labelled(&racks.iter().map(|&rack| (None, Some(rack))).collect::<Vec<_>>()))
}

fn unlabelled(count: u64) -> Vec<Site> {
    sites((1..=count).map(|node| (NodeId(node), None)))
}

fn group(sites: &[Site], replica_n: u32, turn: u64) -> Vec<Vec<u64>> {
    let copies = copies_of(replica_n, sites.len());
    let dealt = plan_owners(sites, copies, shard_count(sites.len(), copies), turn);
    dealt.into_iter().map(|owners| owners.into_iter().map(|node| node.0).collect()).collect()
}

fn loads(dealt: &[Vec<u64>], sites: &[Site]) -> Vec<usize> {
    let load = |site: &Site| dealt.iter().flatten().filter(|&&owner| owner == site.node.0).count();
    sites.iter().map(load).collect()
}

/// Copies of one shard in one place, at most.
fn together(dealt: &[Vec<u64>], sites: &[Site], place: impl Fn(&Site) -> usize + Copy) -> usize {
    let most = |owners: &Vec<u64>| {
        let held: Vec<Site> = sites.iter().copied().filter(|site| owners.contains(&site.node.0)).collect();
        count_by(&held, place).into_values().max().unwrap_or(0)
    };
    dealt.iter().map(most).max().unwrap_or(0)
}

/// Without labels everything is as InfluxDB does it: rows are 1 to 6 nodes, columns replication factors 1 to 4.
#[test]
fn without_labels_shards_are_as_many_as_in_influxdb() {
    let shards = [[1, 1, 1, 1], [2, 1, 1, 1], [3, 3, 1, 1], [4, 2, 4, 1], [5, 5, 5, 5], [6, 3, 2, 3]];
    for (nodes, row) in (1..).zip(shards) {
        for (replica_n, expected) in (1..).zip(row) {
            for turn in 0..20 {
                let dealt = group(&unlabelled(nodes), replica_n, turn);
                assert_eq!(dealt.len(), expected, "{nodes} nodes, RF {replica_n}");
                let flat: Vec<u64> = dealt.concat();
                let round_robin = (0..).map(|n| (turn + n) % nodes + 1);
                assert_eq!(flat, round_robin.take(flat.len()).collect::<Vec<_>>());
                assert_eq!(flat.len(), expected * (replica_n as usize).min(nodes as usize));
                let loads = loads(&dealt, &unlabelled(nodes));
                assert!(loads.iter().all(|&load| load == loads[0]), "{loads:?}");
            }
        }
    }
}

#[test]
fn the_example_at_the_head_of_the_file() {
    let sites = in_racks(&[1, 1, 2]);
    assert_eq!(group(&sites, 2, 0), [[1, 3], [1, 3], [2, 3]]);
    assert_eq!(group(&sites, 2, 1), [[2, 3], [1, 3], [2, 3]], "the other node of the rack has its turn");
}

#[test]
fn a_rack_counts_within_its_data_centre() {
    let nodes = labelled(&[(Some(1), Some(1)), (Some(1), Some(1)), (Some(2), Some(1)), (Some(2), Some(1))]);
    let sites = sites_of(&nodes);
    let dealt = group(&sites, 2, 0);
    assert_eq!(together(&dealt, &sites, |site| site.rack), 1);
    assert_eq!(together(&dealt, &sites, |site| site.data_centre), 1);
    assert_eq!(loads(&dealt, &sites), [1; 4]);
}

#[test]
fn with_fewer_racks_than_copies_they_share_evenly() {
    let sites = in_racks(&[1, 1, 1, 2, 2, 2]);
    for turn in 0..6 {
        let dealt = group(&sites, 4, turn);
        assert_eq!((dealt.len(), together(&dealt, &sites, |site| site.rack)), (3, 2));
        assert_eq!(loads(&dealt, &sites), [2; 6]);
    }
}

#[test]
fn one_more_copy_goes_to_another_rack_and_to_who_has_least() {
    let sites = in_racks(&[1, 1, 2, 2]);
    let choose = |owners: &[u64], loads: [usize; 4]| {
        let owners: Vec<NodeId> = owners.iter().copied().map(NodeId).collect();
        choose_owner(&sites, &owners, |node| loads[node.0 as usize - 1]).map(|node| node.0)
    };
    assert_eq!(choose(&[1], [0, 0, 5, 6]), Some(3));
    assert_eq!(choose(&[1], [0, 0, 6, 6]), Some(3), "the lowest id");
    assert_eq!(choose(&[1, 3], [9, 4, 9, 3]), Some(4));
    assert_eq!(choose(&[], [1, 0, 1, 1]), Some(2));
    assert_eq!(choose(&[1, 2, 3, 4], [0; 4]), None);
}

fn places() -> impl Strategy<Value = Vec<(Option<u8>, Option<u8>)>> {
    let place = (prop::option::weighted(0.8, 0_u8..3), prop::option::weighted(0.9, 0_u8..5));
    prop::collection::vec(place, 1..13)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn copies_keep_apart_and_nodes_own_equally_much_where_that_can_be(
        places in places(), replica_n in 1_u32..6, turn in 0_u64..30
    ) {
        let nodes = labelled(&places);
        let sites = sites_of(&nodes);
        let copies = copies_of(replica_n, sites.len());
        let dealt = group(&sites, replica_n, turn);
        let shards = dealt.len();
        prop_assert_eq!(shards, shard_count(sites.len(), copies));
        for owners in &dealt {
            let mut distinct = owners.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!((owners.len(), distinct.len()), (copies, copies));
        }
        // No rack twice if there are racks enough; nor a data centre, if the racks leave that open.
        let racks = count_by(&sites, |site| site.rack);
        let data_centres = count_by(&sites, |site| site.data_centre);
        let (in_rack, in_data_centre) =
            (together(&dealt, &sites, |site| site.rack), together(&dealt, &sites, |site| site.data_centre));
        if racks.len() >= copies {
            prop_assert_eq!(in_rack, 1);
        }
        if data_centres.len() >= copies {
            prop_assert_eq!(in_data_centre, 1);
        }
        // Every node owns its share, unless a place would have to hold more of its nodes' shares than it may.
        let share = shards * copies / sites.len();
        let bounds = Bounds::of(&sites, copies);
        let fits = |counts: BTreeMap<usize, usize>, bound: usize| {
            counts.into_values().all(|nodes| nodes * share <= bound * shards)
        };
        if fits(racks, bounds.rack) && fits(data_centres, bounds.data_centre) {
            let loads = loads(&dealt, &sites);
            prop_assert!(loads.iter().all(|&load| load == share), "{:?}", loads);
        }
        // The order in which nodes are named is of no importance.
        let reversed = sites_of(&nodes.into_iter().rev().collect::<Vec<_>>());
        prop_assert_eq!(group(&reversed, replica_n, turn), dealt);
    }

    /// Nobody does better: one copy moved from a node to another that has at least two fewer would break a bound.
    #[test]
    fn loads_are_as_even_as_the_bounds_permit(
        places in places(), replica_n in 1_u32..6, turn in 0_u64..30
    ) {
        let sites = sites_of(&labelled(&places));
        let copies = copies_of(replica_n, sites.len());
        let shards = shard_count(sites.len(), copies);
        let bounds = Bounds::of(&sites, copies);
        let turn = (turn % sites.len() as u64) as usize;
        let loads = plan_loads(&sites, &bounds, shards * copies, shards, turn);
        for from in 0..sites.len() {
            for to in (0..sites.len()).filter(|&to| loads[to] + 1 < loads[from]) {
                let mut moved = loads.clone();
                moved[from] -= 1;
                moved[to] += 1;
                let within = |place: fn(&Site) -> usize, bound: usize| {
                    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
                    sites.iter().zip(&moved).for_each(|(site, load)| {
                        *held.entry(place(site)).or_default() += load;
                    });
                    held.into_values().all(|load| load <= bound * shards)
                };
                let is_better = moved[to] <= shards
                    && within(|site| site.rack, bounds.rack)
                    && within(|site| site.data_centre, bounds.data_centre);
                prop_assert!(!is_better, "{loads:?}: {from} could give to {to}");
            }
        }
    }
}
