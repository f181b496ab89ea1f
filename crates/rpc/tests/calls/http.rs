//! HTTP on a port of calls.

use axum::{Router, extract::ConnectInfo, routing::get};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::node::{Node, echo, options, transport};

async fn get_status(node: &Node) -> String {
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn http_and_calls_share_a_port() {
    let status = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("hello {}", peer.ip()) };
    let http = Router::new().route("/status", get(status));
    let node = Node::start_at("127.0.0.1:0", options(""), Some(http)).await;
    let answer = get_status(&node).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello 127.0.0.1"), "{answer}");
    echo(&transport(""), &node.address, "").await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn a_port_without_http_does_not_answer_it() {
    let node = Node::start(options("")).await;
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(stream.read(&mut [0; 10]).await, Ok(0) | Err(_)));
    node.stop().await;
}
