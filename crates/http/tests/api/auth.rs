//! Authentication: who is let in where, and what the others are told.

use skywatch_http::{AuthConfig, InProcessUser};
use skywatch_query::Identity;

use crate::harness::{Reply, TestServer};

/// A server that asks for users; `root` administers, `reader` may read `db0`, `writer` may write to it.
async fn start(has_admin: bool) -> TestServer {
    let server = TestServer::start_with(|config| {
        config.auth = Some(AuthConfig {
            realm: "InfluxDB".to_owned(),
            shared_secret: None,
            ping: false,
            in_process: Some(InProcessUser { name: "agent".to_owned(), password: "inside".to_owned() }),
        });
    })
    .await;
    server.engine.accounts.set_has_admin(has_admin);
    server
}

async fn get_as(server: &TestServer, target: &str, user: &str) -> Reply {
    server.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {user}\r\n"), b"").await
}

fn refused(reply: &Reply, text: &str) {
    assert_eq!((reply.status(), reply.text()), (401, format!("{{\"error\":\"{text}\"}}\n").as_str()));
    assert_eq!(reply.header("Www-Authenticate"), "Basic realm=\"InfluxDB\"");
    assert_eq!(reply.header("X-Influxdb-Error"), "", "as in InfluxDB");
}

#[tokio::test]
async fn nothing_but_ping_and_health_answers_somebody_unknown() {
    let server = start(true).await;
    assert_eq!(server.get("/ping").await.status(), 204);
    assert_eq!(server.get("/health").await.status(), 200);
    for target in [
        "/query?q=SHOW+DATABASES",
        "/metrics",
        "/debug/vars",
        "/debug/requests",
        "/debug/pprof/cmdline",
        "/skywatch/v1/backup/file?session=x",
    ] {
        refused(&server.get(target).await, "unable to parse authentication credentials");
        refused(&get_as(&server, target, "root:wrong").await, "authorization failed");
        refused(&get_as(&server, target, "nobody:x").await, "authorization failed");
    }
    for target in [
        "/write?db=db0",
        "/api/v2/write?bucket=db0",
        "/query?q=x",
        "/skywatch/v1/restore/commit?session=x",
        "/api/v1/prom/write?db=db0",
        "/api/v1/prom/read?db=db0",
    ] {
        refused(&server.post(target, "m v=1").await, "unable to parse authentication credentials");
    }
    assert!(
        server.engine.queries.lock().unwrap().is_empty() && server.engine.writes.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn users_reach_what_they_may() {
    let server = start(true).await;
    assert_eq!(get_as(&server, "/query?q=SHOW+DATABASES", "reader:pw").await.status(), 200);
    let identity = server.engine.last_query().identity;
    assert_eq!((identity.user_name(), identity.may_read("db0")), (Some("reader"), true));
    assert_eq!(get_as(&server, "/metrics", "reader:pw").await.status(), 200);
    for target in [
        "/debug/requests?seconds=0",
        "/debug/pprof/cmdline",
        "/skywatch/v1/backup/file?session=x&shard=1&name=y",
    ] {
        let reply = get_as(&server, target, "reader:pw").await;
        assert_eq!(reply.status(), 403, "{target}");
        assert!(reply.text().contains("reader not authorized for"), "{}", reply.text());
        assert!(!matches!(get_as(&server, target, "root:pw").await.status(), 401 | 403), "{target}");
    }
}

#[tokio::test]
async fn credentials_of_a_form_come_last() {
    let server = start(true).await;
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let ask = |target: &str, header: &str| format!("POST {target} HTTP/1.1\r\nHost: x\r\n{form}{header}");
    let body = b"q=SHOW+DATABASES&u=reader&p=pw";
    assert_eq!(server.send(&ask("/query", ""), body).await.status(), 200);
    assert_eq!(server.engine.last_query().identity.user_name(), Some("reader"));
    assert_eq!(server.send(&ask("/query?u=root&p=pw", ""), body).await.status(), 200);
    assert_eq!(server.engine.last_query().identity.user_name(), Some("root"));
    refused(
        &server.send(&ask("/query", "Authorization: Token root:no\r\n"), body).await,
        "authorization failed",
    );
    refused(&server.send(&ask("/query", ""), b"q=x&u=reader&p=no").await, "authorization failed");
}

#[tokio::test]
async fn writes_need_a_right_on_their_database() {
    let server = start(true).await;
    let write = async |user: &str, target: &str| {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {user}:pw\r\n");
        server.send(&head, b"m v=1").await
    };
    for target in ["/write?db=db0", "/api/v2/write?bucket=db0/autogen"] {
        assert_eq!(write("writer", target).await.status(), 204);
        assert_eq!(write("root", target).await.status(), 204);
        let reply = write("reader", target).await;
        let text = r#"{"error":"\"reader\" user is not authorized to write to database \"db0\""}"#;
        assert_eq!((reply.status(), reply.text().trim_end()), (403, text));
    }
    assert_eq!(write("reader", "/write?db=nope").await.status(), 404, "told first");
    let server = start(false).await;
    let reply = server.post("/write?db=db0", "m v=1").await;
    let text = r#"{"error":"user is required to write to database \"db0\""}"#;
    assert_eq!((reply.status(), reply.text().trim_end()), (403, text));
}

#[tokio::test]
async fn without_an_administrator_nobody_is_asked_and_little_goes() {
    let server = start(false).await;
    assert_eq!(get_as(&server, "/query?q=SHOW+DATABASES", "who:ever").await.status(), 200);
    assert_eq!(server.engine.last_query().identity, Identity::Anonymous, "the executor decides");
    for target in ["/metrics", "/debug/vars", "/debug/requests"] {
        let reply = server.get(target).await;
        assert_eq!(reply.status(), 403, "{target}");
        assert!(reply.text().contains("create admin user first"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_part_of_this_process_may_do_everything() {
    for has_admin in [true, false] {
        let server = start(has_admin).await;
        assert_eq!(get_as(&server, "/query?q=SHOW+DATABASES", "agent:inside").await.status(), 200);
        assert_eq!(server.engine.last_query().identity, Identity::Unrestricted);
    }
    refused(&get_as(&start(true).await, "/metrics", "agent:outside").await, "authorization failed");
}

#[tokio::test]
async fn a_password_is_checked_once_and_recalled_then() {
    let server = start(true).await;
    for _ in 0..3 {
        assert_eq!(get_as(&server, "/metrics", "reader:pw").await.status(), 200);
    }
    assert_eq!(server.engine.accounts.verified(), 1);
    refused(&get_as(&server, "/metrics", "reader:no").await, "authorization failed");
    assert_eq!(server.engine.accounts.verified(), 2, "a wrong one costs its check each time");
}

#[tokio::test]
async fn tokens_need_a_secret() {
    let reply = start(true)
        .await
        .send("GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\n", b"")
        .await;
    refused(&reply, "bearer auth disabld");
}

#[tokio::test]
async fn authentication_off_asks_nobody() {
    let server = TestServer::start().await;
    assert_eq!(get_as(&server, "/query?q=SHOW+DATABASES", "who:ever").await.status(), 200);
    assert_eq!(server.engine.last_query().identity, Identity::Unrestricted);
    assert_eq!(server.get("/metrics").await.status(), 200);
}

#[tokio::test]
async fn every_way_in_and_out_asks_for_the_right() {
    let server = start(true).await;
    let post = async |user: &str, target: &str| {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {user}:pw\r\n");
        server.send(&head, b"{}").await.status()
    };
    for (target, needs_write) in [
        ("/api/v1/prom/write?db=db0", true),
        ("/api/v1/prom/read?db=db0", false),
        ("/api/v2/delete?bucket=db0/autogen", true),
    ] {
        let (allowed, refused) = if needs_write { ("writer", "reader") } else { ("reader", "writer") };
        assert_eq!(post(refused, target).await, 403, "{target}");
        assert_ne!(post(allowed, target).await, 403, "{target}");
        assert_ne!(post("root", target).await, 403, "{target}");
    }
    assert_eq!(server.get("/api/v2/buckets").await.status(), 401);
    assert_eq!(get_as(&server, "/api/v2/buckets", "reader:pw").await.status(), 200);
    assert_eq!(server.engine.last_query().identity.user_name(), Some("reader"), "asked on the user's behalf");
}
