//! `/ping`, `/status`, `/health`, `/ready`, what is unknown, and the headers of every answer.

use skywatch_cluster::NotReady;

use crate::harness::TestServer;

#[tokio::test]
async fn ping_is_204_with_influxdbs_headers() {
    let server = TestServer::start().await;
    for head in ["GET /ping", "HEAD /ping", "GET /status", "GET /ping?verbose=false", "GET /ping?verbose=0"] {
        let reply = server.send(&format!("{head} HTTP/1.1\r\nHost: x\r\n"), b"").await;
        assert_eq!(reply.status_line, "HTTP/1.1 204 No Content", "{head}");
        assert_eq!(reply.header("Content-Type"), "application/json");
        assert_eq!(reply.header("X-Influxdb-Version"), "1.8.10");
        assert_eq!(reply.header("X-Influxdb-Build"), "OSS");
        assert_eq!(reply.header("X-Skywatch-Version"), env!("CARGO_PKG_VERSION"));
        assert_eq!(reply.header("Request-Id").len(), 36);
        assert_eq!(reply.header("Request-Id"), reply.header("X-Request-Id"));
        assert!(reply.header("Date").ends_with(" GMT"), "{reply:?}");
        assert!(!reply.has("content-length") && !reply.has("transfer-encoding"), "{reply:?}");
    }
}

/// InfluxDB 1.8: 1.6 knows neither `verbose` nor `/health`.
#[tokio::test]
async fn verbose_ping_and_health_tell_the_version() {
    let server = TestServer::start().await;
    for target in ["/ping?verbose=true", "/ping?verbose=1"] {
        let reply = server.get(target).await;
        assert_eq!((reply.status(), reply.text()), (200, "{\"version\":\"1.8.10\"}"));
    }
    let reply = server.get("/health").await;
    assert_eq!(reply.header("Content-Type"), "application/json");
    assert_eq!(
        (reply.status(), reply.text()),
        (
            200,
            "{\"checks\":[],\"message\":\"ready for queries and writes\",\"name\":\"influxdb\",\
             \"status\":\"pass\",\"version\":\"1.8.10\"}"
        )
    );
}

#[tokio::test]
async fn load_balancers_are_told_when_to_go_elsewhere() {
    let server = TestServer::start().await;
    let reply = server.get("/ready").await;
    assert_eq!((reply.status(), reply.text()), (200, "{\"status\":\"ready\"}"));
    *server.engine.not_ready.lock().unwrap() = Some(NotReady::Stopping);
    let reply = server.get("/ready").await;
    let expected = "{\"status\":\"not ready\",\"message\":\"the node is stopping\"}";
    assert_eq!((reply.status(), reply.text()), (503, expected));
    assert_eq!(server.get("/ping").await.status(), 204);
}

#[tokio::test]
async fn writers_may_go_where_readers_may_not() {
    let server = TestServer::start().await;
    for (reason, writes) in [(NotReady::Behind, 200), (NotReady::CutOff, 503), (NotReady::Stopping, 503)] {
        *server.engine.not_ready.lock().unwrap() = Some(reason.clone());
        assert_eq!(server.get("/ready?for=writes").await.status(), writes, "{reason}");
        assert_eq!(server.get("/ready?for=reads").await.status(), 503, "{reason}");
    }
    let reply = server.get("/ready?for=fun").await;
    assert_eq!(
        (reply.status(), reply.text()),
        (400, "{\"error\":\"for is \\\"fun\\\": write reads or writes\"}")
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_as_gos_handlers() {
    let server = TestServer::start().await;
    for target in ["/", "/nonsense", "/ping/", "/query/", "//query?q=x", "/Query", "/write/?db=db0"] {
        let reply = server.get(target).await;
        assert_eq!((reply.status(), reply.text()), (404, "404 page not found\n"), "{target}");
        assert_eq!(reply.header("Content-Type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("X-Content-Type-Options"), "nosniff");
        assert_eq!(reply.header("X-Influxdb-Version"), "1.8.10");
        assert!(!reply.has("request-id"));
    }
    for (method, path, allow) in [
        ("POST", "/ping", "GET, HEAD"),
        ("DELETE", "/query", "GET, POST, OPTIONS"),
        ("GET", "/write?db=db0", "POST, OPTIONS"),
        ("PUT", "/write?db=db0", "POST, OPTIONS"),
    ] {
        let reply = server.send(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n"), b"").await;
        assert_eq!((reply.status(), reply.text()), (405, "Method Not Allowed\n"), "{method} {path}");
        assert_eq!(reply.header("Allow"), allow);
    }
}

#[tokio::test]
async fn unknown_v2_paths_are_404_in_json_and_others_know_what_they_need() {
    let server = TestServer::start().await;
    let reply = server.get("/api/v2/orgs").await;
    assert_eq!((reply.status(), reply.header("Content-Type")), (404, "application/json"));
    let body: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!(body["code"], "not found");
    assert_eq!(body["message"], "/api/v2/orgs is not served here");
    let reply = server.post("/api/v2/query?org=x", "{}").await;
    assert_eq!(reply.status(), 400);
    let body: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
    assert_eq!((&body["code"], &body["message"]), (&"invalid".into(), &"request body requires query".into()));
}

#[tokio::test]
async fn request_ids_are_echoed() {
    let server = TestServer::start().await;
    let reply = server.send("GET /ping HTTP/1.1\r\nHost: x\r\nRequest-Id: abc\r\n", b"").await;
    assert_eq!((reply.header("Request-Id"), reply.header("X-Request-Id")), ("abc", "abc"));
    let head = "GET /ping HTTP/1.1\r\nHost: x\r\nRequest-Id: abc\r\nX-Request-Id: xabc\r\n";
    let reply = server.send(head, b"").await;
    assert_eq!((reply.header("Request-Id"), reply.header("X-Request-Id")), ("xabc", "xabc"));
}

#[tokio::test]
async fn cors_for_those_who_name_an_origin() {
    let server = TestServer::start().await;
    let reply = server.send("OPTIONS /write HTTP/1.1\r\nHost: x\r\nOrigin: http://a.b\r\n", b"").await;
    assert_eq!((reply.status(), reply.header("Content-Length")), (200, "0"));
    assert_eq!(reply.header("Access-Control-Allow-Origin"), "http://a.b");
    assert_eq!(reply.header("Access-Control-Allow-Methods"), "DELETE, GET, OPTIONS, POST, PUT");
    assert_eq!(
        reply.header("Access-Control-Allow-Headers"),
        "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, X-HTTP-Method-Override"
    );
    assert_eq!(reply.header("Access-Control-Expose-Headers"), "Date, X-InfluxDB-Version, X-InfluxDB-Build");
    let reply = server.send("OPTIONS /query HTTP/1.1\r\nHost: x\r\n", b"").await;
    assert!(reply.status() == 200 && !reply.has("access-control-allow-origin"));
}
