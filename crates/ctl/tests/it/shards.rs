//! Copying, removing and cutting shards, and tokens.

use crate::backstage::{Ran, Reply, StandIn, ctl};

#[tokio::test]
async fn shards_are_removed_and_cut() {
    let node = StandIn::start(&[
        ("POST /remove-shard", Reply::no_content()),
        ("POST /truncate-shards", Reply::no_content()),
    ])
    .await;
    assert_eq!(node.ctl("remove-shard d1:8088 22").await, Ran::fine("Removed shard 22 from d1:8088\n"));
    assert_eq!(node.ctl("truncate-shards").await, Ran::fine("Truncated shards.\n"));
    assert_eq!(node.ctl("truncate-shards -delay 1m30s").await, Ran::fine("Truncated shards.\n"));
    assert_eq!(
        node.posts(),
        [
            "POST /remove-shard src=d1%3A8088&shard=22",
            "POST /truncate-shards delay=60000000000ns",
            "POST /truncate-shards delay=90000000000ns"
        ]
    );
}

#[tokio::test]
async fn copies_are_made_and_stopped() {
    let node = StandIn::start(&[
        ("POST /copy-shard", Reply::no_content()),
        ("POST /kill-copy-shard", Reply::no_content()),
    ])
    .await;
    let copied = "Copied shard 22 from d1:8088 to d2:8088\n";
    assert_eq!(node.ctl("copy-shard d1:8088 d2:8088 22").await, Ran::fine(copied));
    let killed = "Killed copying shard 22 from d1:8088 to d2:8088\n";
    assert_eq!(node.ctl("kill-copy-shard d1:8088 d2:8088 22").await, Ran::fine(killed));
    let parameters = "src=d1%3A8088&dest=d2%3A8088&shard=22";
    assert_eq!(
        node.posts(),
        [format!("POST /copy-shard {parameters}"), format!("POST /kill-copy-shard {parameters}")]
    );
}

#[tokio::test]
async fn mistakes_are_told_before_anything_is_sent() {
    let node = StandIn::start(&[]).await;
    for (line, told) in [
        ("copy-shard", "copy-shard: srcAddr is required"),
        ("copy-shard a", "copy-shard: destAddr is required"),
        ("copy-shard a b", "copy-shard: shardID is required"),
        ("copy-shard a a 1", "copy-shard: destAddr and srcAddr are the same"),
        ("copy-shard a b one", "copy-shard: error converting shardID to int: one"),
        ("copy-shard a b 0", "copy-shard: shardID must be greater than 0"),
        ("copy-shard a b 1 2", "copy-shard: unknown argument: 2"),
        ("remove-shard a", "remove-shard: shardID is required"),
        ("remove-shard a x", "remove-shard: error converting shardID to int: x"),
        ("entropy repair x", "entropy repair: error converting shardID to int: x"),
        ("token", "token: tokens can only be created when using bearer authentication"),
        ("-auth-type basic token", "token: tokens can only be created when using bearer authentication"),
        ("-auth-type ldap show", "invalid -auth-type: ldap"),
    ] {
        assert_eq!(node.ctl(line).await, Ran::failed(&format!("{told}\n")), "{line}");
    }
    assert!(node.asked().is_empty());
}

#[tokio::test]
async fn a_token_is_signed_without_asking_anybody() {
    let ran = ctl("-auth-type jwt -user admin -secret s token -exp 1h", "").await;
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out.trim_end().split('.').count(), 3);
    assert!(ran.out.starts_with("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9."), "{}", ran.out);
}
