//! Nodes that are well.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use skywatch_rpc::{
    BODY_BYTES_MAX, CallError, FailureKind, ServeOptions, TcpTransport, Transport, TransportOptions,
};
use tokio::{task::JoinSet, time::Instant};

use crate::node::{LONG, Node, call, echo, identity, options, transport, until};

#[tokio::test]
async fn calls_go_there_and_answers_come_back() {
    let (node, transport) = (Node::start(options("")).await, transport(""));
    let reply = echo(&transport, &node.address, "body").await.unwrap();
    assert_eq!((&*reply.head, &*reply.body), (&b"{\"a\":1}"[..], &b"body"[..]));
    let refused = transport.call(&node.address, call("test.refuse", (), ""), LONG).await.unwrap_err();
    assert_eq!(refused.failure().unwrap().kind, FailureKind::Conflict);
    assert_eq!(refused.to_string(), format!("{}: it is taken", node.address));
    let unknown = transport.call(&node.address, call("test.none", (), ""), LONG).await.unwrap_err();
    assert_eq!(unknown.failure().unwrap().kind, FailureKind::Unknown);
    let statistics = transport.statistics().remove(0);
    assert_eq!((statistics.calls, statistics.failed, statistics.dials), (3, 2, 1));
    assert_eq!((statistics.in_flight, statistics.release.as_deref()), (0, Some("test")));
    assert!(statistics.sent_bytes > 0 && statistics.received_bytes > 0);
    assert_eq!((node.counters.read().calls, node.counters.read().in_flight), (3, 0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_connection() {
    let (node, transport) = (Node::start(options("")).await, Arc::new(transport("")));
    let mut calls = JoinSet::new();
    for number in 0..2000_u32 {
        let (transport, to) = (Arc::clone(&transport), node.address.clone());
        let body = Bytes::from(number.to_le_bytes().repeat(number as usize % 50));
        calls.spawn(async move { (echo(&transport, &to, body.clone()).await.unwrap().body, body) });
    }
    while let Some(outcome) = calls.join_next().await {
        let (answer, body) = outcome.unwrap();
        assert_eq!(answer, body);
    }
    assert_eq!(transport.statistics()[0].dials, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_as_large_as_they_may_be_arrive_whole() {
    let (node, transport) = (Node::start(options("")).await, transport(""));
    let mut body = vec![0_u8; BODY_BYTES_MAX];
    for (at, chunk) in body.chunks_mut(4096).enumerate() {
        chunk[..8].copy_from_slice(&at.to_le_bytes());
    }
    let body = Bytes::from(body);
    let reply = echo(&transport, &node.address, body.clone()).await.unwrap();
    assert!(reply.body == body, "other bytes came back");
    let more = vec![0; BODY_BYTES_MAX + 1];
    let error = echo(&transport, &node.address, more).await.unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::Invalid);
    let error =
        transport.call(&node.address, call("test.make", BODY_BYTES_MAX + 1, ""), LONG).await.unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::Internal);
    assert_eq!(transport.bytes_in_flight(), (0, 0));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_call_does_not_wait_for_a_large_one() {
    let (node, transport) = (Node::start(options("")).await, Arc::new(transport("")));
    echo(&transport, &node.address, "warm").await.unwrap();
    let large = tokio::spawn({
        let (transport, to) = (Arc::clone(&transport), node.address.clone());
        async move { echo(&transport, &to, vec![1; 200 << 20]).await.map(|_| Instant::now()) }
    });
    until("the large call is on its way", || transport.bytes_in_flight().0 > 100 << 20).await;
    echo(&transport, &node.address, "small").await.unwrap();
    let small_done = Instant::now();
    assert!(large.await.unwrap().unwrap() > small_done, "the large call was done first");
    node.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_is_an_internal_failure() {
    let (node, transport) = (Node::start(options("")).await, transport(""));
    let error = transport.call(&node.address, call("test.panic", true, ""), LONG).await.unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::Internal);
    echo(&transport, &node.address, "still there").await.unwrap();
    assert_eq!(node.counters.read().in_flight, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_stopping_node_answers_what_it_has_and_takes_nothing_more() {
    let (node, transport) = (Node::start(options("")).await, Arc::new(transport("")));
    let to = node.address.clone();
    let slow = tokio::spawn({
        let (transport, to) = (Arc::clone(&transport), to.clone());
        async move { transport.call(&to, call("test.sleep", 300, ""), LONG).await }
    });
    let seen = Arc::clone(&node.seen);
    until("the handler runs", || seen.begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;
    let stopping = tokio::spawn(node.stop());
    // Refused by the connection that ends, or by the port that is closed: either way surely not carried out.
    let refused = loop {
        match echo(&transport, &to, "more").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused}");
    slow.await.unwrap().unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn idle_connections_go_and_new_ones_come() {
    let node = Node::start(options("")).await;
    let idle_max = Duration::from_millis(50);
    let options = TransportOptions { idle_max, ..TransportOptions::new(identity("")) };
    let transport = TcpTransport::new(options);
    echo(&transport, &node.address, "1").await.unwrap();
    until("the connection is closed", || transport.statistics()[0].connections == 0).await;
    echo(&transport, &node.address, "2").await.unwrap();
    assert_eq!(transport.statistics()[0].dials, 2);
    node.stop().await;
}

#[tokio::test]
async fn overload_is_said_at_once() {
    let node = Node::start(ServeOptions { calls_max: 1, ..options("") }).await;
    let transport = Arc::new(transport(""));
    let slow = tokio::spawn({
        let (transport, to) = (Arc::clone(&transport), node.address.clone());
        async move { transport.call(&to, call("test.sleep", 300, ""), LONG).await }
    });
    let seen = Arc::clone(&node.seen);
    until("the handler runs", || seen.begun.load(std::sync::atomic::Ordering::Relaxed) == 1).await;
    let error = echo(&transport, &node.address, vec![0; 300_000]).await.unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::Unavailable);
    slow.await.unwrap().unwrap();
    echo(&transport, &node.address, vec![0; 300_000]).await.unwrap();
    node.stop().await;
}
