//! Coming, going, and coming back.

use std::{collections::BTreeMap, time::Duration};

use skywatch_meta::Command;
use skywatch_meta_node::{ExecuteError, MembershipError};

use crate::wire::{Host, Wire, alike, cluster, create, execute, leader, until};

#[tokio::test(start_paused = true)]
async fn nothing_begins_before_somebody_says_so() {
    let wire = Wire::default();
    let host = Host::start(&wire, "m1", |_| ()).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(host.node().execute(create("x")).await, Err(ExecuteError::NoCluster));
    assert_eq!(host.node().join("m1:8091").await.unwrap().id.0, 1);
    assert_ne!(host.catalogue().cluster_id(), 0);
    assert_eq!(host.node().join("m1:8091").await.unwrap().id.0, 1, "and again");
}

#[tokio::test(start_paused = true)]
async fn the_same_node_twice_is_one() {
    let hosts = cluster(&Wire::default(), 3, |_| ()).await;
    let leads = leader(&hosts);
    for (number, host) in hosts.iter().enumerate() {
        assert_eq!(hosts[leads].node().join(&host.http()).await.unwrap().id.0, number as u64 + 1);
    }
    let elsewhere = hosts[(leads + 1) % 3].node().join("m9:8091").await.unwrap_err();
    assert!(matches!(elsewhere, MembershipError::Unreachable { .. }), "{elsewhere}");
    let elsewhere = hosts[(leads + 1) % 3].node().join("m1:8091").await.unwrap_err();
    let MembershipError::Elsewhere(member) = elsewhere else { panic!("{elsewhere}") };
    assert_eq!(member.http_addr, hosts[leads].http());
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_cluster_stays_there() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 1, |_| ()).await;
    let other = Host::start(&wire, "o1", |settings| settings.single_server = true).await;
    let error = hosts[0].node().join(&other.http()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "meta node at \"o1:8091\" is a member of another cluster: leader=o1:8089 peers=[o1:8089]"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_node_that_is_asked_to_add_one_of_another_cluster_begins_none() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 1, |_| ()).await;
    let new = Host::start(&wire, "m9", |_| ()).await;
    let error = new.node().join(&hosts[0].http()).await.unwrap_err();
    assert!(matches!(error, MembershipError::OtherCluster { .. }), "{error}");
    assert!(new.catalogue().cluster_id() == 0 && new.node().status().peers.is_empty());
    assert_eq!(hosts[0].node().join(&new.http()).await.unwrap().id.0, 2, "it is free to be added there");
}

#[tokio::test(start_paused = true)]
async fn addresses_that_others_cannot_use_are_refused_before_anything_begins() {
    let wire = Wire::default();
    let host = Host::start(&wire, "m1", |_| ()).await;
    let unnamed = Host::start(&wire, "m2", |settings| settings.is_named = false).await;
    let error = host.node().join(&unnamed.http()).await.unwrap_err().to_string();
    assert!(error.contains("hostname") && error.contains("m2:8091"), "{error}");
    let local = Host::start(&wire, "m3", |settings| settings.raft_addr = "localhost:8089".into()).await;
    let error = host.node().join(&local.http()).await.unwrap_err().to_string();
    assert!(error.contains("only its own host knows"), "{error}");
    assert_eq!(host.catalogue().cluster_id(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_leader_leaves_and_comes_back_as_new() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 3, |_| ()).await;
    execute(&hosts[0], create("kept")).await;
    let left = leader(&hosts);
    hosts[left].node().leave().await.unwrap();
    assert_eq!(hosts[left].catalogue().cluster_id(), 0, "it has forgotten everything");
    assert!(hosts[left].node().status().peers.is_empty());
    let rest: Vec<&Host> = hosts.iter().filter(|host| host.name != hosts[left].name).collect();
    until("another leader", || rest.iter().any(|host| host.leads())).await;
    execute(rest[0], create("more")).await;
    alike(&rest).await;
    assert_eq!(rest[0].catalogue().meta_nodes().len(), 2);
    let leads = rest.iter().find(|host| host.leads()).unwrap();
    let record = leads.node().join(&hosts[left].http()).await.unwrap();
    assert_eq!(record.id.0, 4, "numbers are not given out twice");
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    let in_order: Vec<String> =
        [rest[0], rest[1], &hosts[left]].map(|host| format!("{}:8089", host.name)).into();
    until("peers as they are numbered", || hosts.iter().all(|host| host.node().status().peers == in_order))
        .await;
    assert!(hosts[left].catalogue().database("more").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_follower_leaves_through_the_leader() {
    let hosts = cluster(&Wire::default(), 3, |_| ()).await;
    let leads = leader(&hosts);
    let left = (leads + 1) % 3;
    hosts[left].node().leave().await.unwrap();
    assert_eq!(hosts[left].catalogue().cluster_id(), 0);
    assert_eq!(hosts[leads].catalogue().meta_nodes().len(), 2);
    assert_eq!(hosts[leads].node().status().peers.len(), 2);
    // The two that are left are a cluster of two.
    execute(&hosts[(leads + 2) % 3], create("x")).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_was_removed_while_it_was_away_comes_back_when_it_is_asked() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |_| ()).await;
    let leads = leader(&hosts);
    let gone = (leads + 1) % 3;
    hosts[gone].stop().await;
    let address = hosts[gone].http();
    hosts[leads].node().remove(&address).await.unwrap();
    let again = hosts[leads].node().remove(&address).await.unwrap_err();
    assert_eq!(again, MembershipError::NotFound(address.clone()));
    execute(&hosts[leads], create("meanwhile")).await;
    hosts[gone].boot().await;
    // It does not know, and does no harm.
    tokio::time::sleep(Duration::from_secs(20)).await;
    execute(&hosts[leads], create("undisturbed")).await;
    assert!(hosts[gone].catalogue().database("meanwhile").is_none());
    let leads = leader(&hosts);
    assert_eq!(hosts[leads].node().join(&address).await.unwrap().id.0, 4);
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    assert_eq!(hosts[leads].node().status().peers.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_disk_is_taken_in_as_another() {
    let wire = Wire::default();
    let mut hosts = cluster(&wire, 3, |_| ()).await;
    let leads = leader(&hosts);
    let lost = (leads + 1) % 3;
    hosts[lost].stop().await;
    let name = hosts[lost].name.clone();
    hosts[lost] = Host::start(&wire, &name, |settings| settings.seed += 1_000).await;
    let record = hosts[leads].node().join(&hosts[lost].http()).await.unwrap();
    assert_eq!(record.id.0, lost as u64 + 1, "for people it is the same node");
    alike(&hosts.iter().collect::<Vec<_>>()).await;
    assert_eq!(hosts[leads].node().status().peers.len(), 3, "and the one that forgot its votes is out");
}

#[tokio::test(start_paused = true)]
async fn the_last_one_stays_while_data_nodes_need_it() {
    let hosts = cluster(&Wire::default(), 1, |_| ()).await;
    let (tcp_addr, http_addr) = ("d1:8088".to_owned(), "d1:8086".to_owned());
    let command = Command::CreateDataNode { tcp_addr, http_addr, https: false, labels: BTreeMap::new() };
    let id = execute(&hosts[0], command).await.result.unwrap().node.unwrap();
    assert!(matches!(hosts[0].node().leave().await, Err(MembershipError::Last(_))));
    execute(&hosts[0], Command::DeleteDataNode { id, at_ns: 0 }).await;
    hosts[0].node().leave().await.unwrap();
    assert_eq!(hosts[0].node().join("m1:8091").await.unwrap().id.0, 1, "as new");
}
