//! Adding, removing and moving nodes, their labels, and what is looked at before.

use crate::backstage::{Ran, Reply, StandIn, ctl_words};

const NOBODY: &str = r#"{"data":[],"meta":[]}"#;
const META_NODE: &str = r#"{"id":1,"addr":"m1:8091","httpScheme":"http","tcpAddr":"m1:8089","version":""}"#;
const DATA_NODE: &str = r#"{"id":4,"tcpAddr":"127.0.0.1:1","httpAddr":"127.0.0.1:2","httpScheme":"http","status":"joined","version":""}"#;

#[tokio::test]
async fn what_is_no_address_is_refused_before_anybody_is_asked() {
    let node = StandIn::start(&[]).await;
    let told = "is no address of a node: a name or an IP address is expected, with a port or without, such as d1:8088";
    for (words, command, address) in [
        (vec!["add-data", "bad addr"], "add-data", "bad addr:8088"),
        (vec!["add-data", "d1:808800"], "add-data", "d1:808800"),
        (vec!["add-data", ":8088"], "add-data", ":8088"),
        (vec!["add-meta", "m1/x"], "add-meta", "m1/x:8091"),
        (vec!["update-data", "d1:8088", "d2:port"], "update-data", "d2:port"),
        (vec!["join", "m 1"], "join", "m 1:8091"),
    ] {
        let words = ["-bind", &node.address].into_iter().chain(words).map(str::to_owned).collect::<Vec<_>>();
        let ran = ctl_words(&words, "").await;
        assert_eq!(ran, Ran::failed(&format!("{command}: {address:?} {told}\n")), "{words:?}");
    }
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn nodes_are_added_and_updated() {
    let node = StandIn::start(&[
        ("GET /show-cluster", Reply::ok(NOBODY)),
        ("POST /join", Reply::ok(META_NODE)),
        ("POST /add-data", Reply::ok(DATA_NODE)),
        ("POST /update-data", Reply::ok(DATA_NODE)),
    ])
    .await;
    assert_eq!(node.ctl("add-meta m1:8091").await, Ran::fine("Added meta node 1 at m1:8091\n"));
    assert_eq!(node.ctl("add-data 127.0.0.1:1").await, Ran::fine("Added data node 4 at 127.0.0.1:1\n"));
    assert_eq!(
        node.ctl("update-data 127.0.0.1:9 127.0.0.1:1").await,
        Ran::fine("Updated data node 4 to 127.0.0.1:1\n")
    );
    assert_eq!(
        node.posts(),
        [
            "POST /join addr=m1%3A8091",
            "POST /add-data addr=127.0.0.1%3A1",
            "POST /update-data oldAddr=127.0.0.1%3A9&newAddr=127.0.0.1%3A1"
        ]
    );
}

#[tokio::test]
async fn a_data_node_does_not_move_to_where_a_meta_node_is() {
    let meta = StandIn::start(&[("GET /status", Reply::ok(r#"{"nodeType":"meta"}"#))]).await;
    let node = StandIn::start(&[("POST /update-data", Reply::ok(DATA_NODE))]).await;
    let ran = node.ctl(&format!("update-data d1:8088 {}", meta.address)).await;
    assert!(ran.status == 1 && node.asked().is_empty(), "{ran:?}");
    let told = format!("update-data: {} is a meta node, not a data node; give the new address", meta.address);
    assert!(ran.err.starts_with(&told), "{}", ran.err);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let node = StandIn::start(&[]).await;
    for (line, told) in [
        ("add-meta", "add-meta: httpAddr value is empty"),
        ("add-meta a b", "add-meta: unknown argument: b"),
        ("add-data", "add-data: tcpAddr value is empty"),
        ("remove-data", "remove-data: addr value is empty"),
        ("remove-meta", "remove-meta: addr is required"),
        ("remove-meta -force m3", "remove-meta: -tcpAddr is required with -force"),
        ("update-data", "update-data: old-addr value is empty"),
        ("update-data a:1", "update-data: new-addr value is empty"),
        ("update-data a:1 a:1", "update-data: new-addr and old-addr are the same"),
        ("show all of it", "show: unexpected extra arguments: [all of it]"),
        ("node-labels set -nodeid 4", "node-labels set: -labels is required"),
        ("node-labels set -labels {}", "node-labels set: -nodeid is required"),
        (
            "node-labels set -labels {} -nodeid x",
            "node-labels set: -nodeid x is no number of a node; show lists them",
        ),
    ] {
        assert_eq!(node.ctl(line).await, Ran::failed(&format!("{told}\n")), "{line}");
    }
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn data_nodes_are_removed() {
    let node = StandIn::start(&[("POST /remove-data", Reply::no_content())]).await;
    assert_eq!(node.ctl("remove-data d1:8088").await, Ran::fine("Removed data node at d1:8088\n"));
    assert_eq!(node.ctl("remove-data -force d1:8088").await, Ran::fine("Removed data node at d1:8088\n"));
    assert_eq!(
        node.posts(),
        ["POST /remove-data addr=d1%3A8088&force=false", "POST /remove-data addr=d1%3A8088&force=true"]
    );
}

#[tokio::test]
async fn a_meta_node_is_asked_to_leave_once_that_is_confirmed() {
    let member =
        r#"{"nodeType":"meta","leader":"m1:8089","httpAddr":"x","raftAddr":"y","peers":["m1:8089"]}"#;
    let node =
        StandIn::start(&[("GET /status", Reply::ok(member)), ("POST /leave", Reply::no_content())]).await;
    let at = &node.address;
    let line = format!("remove-meta {at}");
    let question = format!("Remove {at} from the cluster [y/N]: ");
    let removed = format!("{question}Removed meta node at {at}\n");
    assert_eq!(node.ctl_answering(&line, "y\n").await, Ran::fine(&removed));
    assert_eq!(node.posts(), ["POST /leave"]);
    for answer in ["n\n", "\n", ""] {
        let ran = node.ctl_answering(&line, answer).await;
        assert_eq!((ran.status, ran.out), (1, question.clone()));
        assert!(ran.err.starts_with("remove-meta: not confirmed, nothing was removed"), "{}", ran.err);
    }
    assert_eq!(node.posts().len(), 1);
    assert_eq!(
        node.ctl(&format!("remove-meta -y {at}")).await,
        Ran::fine(&format!("Removed meta node at {at}\n"))
    );
}

#[tokio::test]
async fn a_meta_node_that_is_none_or_alone_is_not_removed() {
    for (status, told) in [
        (Reply::ok(r#"{"nodeType":"data"}"#), "is not a meta node"),
        (Reply::error(404, "not found"), "operation exited with error: not found"),
        (Reply::ok(r#"{"nodeType":"meta","leader":"","peers":null}"#), "is not part of a cluster"),
    ] {
        let node = StandIn::start(&[("GET /status", status)]).await;
        let ran = node.ctl(&format!("remove-meta -y {}", node.address)).await;
        assert!(ran.status == 1 && ran.err.contains(told), "{ran:?}");
        assert!(node.posts().is_empty());
    }
}

#[tokio::test]
async fn a_meta_node_that_is_gone_is_removed_by_the_others() {
    let node = StandIn::start(&[("POST /remove", Reply::no_content())]).await;
    assert_eq!(
        node.ctl_answering("remove-meta -force -tcpAddr m3:8089 m3:8091", "yes\n").await,
        Ran::fine("Force remove m3:8091 from the cluster [y/N]: Removed meta node at m3:8091\n")
    );
    assert_eq!(node.posts(), ["POST /remove httpAddr=m3%3A8091&force=true&tcpAddr=m3%3A8089"]);
}

#[tokio::test]
async fn labels_are_set_and_taken_away() {
    let node = StandIn::start(&[("POST /node-labels", Reply::no_content())]).await;
    let run = |arguments: &[&str]| {
        let mut words = vec!["-bind".to_owned(), node.address.clone()];
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        async move { ctl_words(&words, "").await }
    };
    let done = Ran::fine("Updated labels of data node 4\n");
    assert_eq!(run(&["node-labels", "set", "-nodeid", "4", "-labels", r#"{"rack":"r1"}"#]).await, done);
    for name in ["delete", "unset"] {
        assert_eq!(run(&["node-labels", name, "-nodeid", "4", "-labels", r#"["rack"]"#]).await, done);
    }
    let (set, unset) = ("labels=%7B%22rack%22%3A%22r1%22%7D", "labels=%7B%22rack%22%3A%22%22%7D");
    let expected = [set, unset, unset].map(|labels| format!("POST /node-labels nodeid=4&{labels}"));
    assert_eq!(node.posts(), expected);
    let ran = run(&["node-labels", "set", "-nodeid", "4", "-labels", "rack=r1"]).await;
    assert!(ran.status == 1 && ran.err.contains("a JSON object such as"), "{}", ran.err);
    let ran = run(&["node-labels", "set", "-nodeid", "4", "-labels", r#"{"rack":""}"#]).await;
    assert!(ran.status == 1 && ran.err.contains("node-labels delete takes one away"), "{}", ran.err);
}

const MEMBERS: &str = r#"{"data":[],"meta":[{"id":1,"addr":"m1:8091","tcpAddr":"m1:8089","version":""}]}"#;

#[tokio::test]
async fn a_node_that_would_be_localhost_to_others_is_refused() {
    let node = StandIn::start(&[("GET /show-cluster", Reply::ok(MEMBERS))]).await;
    for line in ["add-data localhost:8088", "add-meta 127.0.0.1:8091"] {
        let ran = node.ctl(line).await;
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{line}");
        assert!(
            ran.err.contains("is a name only this machine understands, and m1:8091 is part"),
            "{}",
            ran.err
        );
    }
    assert!(node.posts().is_empty());
}

#[tokio::test]
async fn a_node_of_the_other_kind_is_told_apart() {
    let node = StandIn::start(&[
        ("GET /show-cluster", Reply::ok(NOBODY)),
        ("GET /status", Reply::ok(r#"{"nodeType":"meta","httpAddr":"127.0.0.1:1"}"#)),
    ])
    .await;
    let ran = node.ctl(&format!("add-data {}", node.address)).await;
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("is a meta node, not a data node; add it with add-meta"), "{}", ran.err);
    assert!(node.posts().is_empty());
}

#[tokio::test]
async fn clocks_releases_and_old_data_are_told_and_the_node_is_added() {
    let data = StandIn::start(&[(
        "GET /status",
        Reply::ok(r#"{"nodeType":"data","tcpAddr":"127.0.0.1:1","nodeStatus":"disjoined","shards":3}"#)
            .with("Date", "Sat, 28 Nov 2026 10:00:42 GMT")
            .with("X-Influxdb-Version", "1.8.10-old"),
    )])
    .await;
    let meta = StandIn::start(&[
        (
            "GET /show-cluster",
            Reply::ok(NOBODY)
                .with("Date", "Sat, 28 Nov 2026 10:00:02 GMT")
                .with("X-Influxdb-Version", "1.8.10"),
        ),
        ("POST /add-data", Reply::ok(DATA_NODE)),
    ])
    .await;
    let ran = meta.ctl(&format!("add-data {}", data.address)).await;
    assert_eq!((ran.status, ran.out.as_str()), (0, "Added data node 4 at 127.0.0.1:1\n"), "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    // Both answers come within a second of each other, at most.
    assert!(
        lines[0].starts_with("warning: the clock of ") && lines[0].contains(" s ahead of that of"),
        "{lines:?}"
    );
    assert!(["39 s", "40 s", "41 s"].iter().any(|seconds| lines[0].contains(seconds)), "{lines:?}");
    assert!(lines[1].contains("runs release 1.8.10-old and the meta node at"), "{lines:?}");
    assert!(lines[2].contains("is not empty: 3 shards from before are no part of the cluster"), "{lines:?}");
}
