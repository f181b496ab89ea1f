//! A server on a free port, and a client that sees raw bytes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use skywatch_http::{HttpConfig, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::fake::FakeEngine;

/// Longest any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestServer {
    pub engine: Arc<FakeEngine>,
    pub address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut HttpConfig)) -> Self {
        let mut config = HttpConfig { bind: "127.0.0.1:0".to_owned(), ..HttpConfig::default() };
        configure(&mut config);
        let server = Server::bind(config).await.unwrap();
        let address = server.local_addr();
        let engine = Arc::new(FakeEngine::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(Arc::clone(&engine) as Arc<_>, async {
            stopped.await.unwrap();
        }));
        Self { engine, address, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, head: &str, body: &[u8]) -> Reply {
        let mut connection = self.connect().await;
        connection.request(head, body).await;
        connection.reply().await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n"), b"").await
    }

    pub(crate) async fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Reply {
        self.send(&format!("POST {target} HTTP/1.1\r\nHost: x\r\n"), body.as_ref()).await
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the server to end.
    pub(crate) async fn stopped(self) {
        timeout(PATIENCE, self.serving).await.expect("the server did not stop").unwrap();
    }
}

pub(crate) struct Connection(pub TcpStream);

impl Connection {
    pub(crate) async fn request(&mut self, head: &str, body: &[u8]) {
        let length = if body.is_empty() && !head.starts_with("POST") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        self.0.write_all(format!("{head}{length}\r\n").as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
    }

    /// Reads one answer, leaving the connection open if the server does.
    pub(crate) async fn reply(&mut self) -> Reply {
        timeout(PATIENCE, self.read_reply()).await.expect("no answer in time")
    }

    /// Whether the server closes the connection.
    pub(crate) async fn closes(&mut self) -> bool {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.is_ok()
    }

    async fn read_reply(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("the head is cut short"));
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut reply = Reply { status_line, headers, body: Vec::new(), chunks: Vec::new(), cut: false };
        if reply.status() != 100 {
            self.read_body(&mut reply).await;
        }
        reply
    }

    async fn read_body(&mut self, reply: &mut Reply) {
        if reply.header("Transfer-Encoding") == "chunked" {
            reply.cut = self.read_chunks(reply).await.is_err();
        } else if let Ok(length) = reply.header("Content-Length").parse::<usize>() {
            reply.body.resize(length, 0);
            self.0.read_exact(&mut reply.body).await.unwrap();
        } else if reply.status_line.starts_with("HTTP/1.0") {
            self.0.read_to_end(&mut reply.body).await.unwrap();
        }
    }

    async fn read_chunks(&mut self, reply: &mut Reply) -> std::io::Result<()> {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.0.read_u8().await?);
            }
            let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.0.read_exact(&mut chunk).await?;
            chunk.truncate(length);
            if length == 0 {
                return Ok(());
            }
            reply.body.extend_from_slice(&chunk);
            reply.chunks.push(chunk);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub status_line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub chunks: Vec<Vec<u8>>,
    /// The connection ended within the body.
    pub cut: bool,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.status_line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The header in exactly this spelling; empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Status, `X-Influxdb-Error` and body of a failure.
    pub(crate) fn failure(&self) -> (u16, &str, &str) {
        (self.status(), self.header("X-Influxdb-Error"), self.text())
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
