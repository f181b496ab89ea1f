//! What goes wrong, how it is told, and the status it ends with.

use std::time::Duration;

use crate::backstage::{Ran, Reply, StandIn, ctl};

#[tokio::test]
async fn a_servers_refusal_is_passed_on() {
    let node = StandIn::start(&[
        ("POST /remove-data", Reply::error(400, "node not found: d9:8088")),
        ("GET /show-cluster", Reply::error(401, "authorization failed")),
    ])
    .await;
    assert_eq!(
        node.ctl("remove-data d9:8088").await,
        Ran::failed("remove-data: operation exited with error: node not found: d9:8088\n")
    );
    assert_eq!(
        node.ctl("show").await,
        Ran::failed("show: operation exited with error: authorization failed\n")
    );
}

#[tokio::test]
async fn nobody_there_is_told_with_what_to_check() {
    let ran = ctl("-bind 127.0.0.1:1 show", "").await;
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert_eq!(
        ran.err,
        "show: cannot reach the meta node at 127.0.0.1:1: connection refused; check that the meta node runs, that -bind is its HTTP address (port 8091), and that no firewall is in between\n"
    );
}

#[tokio::test]
async fn a_server_of_another_kind_is_told_apart() {
    let node = StandIn::start(&[]).await;
    let ran = node.ctl("show").await;
    assert_eq!(ran.status, 1);
    let told =
        format!("show: what answers at {} is no meta node (it does not know /show-cluster);", node.address);
    assert!(ran.err.starts_with(&told), "{}", ran.err);
    let page = StandIn::start(&[("GET /show-cluster", Reply::ok("<html>"))]).await;
    assert!(page.ctl("show").await.err.contains("is no meta node (expected value"));
}

#[tokio::test]
async fn a_frozen_server_is_given_up() {
    let frozen = Reply::ok("{}").after(Duration::from_secs(60));
    let node = StandIn::start(&[("GET /show-cluster", frozen.clone()), ("POST /remove-shard", frozen)]).await;
    let ran = node.ctl("-timeout 200ms show").await;
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("did not answer within 200ms (-timeout)"), "{}", ran.err);
    let ran = node.ctl("-timeout 200ms remove-shard d1:8088 3").await;
    assert!(ran.err.contains("it may still carry the request out"), "{}", ran.err);
}

#[tokio::test]
async fn addresses_are_tried_in_turn() {
    let without_leader = StandIn::start(&[("GET /show-cluster", Reply::error(503, "no leader"))]).await;
    let node = StandIn::start(&[("GET /show-cluster", Reply::ok("{}"))]).await;
    let line = format!("-bind 127.0.0.1:1,{} -bind {} show", without_leader.address, node.address);
    assert_eq!(ctl(&line, "").await.status, 0);
    let line = format!("-bind 127.0.0.1:1,{} show", without_leader.address);
    assert_eq!(ctl(&line, "").await, Ran::failed("show: operation exited with error: no leader\n"));
    let ran = ctl("-bind 127.0.0.1:1,127.0.0.1:2 show", "").await;
    assert!(
        ran.err.starts_with(
            "show: cannot reach any meta node of -bind: 127.0.0.1:1: connection refused; 127.0.0.1:2: connection refused;"
        ),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_request_that_may_have_been_carried_out_is_not_sent_elsewhere() {
    let frozen = Reply::no_content().after(Duration::from_secs(60));
    let slow = StandIn::start(&[("POST /remove-shard", frozen)]).await;
    let other = StandIn::start(&[("POST /remove-shard", Reply::no_content())]).await;
    let line = format!("-timeout 200ms -bind {},{} remove-shard d:8088 3", slow.address, other.address);
    assert_eq!(ctl(&line, "").await.status, 1);
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn redirects_to_the_leader_keep_the_form_and_the_credentials() {
    let leader = StandIn::start(&[("POST /truncate-shards", Reply::no_content())]).await;
    let target = format!("http://{}/truncate-shards", leader.address);
    let follower = StandIn::start(&[("POST /truncate-shards", Reply::redirect(&target))]).await;
    let ran = follower.ctl("-auth-type basic -user admin -pwd pw truncate-shards").await;
    assert_eq!(ran, Ran::fine("Truncated shards.\n"));
    assert_eq!(leader.lines(), ["POST /truncate-shards delay=60000000000ns"]);
    assert_eq!(leader.asked()[0].headers["Authorization"], "Basic YWRtaW46cHc=");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let node = StandIn::start(&[("GET /show-cluster", Reply::redirect("/show-cluster"))]).await;
    let ran = node.ctl("show").await;
    assert!(ran.status == 1 && ran.err.contains("nodes point to each other as the leader"), "{}", ran.err);
}

#[tokio::test]
async fn tokens_go_with_requests() {
    let node = StandIn::start(&[("GET /show-cluster", Reply::ok("{}"))]).await;
    assert_eq!(node.ctl("-auth-type jwt -user u -secret s show").await.status, 0);
    let header = node.asked()[0].headers["Authorization"].to_str().unwrap().to_owned();
    assert!(header.starts_with("Bearer eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9."), "{header}");
    let ran = node.ctl("-auth-type jwt -user u show").await;
    assert!(ran.status == 1 && ran.err.contains("the shared secret is empty"), "{}", ran.err);
}

#[tokio::test]
async fn unknown_commands_and_options() {
    let ran = ctl("frobnicate", "").await;
    assert_eq!(ran, Ran::failed("unknown command \"frobnicate\"\nRun 'influxd-ctl help' for usage\n"));
    assert_eq!(
        ctl("entropy frobnicate", "").await.err.lines().next(),
        Some("unknown command \"entropy frobnicate\"")
    );
    let ran = ctl("show -frobnicate", "").await;
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(
        ran.err.starts_with(
            "show: flag provided but not defined: -frobnicate\nUsage: influxd-ctl [options] show"
        )
    );
    let ran = ctl("-frobnicate show", "").await;
    assert!(ran.status == 2 && ran.err.starts_with("flag provided but not defined: -frobnicate\nUsage: "));
    let ran = ctl("truncate-shards -delay soon", "").await;
    assert!(ran.status == 2 && ran.err.contains("invalid value \"soon\" for flag -delay"), "{}", ran.err);
}

#[tokio::test]
async fn help_is_a_success_and_names_every_command() {
    let whole = ctl("", "").await;
    for line in ["help", "-h", "--help"] {
        assert_eq!(ctl(line, "").await, whole, "{line}");
    }
    assert_eq!((whole.status, whole.err.as_str()), (0, ""));
    for command in [
        "add-data",
        "add-meta",
        "backup",
        "copy-shard",
        "copy-shard-status",
        "entropy show",
        "join",
        "kill-copy-shard",
        "leave",
        "node-labels set",
        "remove-data",
        "remove-meta",
        "remove-shard",
        "restore",
        "show",
        "show-shards",
        "token",
        "truncate-shards",
        "update-data",
    ] {
        assert!(whole.out.contains(&format!("\n   {command:<20}")), "{command}");
    }
    let one = ctl("copy-shard -h", "").await;
    assert_eq!(one, ctl("help copy-shard", "").await);
    assert!(
        one.out.contains("Examples:\n\n  influxd-ctl copy-shard data1:8088 data2:8088 22\n"),
        "{}",
        one.out
    );
    assert!(ctl("help entropy", "").await.out.contains("entropy kill-repair"));
}
