//! Nodes that are dead, frozen, slow, or lie.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use skywatch_rpc::{CallError, Patience, ServeOptions, TcpTransport, Transport, TransportOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};

use crate::node::{LONG, Node, call, echo, identity, options, transport, until};

#[tokio::test]
async fn the_deadline_holds_on_both_sides() {
    let (node, transport) = (Node::start(options("")).await, transport(""));
    let begun = Instant::now();
    let within = Duration::from_millis(100);
    let error = transport.call(&node.address, call("test.sleep", 60_000, ""), within).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.to_string(), format!("{} did not answer within 100 ms", node.address));
    // The handler has been dropped: its place is free.
    until("the node has given up", || node.counters.read().in_flight == 0).await;
    assert_eq!(node.seen.ended.load(Ordering::Relaxed), 0);
    assert_eq!(transport.statistics()[0].timed_out, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_call_along() {
    let (node, transport) = (Node::start(options("")).await, transport(""));
    let asked = transport.call(&node.address, call("test.sleep", 60_000, ""), LONG);
    assert!(timeout(Duration::from_millis(200), asked).await.is_err());
    until("the node has given up", || {
        node.seen.begun.load(Ordering::Relaxed) == 1 && node.counters.read().in_flight == 0
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_killed_in_mid_call_is_lost_and_then_unreachable() {
    let (node, transport) = (Node::start(options("")).await, Arc::new(transport("")));
    let to = node.address.clone();
    let asked = tokio::spawn({
        let (transport, to) = (Arc::clone(&transport), to.clone());
        async move { transport.call(&to, call("test.sleep", 60_000, ""), LONG).await }
    });
    let seen = Arc::clone(&node.seen);
    until("the handler runs", || seen.begun.load(Ordering::Relaxed) == 1).await;
    node.kill().await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    let error = echo(&transport, &to, "").await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");

    // While it is dead, calls cost nothing and hardly any of them dials.
    let begun = Instant::now();
    for _ in 0..1000 {
        echo(&transport, &to, "").await.unwrap_err();
    }
    let attempts = transport.statistics()[0].dial_failures;
    assert!(attempts <= 2 + begun.elapsed().as_millis() as u64 / 100, "{attempts} attempts");

    let back = Node::start_at(&to, options(""), None).await;
    let begun = Instant::now();
    while echo(&transport, &to, "").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(1500), "back after {:?}", begun.elapsed());
    back.stop().await;
}

/// A frozen process: the kernel takes connections and bytes for it, nothing answers.
#[tokio::test]
async fn a_frozen_node_costs_its_dial_timeout_once_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let dial_timeout = Duration::from_millis(200);
    let transport =
        TcpTransport::new(TransportOptions { dial_timeout, ..TransportOptions::new(identity("")) });
    let begun = Instant::now();
    let error = echo(&transport, &to, "").await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {to}: no connection within 200 ms"));
    assert!(begun.elapsed() < Duration::from_secs(2));
    let begun = Instant::now();
    echo(&transport, &to, "").await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_millis(100), "it is remembered");
    drop(listener);
}

/// One that froze after it was connected to.
#[tokio::test]
async fn a_node_that_freezes_is_noticed_by_its_silence() {
    let node = Node::start(options("")).await;
    let patience = Patience {
        busy: Duration::from_millis(50),
        idle: Duration::from_millis(50),
        silence_max: Duration::from_millis(150),
        ..Patience::default()
    };
    // In between: passes bytes on until told to swallow them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let (freeze, mut frozen) = tokio::sync::watch::channel(false);
    let behind = node.address.clone();
    let between = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            if !*frozen.borrow() {
                let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = frozen.wait_for(|frozen| *frozen) => {}
                }
            }
            held.push(near);
        }
    });
    let options = TransportOptions {
        patience,
        dial_timeout: Duration::from_millis(200),
        ..TransportOptions::new(identity(""))
    };
    let transport = Arc::new(TcpTransport::new(options));
    echo(&transport, &to, "").await.unwrap();
    let asked = tokio::spawn({
        let (transport, to) = (Arc::clone(&transport), to.clone());
        async move { transport.call(&to, call("test.sleep", 60_000, ""), LONG).await }
    });
    until("the handler runs", || node.seen.begun.load(Ordering::Relaxed) == 1).await;
    freeze.send_replace(true);
    let begun = Instant::now();
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("the connection to {to} broke: it gives no sign of life"));
    assert!(begun.elapsed() < Duration::from_secs(3), "noticed after {:?}", begun.elapsed());
    let error = echo(&transport, &to, "").await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    between.abort();
    node.stop().await;
}

/// After a cut what was sent meanwhile is sent again by the system, ever more rarely: for a while nothing passes on a connection although
/// the node can be reached.
#[tokio::test]
async fn a_connection_on_which_nothing_passes_is_not_the_only_one() {
    let node = Node::start(options("")).await;
    let patience = Patience {
        busy: Duration::from_millis(50),
        idle: Duration::from_millis(50),
        doubt: Duration::from_millis(50),
        silence_max: Duration::from_secs(60),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let (hang, mut hangs) = tokio::sync::watch::channel(false);
    let behind = node.address.clone();
    let between = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut first, &mut far) => {}
            _ = hangs.wait_for(|hangs| *hangs) => {}
        }
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
        }
    });
    let options = TransportOptions { patience, ..TransportOptions::new(identity("")) };
    let transport = Arc::new(TcpTransport::new(options));
    echo(&transport, &to, "").await.unwrap();
    hang.send_replace(true);
    let begun = Instant::now();
    // Whoever is on the first one waits; sooner or later one goes by another.
    while transport.call(&to, call("test.echo", 0, ""), Duration::from_millis(100)).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing passes after {:?}", begun.elapsed());
    }
    assert_eq!(transport.statistics()[0].connections, 2, "the first one may come back to life");
    between.abort();
    node.stop().await;
}

#[tokio::test]
async fn a_slow_handler_is_no_frozen_node() {
    let node = Node::start(options("")).await;
    let patience = Patience {
        busy: Duration::from_millis(20),
        idle: Duration::from_millis(20),
        silence_max: Duration::from_millis(300),
        ..Patience::default()
    };
    let transport = TcpTransport::new(TransportOptions { patience, ..TransportOptions::new(identity("")) });
    transport.call(&node.address, call("test.sleep", 1000, ""), LONG).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_taken_whole_was_surely_not_carried_out() {
    let server = ServeOptions {
        patience: Patience { silence_max: Duration::from_millis(100), ..Patience::default() },
        ..options("")
    };
    let node = Node::start(server).await;
    // A peer that greets and then takes no more bytes than the kernel's buffers do.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let behind = node.address.clone();
    let between = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
        let mut bytes = vec![0; 4096];
        // Two exchanges make the greeting.
        for _ in 0..2 {
            let read = near.read(&mut bytes).await.unwrap();
            far.write_all(&bytes[..read]).await.unwrap();
            let read = far.read(&mut bytes).await.unwrap();
            near.write_all(&bytes[..read]).await.unwrap();
        }
        tokio::time::sleep(LONG).await;
    });
    let transport = transport("");
    let begun = Instant::now();
    let body = vec![0; 64 << 20];
    let error =
        transport.call(&to, call("test.echo", "1", body), Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable { reason, .. } if reason.contains("in time")), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    between.abort();
    node.stop().await;
}

#[tokio::test]
async fn damaged_frames_end_the_connection_and_nothing_else() {
    let node = Node::start(options("")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let behind = node.address.clone();
    // In between: the last byte of what the node sends after the greeting is flipped.
    let between = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(&behind).await.unwrap();
        let mut bytes = vec![0; 4096];
        for exchange in 0..3 {
            let read = near.read(&mut bytes).await.unwrap();
            far.write_all(&bytes[..read]).await.unwrap();
            let read = far.read(&mut bytes).await.unwrap();
            bytes[read - 1] ^= u8::from(exchange == 2);
            near.write_all(&bytes[..read]).await.unwrap();
        }
        near
    });
    let transport = transport("");
    let error = echo(&transport, &to, "body").await.unwrap_err();
    assert!(matches!(&error, CallError::Lost { reason, .. } if reason.contains("damaged")), "{error}");
    drop(between.await.unwrap());
    echo(&transport, &node.address, "body").await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn whether_nobody_listens_is_known_by_who_has_just_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let transport = transport("");
    let error = echo(&transport, &address, "").await.unwrap_err();
    assert!(error.nobody_listens() && !error.was_not_tried(), "{error}");
    // A moment later it is not tried again: it may have started meanwhile.
    let error = echo(&transport, &address, "").await.unwrap_err();
    assert!(!error.nobody_listens() && error.was_not_tried(), "{error}");
}
