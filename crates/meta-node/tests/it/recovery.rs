//! Most meta nodes are lost for good, and the cluster begins anew from what is left.

use std::{sync::Arc, time::Duration};

use skywatch_meta::{Catalogue, Command};
use skywatch_meta_node::{
    ExecuteError, INDEX_LEAP, Member, Memory, RecoveryError, Remains, begin_anew, remains,
};

use crate::wire::{Host, Wire, alike, cluster, create, execute, leader};

fn member(host: &Host) -> Member {
    Member { http_addr: host.http(), raft_addr: format!("{}:8089", host.name) }
}

/// The host begins anew, from what is left somewhere.
async fn recover(host: &mut Host, left: &Remains) -> Remains {
    let disk = Memory::new();
    let begun = begin_anew(&disk, left, member(host), 77).expect("a store can be made");
    host.refit(disk);
    host.boot().await;
    begun
}

#[tokio::test(start_paused = true)]
async fn one_of_three_goes_on_alone_and_takes_in_others() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |settings| settings.snapshot_after = 4).await;
    for number in 0..10 {
        execute(&hosts[0], create(&format!("db{number}"))).await;
    }
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    let cluster_id = hosts[0].catalogue().cluster_id();
    let index = hosts[0].node().catalogue().0;
    for host in &mut hosts {
        host.stop().await;
    }
    hosts[2].boot().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let alone = hosts[2].node().execute(create("x")).await;
    assert!(matches!(alone, Err(ExecuteError::NoLeader { .. })), "{alone:?}");
    hosts[2].stop().await;

    let left = remains(hosts[2].disk()).unwrap().expect("it was a member");
    assert_eq!(left.index, index);
    let begun = recover(&mut hosts[2], &left).await;
    assert_eq!(begun.index, index + INDEX_LEAP, "whoever follows takes it for newer");
    let catalogue = hosts[2].catalogue();
    assert_eq!((catalogue.cluster_id(), catalogue.databases().len()), (cluster_id, 10));
    let record = hosts[2].node().join(&hosts[2].http()).await.unwrap();
    assert_eq!(record.id.0, 3, "for people it is the same node");
    execute(&hosts[2], create("after")).await;

    // One with the disk of before is told to forget it, and one without a disk is as new.
    hosts[0].boot().await;
    hosts[1].refit(Memory::new());
    hosts[1].boot().await;
    for place in [0, 1] {
        let address = hosts[place].http();
        hosts[2].node().join(&address).await.unwrap();
    }
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    assert_eq!(hosts[2].node().status().peers.len(), 3);
    assert_eq!(hosts[0].catalogue().databases().len(), 11);
    // It is a cluster like any other: without its leader it goes on, and a restart finds everything.
    let leads = leader(&hosts);
    hosts[leads].stop().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    execute(&hosts[(leads + 1) % 3], create("more")).await;
    hosts[leads].boot().await;
    alike(&hosts.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_survivor_does_not_know_to_be_decided_is_kept() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |_| ()).await;
    let leads = leader(&hosts);
    // The leader writes it down, and nobody else hears of it.
    let name = hosts[leads].name.clone();
    wire.cut(&name);
    let alone = hosts[leads].node().execute(create("undecided")).await;
    assert!(alone.is_err(), "{alone:?}");
    for host in &mut hosts {
        host.stop().await;
    }
    wire.heal();
    let left = remains(hosts[leads].disk()).unwrap().unwrap();
    assert!(left.catalogue.database("undecided").is_some());
    recover(&mut hosts[leads], &left).await;
    assert!(hosts[leads].catalogue().database("undecided").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_new_host_begins_from_a_catalogue_alone() {
    let mut catalogue = Catalogue::default();
    for command in [
        Command::NameCluster { id: 9 },
        Command::CreateMetaNode { http_addr: "m1:8091".into(), raft_addr: "m1:8089".into() },
        create("db"),
    ] {
        catalogue.apply(&command).unwrap();
    }
    let left = Remains { index: 3, catalogue: Arc::new(catalogue) };
    let mut host = Host::start(&Wire::default(), "m9", |_| ()).await;
    host.stop().await;
    let begun = recover(&mut host, &left).await;
    let named: Vec<(u64, &str)> =
        begun.catalogue.meta_nodes().iter().map(|node| (node.id.0, node.http_addr.as_str())).collect();
    assert_eq!(named, [(2, "m9:8091")], "the lost one is not named any more");
    host.node().join(&host.http()).await.unwrap();
    execute(&host, create("more")).await;
    assert_eq!(host.catalogue().cluster_id(), 9);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_of_nothing_and_nothing_is_overwritten() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 1, |_| ()).await;
    let mut new = Host::start(&wire, "m2", |_| ()).await;
    new.stop().await;
    assert!(remains(new.disk()).unwrap().is_none(), "it was no member");
    hosts[0].stop().await;
    let left = remains(hosts[0].disk()).unwrap().unwrap();
    let refused = begin_anew(hosts[0].disk(), &left, member(&hosts[0]), 5);
    assert!(matches!(refused, Err(RecoveryError::Occupied(_))), "{refused:?}");
}
