//! `join` and `leave`, which look for the nodes of this machine.

use crate::backstage::{Reply, StandIn};

const META_STATUS: &str = r#"{"nodeType":"meta","leader":"","httpAddr":"","raftAddr":"","peers":[]}"#;
const META_MEMBER: &str =
    r#"{"nodeType":"meta","leader":"m:8089","httpAddr":"","raftAddr":"","peers":["m:8089"]}"#;
const DATA_STATUS: &str = r#"{"nodeType":"data","tcpAddr":"","nodeStatus":"disjoined","metaAddrs":[]}"#;

fn node(id: u64) -> String {
    format!(r#"{{"id":{id},"addr":"","tcpAddr":""}}"#)
}

#[tokio::test]
async fn the_first_machine_creates_the_cluster() {
    let meta = StandIn::start(&[
        ("GET /status", Reply::ok(META_STATUS)),
        ("GET /show-cluster", Reply::error(503, "no leader")),
        ("POST /join", Reply::ok(&node(1))),
        ("POST /add-data", Reply::ok(&node(2))),
    ])
    .await;
    let data = StandIn::start(&[("GET /status", Reply::ok(DATA_STATUS))]).await;
    let ran = meta.ctl(&format!("join -meta {} -data {}", meta.address, data.address)).await;
    let (m, d) = (&meta.address, &data.address);
    assert_eq!(
        ran.out,
        format!(
            "Joining meta node at {m}\n\
             Searching for meta node on {m}...\n\
             Searching for data node on {d}...\n\
             \n\
             Successfully created cluster\n\
             \n  \
               * Added meta node 1 at {m}\n  \
               * Added data node 2 at {d}\n\
             \n  \
               To join additional nodes to this cluster, run the following command:\n\
             \n  \
               influxd-ctl join {m}\n"
        )
    );
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
}

#[tokio::test]
async fn another_machine_joins_with_what_it_has() {
    let target = StandIn::start(&[
        ("GET /status", Reply::ok(META_MEMBER)),
        ("GET /show-cluster", Reply::ok("{}")),
        ("POST /add-data", Reply::ok(&node(7))),
    ])
    .await;
    let data = StandIn::start(&[("GET /status", Reply::ok(DATA_STATUS))]).await;
    let line = format!("join -p -v -meta 127.0.0.1:1 -data {} {}", data.address, target.address);
    let ran = target.ctl(&line).await;
    let bullets: Vec<&str> = ran.out.lines().skip(3).collect();
    let added = format!("  * Added data node 7 at {}", data.address);
    assert_eq!(
        bullets,
        [
            "",
            "Successfully joined cluster",
            "",
            "  * No meta node added.  Run with -v to see more information",
            &added,
        ]
    );
    assert!(
        ran.err.starts_with("join: no meta node added: cannot reach the meta node at 127.0.0.1:1"),
        "{}",
        ran.err
    );
    assert_eq!(ran.status, 0);
    let address = data.address.replace(':', "%3A");
    assert_eq!(target.posts(), [format!("POST /add-data addr={address}&passive=true")]);
}

#[tokio::test]
async fn names_and_ports_are_this_machines_unless_told() {
    let target = StandIn::start(&[("GET /status", Reply::ok(META_MEMBER))]).await;
    let ran = target.ctl(&format!("-timeout 1s join {}", target.address)).await;
    let expected = format!(
        "Joining meta node at {}\n\
         Searching for meta node on cluster-node-03:8091...\n\
         Searching for data node on cluster-node-03:8088...\n\
         \n\
         Failed to join cluster.  Run with -v to see more information\n",
        target.address
    );
    assert_eq!((ran.status, ran.out), (1, expected));
    assert_eq!(ran.err, "join: no node was added\n");
}

#[tokio::test]
async fn a_cluster_out_of_reach_is_told_with_common_problems() {
    let data = StandIn::start(&[("GET /status", Reply::ok(DATA_STATUS))]).await;
    let ran = data.ctl(&format!("join -meta 127.0.0.1:1 -data {} 127.0.0.1:2", data.address)).await;
    assert_eq!(ran.status, 1);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(ran.out, "Joining meta node at 127.0.0.1:2\n");
    assert_eq!(lines[..3], ["", "Unable to connect to 127.0.0.1:2", ""]);
    assert!(
        lines[3].starts_with("  operation timed out with error: cannot reach the meta node at"),
        "{lines:?}"
    );
    assert!(lines.contains(&"Common problems:"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"join: no node was added"));
}

#[tokio::test]
async fn both_nodes_leave() {
    let meta = StandIn::start(&[
        ("GET /status", Reply::ok(META_MEMBER)),
        ("POST /leave", Reply::no_content()),
        ("POST /remove-data", Reply::no_content()),
    ])
    .await;
    let joined = format!(
        r#"{{"nodeType":"data","tcpAddr":"d1:8088","nodeStatus":"joined","metaAddrs":["127.0.0.1:1","{}"]}}"#,
        meta.address
    );
    let data = StandIn::start(&[("GET /status", Reply::ok(&joined))]).await;
    let (m, d) = (&meta.address, &data.address);
    let ran = meta.ctl_answering(&format!("leave -meta {m} -data {d}"), "y\ny\n").await;
    assert_eq!(
        ran.out,
        format!(
            "Searching for data node on {d}...\n\
             Remove data node {d} from the cluster [y/N]: Removed {d} from the cluster\n\
             Searching for meta node on {m}...\n\
             Remove meta node {m} from the cluster [y/N]: Removed {m} from the cluster\n\
             \n\
             Successfully left cluster\n\
             \n  \
               * Removed data node {d} from cluster\n  \
               * Removed meta node {m} from cluster\n"
        )
    );
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    // The first meta node it knows does not answer; the second does it.
    assert_eq!(meta.posts(), ["POST /remove-data addr=d1%3A8088", "POST /leave"]);
}

#[tokio::test]
async fn a_machine_without_nodes_has_none_to_remove() {
    let alone = StandIn::start(&[("GET /status", Reply::ok(DATA_STATUS))]).await;
    let ran = alone.ctl(&format!("leave -meta 127.0.0.1:1 -data {}", alone.address)).await;
    let d = &alone.address;
    assert_eq!(
        ran.out,
        format!(
            "Searching for data node on {d}...\n  \
               * Data node at {d} is not part of a cluster\n\
             Searching for meta node on 127.0.0.1:1...\n  \
               * No meta node found.\n\
             No nodes removed from cluster.\n"
        )
    );
    assert_eq!(ran.status, 0);
}

#[tokio::test]
async fn whoever_does_not_say_yes_is_told_by_the_exit_status() {
    let meta = StandIn::start(&[("GET /status", Reply::ok(META_MEMBER))]).await;
    let m = &meta.address;
    let ran = meta.ctl_answering(&format!("leave -meta {m} -data 127.0.0.1:1"), "n\n").await;
    assert!(ran.out.ends_with("No nodes removed from cluster.\n"), "{}", ran.out);
    assert_eq!((ran.status, meta.posts().len()), (1, 0));
    assert!(ran.err.contains("not confirmed"), "{}", ran.err);
}

#[tokio::test]
async fn a_data_node_that_cannot_leave_does_not_keep_the_meta_node() {
    let meta =
        StandIn::start(&[("GET /status", Reply::ok(META_MEMBER)), ("POST /leave", Reply::no_content())])
            .await;
    let joined = r#"{"nodeType":"data","tcpAddr":"d1:8088","nodeStatus":"joined","metaAddrs":[]}"#;
    let data = StandIn::start(&[("GET /status", Reply::ok(joined))]).await;
    let (m, d) = (&meta.address, &data.address);
    let ran = meta.ctl(&format!("leave -y -meta {m} -data {d}")).await;
    assert!(ran.out.ends_with(&format!("Removed {m} from the cluster\n")), "{}", ran.out);
    assert_eq!((ran.status, meta.posts()), (1, vec!["POST /leave".to_owned()]));
    assert!(ran.err.contains("knows no meta node"), "{}", ran.err);
}
