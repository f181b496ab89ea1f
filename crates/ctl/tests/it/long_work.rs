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
