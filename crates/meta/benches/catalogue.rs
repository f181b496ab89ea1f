//! What a large catalogue costs: 100 data nodes, some ten thousand shards, two copies each.

use std::{collections::BTreeMap, hint::black_box};

use divan::{Bencher, counter::BytesCount};
use skywatch_meta::{Catalogue, Command, NodeId, RetentionPolicySpec, repair_plan};

const NODES: u64 = 100;
/// 50 shards each.
const GROUPS: i64 = 200;
const DAY_NS: i64 = 86_400_000_000_000;

fn large() -> Catalogue {
    let mut catalogue = Catalogue::default();
    let mut done = |command: &Command| drop(catalogue.apply(command).expect("nothing to refuse"));
    for node in 0..NODES {
        done(&Command::CreateDataNode {
            tcp_addr: format!("data{node}.example:8088"),
            http_addr: format!("data{node}.example:8086"),
            https: false,
            labels: BTreeMap::from([("rack".to_owned(), format!("r{}", node % 10))]),
        });
    }
    for database in ["a", "b"] {
        let policy = RetentionPolicySpec {
            name: "autogen".into(),
            duration_ns: 0,
            shard_group_duration_ns: DAY_NS,
            replica_n: Some(2),
        };
        done(&Command::CreateDatabase { name: database.into(), policy: Some(policy) });
        for day in 0..GROUPS / 2 {
            done(&create_group(database, day));
        }
    }
    catalogue
}

fn create_group(database: &str, day: i64) -> Command {
    Command::CreateShardGroup {
        database: database.into(),
        retention_policy: "autogen".into(),
        time_ns: day * DAY_NS,
        nodes: Vec::new(),
    }
}

fn main() {
    divan::main();
}

#[divan::bench]
fn clone(bencher: Bencher<'_, '_>) {
    let catalogue = large();
    bencher.bench_local(|| black_box(&catalogue).clone());
}

/// As a host does it: a copy is changed and takes the place of the other.
fn apply(bencher: Bencher<'_, '_>, command: &Command) {
    let catalogue = large();
    bencher.bench_local(|| {
        let mut next = black_box(&catalogue).clone();
        next.apply(command).expect("nothing to refuse");
        next
    });
}

#[divan::bench]
fn clone_and_renew_a_lease(bencher: Bencher<'_, '_>) {
    let (name, owner) = ("continuous_querier".to_owned(), NodeId(1));
    apply(bencher, &Command::AcquireLease { name, owner, duration_ms: 60_000, unrenewed: None });
}

#[divan::bench]
fn clone_and_create_a_group(bencher: Bencher<'_, '_>) {
    apply(bencher, &create_group("a", GROUPS));
}

#[divan::bench]
fn clone_and_add_an_owner(bencher: Bencher<'_, '_>) {
    apply(bencher, &Command::AddShardOwner { shard: 10_000, node: NodeId(1), joining: true });
}

#[divan::bench]
fn clone_and_delete_a_node(bencher: Bencher<'_, '_>) {
    apply(bencher, &Command::DeleteDataNode { id: NodeId(50), at_ns: 1 });
}

#[divan::bench]
fn find_a_shard(bencher: Bencher<'_, '_>) {
    let catalogue = large();
    let mut id = 0;
    bencher.bench_local(|| {
        id = id % 10_000 + 1;
        catalogue.live_shard(id).map(|shard| shard.owners.len())
    });
}

#[divan::bench]
fn find_the_first_shard_after_a_change(bencher: Bencher<'_, '_>) {
    let catalogue = large();
    bencher
        .with_inputs(|| catalogue.clone())
        .bench_local_values(|catalogue| catalogue.live_shard(5_000).map(|shard| shard.owners.len()));
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let catalogue = large();
    let size = BytesCount::new(catalogue.to_bytes().len());
    bencher.counter(size).bench_local(|| catalogue.to_bytes());
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let bytes = large().to_bytes();
    bencher.bench_local(|| Catalogue::from_bytes(black_box(&bytes)).expect("what was written"));
}

#[divan::bench]
fn plan_repairs(bencher: Bencher<'_, '_>) {
    let mut catalogue = large();
    catalogue.apply(&Command::DeleteDataNode { id: NodeId(50), at_ns: 1 }).expect("nothing to refuse");
    bencher.bench_local(|| repair_plan(black_box(&catalogue), &[], 100));
}
