//! What an operator sees and sets: access log, `/debug`, limits on rows, extra headers, the Unix socket.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use skywatch_http::{AccessLogConfig, HttpConfig, Server, UnixSocketConfig};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::harness::TestServer;

#[tokio::test]
async fn requests_are_logged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let config = AccessLogConfig { path: Some(path.clone()), ..AccessLogConfig::default() };
    let mut server = TestServer::start_with(|http| http.access_log = Some(config)).await;
    let reply = server.get("/query?q=SHOW+DATABASES&u=me&p=secret").await;
    let id = reply.header("Request-Id").to_owned();
    server.get("/nothing").await;
    server.begin_stop();
    server.stopped().await;
    let log = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].starts_with("127.0.0.1 - me ["), "{log}");
    let request = format!(
        "\"GET /query?p=%5BREDACTED%5D&q=SHOW+DATABASES&u=me HTTP/1.1\" 200 {} \"-\" \"-\" {id} ",
        reply.body.len()
    );
    assert!(lines[0].contains(&request), "{log}");
    assert!(lines[1].contains("\"GET /nothing HTTP/1.1\" 404 19 "), "{log}");
}

#[tokio::test]
async fn debug_requests_counts_while_it_waits() {
    let server = TestServer::start().await;
    let (counted, ()) = tokio::join!(server.get("/debug/requests?seconds=1"), async {
        // Requests that come before the watch begins are not counted; these go on until it has.
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.get("/query?q=SHOW+DATABASES").await;
        server.get("/query?q=SHOW+DATABASES").await;
        server.post("/write?db=db0", "cpu v=1").await;
        server.get("/ping").await;
    });
    assert_eq!(counted.header("Content-Type"), "application/json; charset=utf-8");
    assert_eq!(counted.text(), "{\n\"127.0.0.1\": {\"writes\":1,\"queries\":2}\n}\n");
    assert_eq!(server.get("/debug/requests?seconds=-1").await.text(), "{\n\n}\n");
    let error = "strconv.ParseInt: parsing \"x\": invalid syntax";
    assert_eq!(server.get("/debug/requests?seconds=x").await.header("X-Influxdb-Error"), error);
}

#[tokio::test]
async fn profiles_are_not_gos() {
    let server = TestServer::start().await;
    assert!(server.get("/debug/pprof/cmdline").await.text().contains("api"));
    let reply = server.get("/debug/pprof/heap").await;
    assert_eq!(reply.status(), 501);
    assert!(reply.text().contains("perf record"), "{}", reply.text());
    let server = TestServer::start_with(|config| config.pprof = false).await;
    assert_eq!(server.get("/debug/pprof/cmdline").await.status(), 404);
}

#[tokio::test]
async fn an_answer_ends_at_the_limit_on_rows() {
    let server = TestServer::start_with(|config| config.max_row_limit = 2).await;
    let rows = "[0,0],[1500000000000000000,1500000000]";
    let reply = server.get("/query?q=rows&epoch=ns").await;
    let cut = format!(
        "{{\"results\":[{{\"statement_id\":0,\"series\":[{{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\
         \"values\":[{rows}],\"partial\":true}}]}}]}}\n"
    );
    assert_eq!((reply.status(), reply.text()), (200, cut.as_str()));
    let csv = server.send("GET /query?q=rows HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n", b"").await;
    assert_eq!(csv.text().lines().count(), 3, "{}", csv.text());
    let chunked = server.get("/query?q=rows&epoch=ns&chunked=true").await;
    assert_eq!(chunked.text().matches("150000000").count(), 4, "{}", chunked.text());
}

#[tokio::test]
async fn extra_headers_are_on_every_answer() {
    let server = TestServer::start_with(|config| {
        config.headers = vec![("x-frame-options".parse().unwrap(), "DENY".parse().unwrap())];
    })
    .await;
    assert_eq!(server.get("/ping").await.header("X-Frame-Options"), "DENY");
    assert_eq!(server.get("/nothing").await.header("X-Frame-Options"), "DENY");
}

fn with_socket(path: std::path::PathBuf) -> HttpConfig {
    let socket = UnixSocketConfig { path, permissions: 0o750, group: None };
    HttpConfig { bind: "127.0.0.1:0".to_owned(), unix_socket: Some(socket), ..HttpConfig::default() }
}

#[tokio::test]
async fn the_unix_socket_answers_and_goes_with_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/influxdb.sock");
    let server = TestServer::start_with(|config| *config = with_socket(path.clone())).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o750);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 204 No Content\r\n"), "{reply}");
    let error = Server::bind(with_socket(path.clone())).await.unwrap_err().to_string();
    assert!(error.contains("another process listens there"), "{error}");
    let mut server = server;
    server.begin_stop();
    server.stopped().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_a_file_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    assert!(Server::bind(with_socket(stale)).await.is_ok());
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(Server::bind(with_socket(file.clone())).await.is_err());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}
