//! `show`, `show-shards`, `copy-shard-status` and `entropy show`.

use crate::backstage::{Ran, Reply, StandIn, ctl};

const CLUSTER: &str = r#"{
  "data":[
    {"id":5,"tcpAddr":"data-node-02:8088","httpAddr":"data-node-02:8086","httpScheme":"http","status":"joined","version":""},
    {"id":4,"tcpAddr":"d1:8088","httpAddr":"d1:8086","httpScheme":"http","status":"joined","version":"1.8.10","labels":{"rack":"r1","dc":"east"}}],
  "meta":[
    {"id":1,"addr":"m1:8091","httpScheme":"http","tcpAddr":"m1:8089","version":"1.8.10"},
    {"id":2,"addr":"m2:8091","httpScheme":"http","tcpAddr":"m2:8089","version":"1.8.10"}]
}"#;

const STATUS: &str = r#"{"nodeType":"meta","leader":"m1:8089","httpAddr":"m2:8091","raftAddr":"m2:8089","peers":["m1:8089","m2:8089"]}"#;

#[tokio::test]
async fn show_is_padded_with_tabs() {
    let node = StandIn::start(&[("GET /show-cluster", Reply::ok(CLUSTER))]).await;
    let table = "Data Nodes\n==========\n\
        ID\tTCP Address\t\tVersion\n\
        4\td1:8088\t\t\t1.8.10\n\
        5\tdata-node-02:8088\t\n\
        \n\
        Meta Nodes\n==========\n\
        ID\tTCP Address\tVersion\n\
        1\tm1:8091\t\t1.8.10\n\
        2\tm2:8091\t\t1.8.10\n";
    assert_eq!(node.ctl("show").await, Ran::fine(table));
    assert_eq!(node.lines(), ["GET /show-cluster"]);
    assert_eq!(node.asked()[0].headers["User-Agent"], "InfluxDB Cluster Client");
}

#[tokio::test]
async fn show_of_an_empty_cluster_is_headings() {
    let node = StandIn::start(&[("GET /show-cluster", Reply::ok(r#"{"data":null,"meta":[]}"#))]).await;
    let table = "Data Nodes\n==========\nID\tTCP Address\tVersion\n\nMeta Nodes\n==========\nID\tTCP Address\tVersion\n";
    assert_eq!(node.ctl("show").await, Ran::fine(table));
}

#[tokio::test]
async fn show_v_has_labels_the_leader_and_its_peers() {
    let node =
        StandIn::start(&[("GET /show-cluster", Reply::ok(CLUSTER)), ("GET /status", Reply::ok(STATUS))])
            .await;
    // The widest version and its heading have 7 characters; with a gap of 2 that needs two stops.
    let table = "Data Nodes\n==========\n\
        ID\tTCP Address\t\tHTTP Address\t\tVersion\t\tLabels\t\t\t\tPassive\n\
        4\td1:8088\t\t\td1:8086\t\t\t1.8.10\t\t{\"dc\":\"east\",\"rack\":\"r1\"}\tfalse\n\
        5\tdata-node-02:8088\tdata-node-02:8086\t\t\t{}\t\t\t\tfalse\n\
        \n\
        Meta Nodes\n==========\n\
        ID\tRaft Address\tHTTP Address\tVersion\t\tLabels\n\
        1\tm1:8089\t\tm1:8091\t\t1.8.10\t\t{}\n\
        2\tm2:8089\t\tm2:8091\t\t1.8.10\t\t{}\n\
        \n\
        Raft Status\n==========\n\
        Leader\tm1:8089\n\
        Peers\t[\"m2:8089\"]\n";
    assert_eq!(node.ctl("show -v").await, Ran::fine(table));
}

const SHARDS: &str = r#"[
  {"id":51,"database":"telegraf","retention-policy":"autogen","replica-n":2,"shard-group-id":37,
   "start-time":"2023-01-01T00:00:00Z","end-time":"2023-01-08T00:00:00Z","expire-time":"0001-01-01T00:00:00Z","truncated-at":"0001-01-01T00:00:00Z",
   "owners":[{"id":4,"tcpAddr":"d1:8088","state":"hot","last-modified":"2023-01-02T03:04:05.60Z","size":4096,"err":""},
             {"id":5,"tcpAddr":"d2:8088","state":"","last-modified":"0001-01-01T00:00:00Z","size":0,"err":"not found","silence":"cannot reach d2:8088"}]},
  {"id":52,"database":"db","retention-policy":"week","replica-n":1,"shard-group-id":38,
   "start-time":"2023-01-08T00:00:00Z","end-time":"2023-01-15T00:00:00Z","expire-time":"2023-01-22T00:00:00Z","truncated-at":"2023-01-09T10:11:12.123456789Z",
   "owners":[{"id":4,"tcpAddr":"d1:8088","state":"cold","last-modified":"2023-01-02T03:04:05Z","size":77,"err":""}]}
]"#;

#[tokio::test]
async fn show_shards_is_padded_with_spaces() {
    let node = StandIn::start(&[("GET /show-shards", Reply::ok(SHARDS))]).await;
    let table = "\
Shards
==========
ID  Database  Retention Policy  Desired Replicas  Shard Group  Start                 End                              Expires               Owners
51  telegraf  autogen           2                 37           2023-01-01T00:00:00Z  2023-01-08T00:00:00Z                                   [{ID:4 TCPAddr:d1:8088} {ID:5 TCPAddr:d2:8088}]
52  db        week              1                 38           2023-01-08T00:00:00Z  2023-01-09T10:11:12.123456789Z*  2023-01-22T00:00:00Z  [{ID:4 TCPAddr:d1:8088}]
";
    assert_eq!(node.ctl("show-shards").await, Ran::fine(table));
    assert_eq!(node.lines(), ["GET /show-shards"]);
}

#[tokio::test]
async fn tables_of_a_node_that_knows_of_no_leader_say_so() {
    let reason = "no leader: 1 of 3 meta nodes answer, 2 are needed: start the others";
    let unled = |body: &str| Reply::ok(body).with("X-Skywatch-No-Leader", reason);
    let node = StandIn::start(&[
        ("GET /show-cluster", unled(CLUSTER).with("X-Skywatch-Age-Ms", "3120")),
        ("GET /status", Reply::ok(STATUS)),
        ("GET /show-shards", unled(SHARDS).with("X-Skywatch-Age-Ms", "3120")),
        ("GET /show-lag", unled("{}")),
        ("GET /copy-shard-status", unled("[]")),
        ("GET /shard-repair/status", unled("{}")),
    ])
    .await;
    let address = &node.address;
    for command in ["show", "show -v", "show-shards"] {
        let ran = node.ctl(command).await;
        let name = command.trim_end_matches(" -v");
        assert_eq!(ran.err, format!("{name}: {reason}; this is what {address} knew 3 s ago\n"));
        assert!(ran.status == 0 && ran.out.contains("d1:8088"), "{ran:?}");
    }
    for command in ["show-lag", "copy-shard-status", "entropy show"] {
        let ran = node.ctl(command).await;
        assert_eq!(
            (ran.status, ran.err),
            (0, format!("{command}: {reason}; this is what {address} knows\n"))
        );
    }
    let led = StandIn::start(&[("GET /show-shards", Reply::ok("[]"))]).await;
    let ran = ctl(&format!("-bind {address},{} show-shards", led.address), "").await;
    assert_eq!((ran.status, ran.err.as_str(), ran.out.lines().count()), (0, "", 3), "{}", ran.out);
}

#[tokio::test]
async fn show_shards_v_tells_the_state_of_each_copy() {
    let node = StandIn::start(&[("GET /show-shards", Reply::ok(SHARDS))]).await;
    let ran = node.ctl("show-shards -v").await;
    let owners: Vec<&str> = ran.out.lines().skip(3).map(|line| &line[line.find('[').unwrap()..]).collect();
    assert_eq!(
        owners,
        [
            "[{ID:4 TCPAddr:d1:8088 State:hot LastModified:2023-01-02T03:04:05.6Z Size:4096 Err:nil} \
             {ID:5 TCPAddr:d2:8088 State: LastModified:0001-01-01T00:00:00Z Size:0 Err:not found}]",
            "[{ID:4 TCPAddr:d1:8088 State:cold LastModified:2023-01-02T03:04:05Z Size:77 Err:nil}]",
        ]
    );
    assert_eq!(ran.err, "show-shards: nothing is known of data node 5: cannot reach d2:8088\n");
    assert_eq!((ran.status, node.lines()), (0, vec!["GET /show-shards verbose=true".to_owned()]));
}

#[tokio::test]
async fn show_shards_m_leaves_out_what_is_as_it_should_be() {
    let node = StandIn::start(&[("GET /show-shards", Reply::ok(SHARDS))]).await;
    let ran = node.ctl("show-shards -m").await;
    let ids: Vec<&str> =
        ran.out.lines().skip(3).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(ids, ["51"]);
    assert_eq!(node.lines(), ["GET /show-shards verbose=true&inconsistent=true"]);
}

#[tokio::test]
async fn copies_under_way() {
    let copies = r#"[{"source":"d2:8088","dest":"d3:8088","database":"telegraf","policy":"autogen","shard-id":34,
        "total-size":119624324,"current-size":19624324,"started-at":"2023-06-22T23:45:09.470696179Z"}]"#;
    let node = StandIn::start(&[("GET /copy-shard-status", Reply::ok(copies))]).await;
    let table = "\
Source   Dest     Database  Policy   ShardID  TotalSize  CurrentSize  StartedAt
d2:8088  d3:8088  telegraf  autogen  34       119624324  19624324     2023-06-22 23:45:09.470696179 +0000 UTC
";
    assert_eq!(node.ctl("copy-shard-status").await, Ran::fine(table));

    let none = StandIn::start(&[("GET /copy-shard-status", Reply::ok("null"))]).await;
    let table = "Source  Dest  Database  Policy  ShardID  TotalSize  CurrentSize  StartedAt\n";
    assert_eq!(none.ctl("copy-shard-status").await, Ran::fine(table));
}

#[tokio::test]
async fn entropy_show_lists_shards_that_differ_and_those_that_wait() {
    let repairs = r#"{"shards":[
        {"id":"25165","database":"statsdb","retention_policy":"1hour","start_time":"1511136000000000000",
         "end_time":"1511740800000000000","expires":"1543968000000000000","status":"diff"},
        {"id":21179,"database":"statsdb","retention_policy":"1hour","start_time":1507507200000000000,
         "end_time":1508112000000000000,"expires":0,"status":"diff"}],
        "queued_shards":["21179",25165],"processing_shards":[7]}"#;
    let node = StandIn::start(&[("GET /shard-repair/status", Reply::ok(repairs))]).await;
    let table = "\
Entropy
==========
ID     Database  Retention Policy  Start                          End                            Expires                        Status
21179  statsdb   1hour             2017-10-09 00:00:00 +0000 UTC  2017-10-16 00:00:00 +0000 UTC                                 diff
25165  statsdb   1hour             2017-11-20 00:00:00 +0000 UTC  2017-11-27 00:00:00 +0000 UTC  2018-12-05 00:00:00 +0000 UTC  diff

Queued Shards: [21179 25165]

Processing Shards: [7]
";
    assert_eq!(node.ctl("entropy show").await, Ran::fine(table));
}

#[tokio::test]
async fn entropy_show_says_who_did_not_answer_and_why_a_shard_waits() {
    let repairs = r#"{"shards":[{"id":9,"status":"diff","reason":"no owner has all of it"}],
        "silent":[{"id":5,"error":"connection refused"}]}"#;
    let node = StandIn::start(&[("GET /shard-repair/status", Reply::ok(repairs))]).await;
    let ran = node.ctl("entropy show").await;
    assert_eq!(ran.status, 1);
    assert!(ran.out.starts_with("Entropy\n==========\nID  Database"), "{}", ran.out);
    assert_eq!(
        ran.err,
        "entropy show: shard 9: no owner has all of it\n\
         entropy show: nothing is known of data node 5: connection refused\n\
         entropy show: 1 data node(s) did not answer, see above\n"
    );
}

#[tokio::test]
async fn repairs_are_queued_and_killed() {
    let node = StandIn::start(&[
        ("POST /shard-repair/repair", Reply::no_content()),
        ("POST /shard-repair/cancel-repair", Reply::no_content()),
    ])
    .await;
    assert_eq!(node.ctl("entropy repair 9").await, Ran::fine("Repair Shard 9 queued\n"));
    assert_eq!(node.ctl("entropy kill-repair 9").await, Ran::fine("Repair Shard 9 killed\n"));
    assert_eq!(node.lines(), ["POST /shard-repair/repair id=9", "POST /shard-repair/cancel-repair id=9"]);
}
