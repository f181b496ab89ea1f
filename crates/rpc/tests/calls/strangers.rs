//! Who is refused: wrong secrets, other clusters, other protocols, no certificate.

use skywatch_rpc::{CallError, ServeOptions, TcpTransport, TransportOptions};
use skywatch_tls::{ClientTls, ClientTlsConfig, ServerTls, TlsConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    certificates::{Authority, authority},
    node::{LONG, Node, echo, identity, options, transport, until},
};

fn reason(error: CallError) -> String {
    match error {
        CallError::Unreachable { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_secret_has_to_be_the_same() {
    let node = Node::start(options("swordfish")).await;
    echo(&transport("swordfish"), &node.address, "").await.unwrap();
    let wrong = reason(echo(&transport("tuna"), &node.address, "").await.unwrap_err());
    assert!(
        wrong.starts_with("it refuses this node: the two nodes are configured with different"),
        "{wrong}"
    );
    let none = reason(echo(&transport(""), &node.address, "").await.unwrap_err());
    assert!(none.contains("only from nodes that know the cluster's secret"), "{none}");
    assert_eq!((node.counters.read().peers_refused, node.counters.read().calls), (2, 1));
    node.stop().await;
}

#[tokio::test]
async fn nodes_of_two_clusters_refuse_each_other() {
    let (ours, theirs) = (identity(""), identity(""));
    ours.cluster.set(1);
    let node = Node::start(ServeOptions::new(theirs.clone())).await;
    let transport = TcpTransport::new(TransportOptions::new(ours));
    echo(&transport, &node.address, "").await.unwrap();
    theirs.cluster.set(2);
    let other = Node::start(ServeOptions::new(theirs)).await;
    let refused = reason(echo(&transport, &other.address, "").await.unwrap_err());
    assert_eq!(refused, "it refuses this node: it belongs to cluster 2, and who connects to cluster 1");
    node.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn strangers_are_let_go() {
    let node = Node::start(options("")).await;
    // A node of an InfluxDB cluster: first byte 2, then a message of its own.
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(b"\x02\x01\0\0\0\0\0\0\0\x05hello").await.unwrap();
    let closed = timeout(LONG, stream.read(&mut [0; 100])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    until("the refusal is counted", || node.counters.read().peers_refused == 1).await;
    node.stop().await;

    // A server of something else.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n").await.unwrap();
        stream
    });
    let error = reason(echo(&transport(""), &to, "").await.unwrap_err());
    assert!(error.starts_with("what answers there is no Skywatch node"), "{error}");
    drop(server.await.unwrap());
}

fn tls_options(authority: &Authority, secret: &str, asks: bool) -> ServeOptions {
    let (certificate, key) = authority.certificate("node");
    let config = TlsConfig {
        client_authorities: asks.then(|| authority.path()),
        ..TlsConfig::new(certificate, Some(key))
    };
    ServeOptions { tls: Some(ServerTls::load(&config).unwrap()), ..options(secret) }
}

fn tls_transport(authority: &Authority, secret: &str, shown: Option<&Authority>) -> TcpTransport {
    let identity_files = shown.map(|authority| {
        let (certificate, key) = authority.certificate("client");
        (certificate, Some(key))
    });
    let config = ClientTlsConfig {
        authorities: Some(authority.path()),
        identity: identity_files,
        skip_verification: false,
    };
    let tls = Some(ClientTls::load(&config).unwrap());
    TcpTransport::new(TransportOptions { tls, ..TransportOptions::new(identity(secret)) })
}

#[tokio::test]
async fn tls_is_mutual_where_an_authority_is_configured() {
    let (ours, other) = (authority("ours"), authority("other"));
    let node = Node::start(tls_options(&ours, "swordfish", true)).await;
    let good = tls_transport(&ours, "swordfish", Some(&ours));
    let reply = echo(&good, &node.address, vec![3; 1_000_000]).await.unwrap();
    assert_eq!(reply.body.len(), 1_000_000);

    let none = reason(echo(&tls_transport(&ours, "swordfish", None), &node.address, "").await.unwrap_err());
    assert!(none.contains("only from nodes that show a certificate"), "{none}");
    let theirs = tls_transport(&ours, "swordfish", Some(&other));
    let theirs = reason(echo(&theirs, &node.address, "").await.unwrap_err());
    assert!(theirs.to_ascii_lowercase().contains("alert"), "{theirs}");
    let distrusted = tls_transport(&other, "swordfish", Some(&ours));
    let distrusted = reason(echo(&distrusted, &node.address, "").await.unwrap_err());
    assert!(distrusted.starts_with("the TLS handshake failed"), "{distrusted}");
    let wrong_secret = tls_transport(&ours, "tuna", Some(&ours));
    let wrong_secret = reason(echo(&wrong_secret, &node.address, "").await.unwrap_err());
    assert!(wrong_secret.contains("different secrets"), "{wrong_secret}");

    let plain = reason(echo(&transport("swordfish"), &node.address, "").await.unwrap_err());
    assert_eq!(plain, "it refuses this node: it speaks TLS only, and who connects does not");
    assert_eq!(node.counters.read().calls, 1);
    node.stop().await;
}

#[tokio::test]
async fn tls_to_a_plain_port_is_refused_in_words() {
    let ours = authority("plain");
    let node = Node::start(options("")).await;
    let refused = reason(echo(&tls_transport(&ours, "", None), &node.address, "").await.unwrap_err());
    assert!(refused.starts_with("the TLS handshake failed, if it speaks TLS at all"), "{refused}");
    node.stop().await;
}

#[tokio::test]
async fn renewed_certificates_are_used_without_a_restart() {
    let (old, new) = (authority("old"), authority("new"));
    let (certificate, key) = old.certificate("node");
    let tls = ServerTls::load(&TlsConfig::new(certificate.clone(), Some(key.clone()))).unwrap();
    let node = Node::start(ServeOptions { tls: Some(tls), ..options("") }).await;
    echo(&tls_transport(&old, "", None), &node.address, "").await.unwrap();
    let (renewed, renewed_key) = new.certificate("node");
    std::fs::copy(renewed_key, key).unwrap();
    std::fs::copy(renewed, certificate).unwrap();
    // The files are looked at once a second.
    let begun = tokio::time::Instant::now();
    while echo(&tls_transport(&new, "", None), &node.address, "").await.is_err() {
        assert!(begun.elapsed() < LONG, "the new certificate is not shown");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    node.stop().await;
}
