//! One holder at a time, whatever happens to the leader.

use std::{collections::BTreeMap, time::Duration};

use skywatch_meta::{Command, NodeId};
use skywatch_meta_node::data_calls::AskLease;

use crate::wire::{Host, Wire, cluster, execute, leader};

const LASTS: Duration = Duration::from_secs(6);

async fn ask(host: &Host, owner: NodeId) -> Option<bool> {
    let question =
        AskLease { name: "cq".into(), owner, duration_ms: LASTS.as_millis() as u64, forwarded: false };
    host.node().lease(question).await.ok().map(|answer| answer.granted)
}

async fn data_node(host: &Host, name: &str) -> NodeId {
    let (tcp_addr, http_addr) = (format!("{name}:8088"), format!("{name}:8086"));
    let command = Command::CreateDataNode { tcp_addr, http_addr, https: false, labels: BTreeMap::new() };
    execute(host, command).await.result.expect("it is new").node.expect("it has a number")
}

#[tokio::test(start_paused = true)]
async fn a_lease_goes_to_another_only_after_it_has_run_out() {
    let hosts = cluster(&Wire::default(), 3, |_| ()).await;
    let (a, b) = (data_node(&hosts[0], "d1").await, data_node(&hosts[0], "d2").await);
    assert_eq!((a.0, b.0), (4, 5), "numbered on from the meta nodes");
    assert_eq!(ask(&hosts[1], a).await, Some(true));
    assert_eq!(ask(&hosts[2], b).await, Some(false));
    tokio::time::sleep(LASTS / 2).await;
    assert_eq!(ask(&hosts[0], a).await, Some(true), "renewed");
    tokio::time::sleep(LASTS - Duration::from_secs(1)).await;
    let standing = hosts[0].node().catalogue().1.lease("cq").expect("granted").clone();
    let left = hosts[leader(&hosts)].node().lease_remains(&standing);
    assert!((Duration::from_millis(800)..=Duration::from_millis(1_200)).contains(&left), "{left:?}");
    assert_eq!(ask(&hosts[2], b).await, Some(false), "not so long since the renewal");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(ask(&hosts[2], b).await, Some(true));
    assert_eq!(ask(&hosts[1], a).await, Some(false));
    // Given back, nobody need wait.
    execute(&hosts[1], Command::ReleaseLease { name: "cq".into(), owner: b, renewals: None }).await;
    assert_eq!(ask(&hosts[1], a).await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_knows_the_lease_and_waits_its_whole_length() {
    let wire = Wire::default();
    let hosts = cluster(&wire, 3, |_| ()).await;
    let (a, b) = (data_node(&hosts[0], "d1").await, data_node(&hosts[0], "d2").await);
    assert_eq!(ask(&hosts[0], a).await, Some(true));
    let granted = tokio::time::Instant::now();
    let old = leader(&hosts);
    wire.cut(&hosts[old].name);
    let asked = &hosts[(old + 1) % 3];
    loop {
        let before = granted.elapsed();
        match ask(asked, b).await {
            Some(true) => {
                assert!(before >= LASTS, "{before:?}");
                break;
            }
            Some(false) | None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        assert!(before < LASTS * 3, "nobody ever gets it");
    }
}
