//! Work that takes longer than an answer may: it is waited for as long as somebody is there.

use std::time::Duration;

use crate::backstage::{Ran, Reply, StandIn};

#[tokio::test]
async fn a_copy_may_take_longer_than_the_timeout() {
    let node = StandIn::start(&[
        ("POST /copy-shard", Reply::no_content().after(Duration::from_millis(1500))),
        ("GET /copy-shard-status", Reply::ok("[]")),
    ])
    .await;
    let ran = node.ctl("-timeout 300ms copy-shard d1:8088 d2:8088 7").await;
    assert_eq!(ran, Ran::fine("Copied shard 7 from d1:8088 to d2:8088\n"));
    assert!(node.lines().iter().filter(|line| *line == "GET /copy-shard-status").count() >= 2);
}

#[tokio::test]
async fn a_refusal_ends_the_wait() {
    let message = "\\\"d1:8088\\\" is not an owner of shard 7";
    let node = StandIn::start(&[("POST /copy-shard", Reply::error(400, message))]).await;
    let ran = node.ctl("copy-shard d1:8088 d2:8088 7").await;
    assert_eq!(
        ran,
        Ran::failed("copy-shard: operation exited with error: \"d1:8088\" is not an owner of shard 7\n")
    );
}

const SILENT: &str =
    r#"[{"source":"","dest":"d2:8088","shard-id":7,"silence":"d2:8088 did not answer within 3s"}]"#;

#[tokio::test]
async fn a_data_node_that_does_not_answer_is_named_and_given_up() {
    let node = StandIn::start(&[
        ("POST /copy-shard", Reply::no_content().after(Duration::from_secs(60))),
        ("GET /copy-shard-status", Reply::ok(SILENT)),
    ])
    .await;
    let ran = node.ctl("-timeout 1500ms copy-shard d1:8088 d2:8088 7").await;
    assert_eq!(
        ran,
        Ran::failed(
            "waiting for the data node at d2:8088: d2:8088 did not answer within 3s\n\
             copy-shard: the data node at d2:8088 did not answer within 1.5s (-timeout); it stays an owner of the shard, and \
             copies it when it is back; kill-copy-shard takes that back\n"
        )
    );
    // Of copies to other nodes, and of other shards, it says nothing.
    for line in ["-timeout 300ms copy-shard d1:8088 d3:8088 7", "-timeout 300ms copy-shard d1:8088 d2:8088 8"]
    {
        let node = StandIn::start(&[
            ("POST /copy-shard", Reply::no_content().after(Duration::from_millis(1500))),
            ("GET /copy-shard-status", Reply::ok(SILENT)),
        ])
        .await;
        let ran = node.ctl(line).await;
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{line}");
    }
    let ran = node.ctl("copy-shard-status").await;
    assert_eq!(
        ran.err,
        "of the copy of shard 7 to d2:8088 nothing is known: d2:8088 did not answer within 3s\n"
    );
    assert!(ran.status == 0 && !ran.out.contains("d2"), "{}", ran.out);
}

#[tokio::test]
async fn a_copy_that_finds_nobody_to_copy_from_is_told_and_given_up() {
    let status =
        r#"[{"source":"d1:8088","dest":"d2:8088","shard-id":7,"trouble":"d1:8088 gives no sign of life"}]"#;
    let node = StandIn::start(&[
        ("POST /copy-shard", Reply::no_content().after(Duration::from_secs(60))),
        ("GET /copy-shard-status", Reply::ok(status)),
    ])
    .await;
    let ran = node.ctl("-timeout 1500ms copy-shard d1:8088 d2:8088 7").await;
    assert_eq!(
        ran,
        Ran::failed(
            "shard 7 does not get to the data node at d2:8088: d1:8088 gives no sign of life\n\
             copy-shard: shard 7 did not get to the data node at d2:8088 within 1.5s (-timeout): d1:8088 gives no sign of \
             life; it stays an owner of the shard, and copies it when it can; kill-copy-shard takes that back\n"
        )
    );
    let ran = node.ctl("copy-shard-status").await;
    assert_eq!(ran.err, "shard 7 does not get to d2:8088: d1:8088 gives no sign of life\n");
    assert!(ran.status == 0 && ran.out.contains("d1:8088"), "{}", ran.out);
}
