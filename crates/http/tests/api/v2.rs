//! What 2.x clients call beside writing: `/api/v2/delete`, `/api/v2/buckets`. Who answers them for real are the
//! end-to-end tests; here are the requests that never get that far.

use skywatch_storage::TagPredicate;

use crate::harness::TestServer;

#[tokio::test]
async fn a_delete_says_what_and_where() {
    let server = TestServer::start().await;
    let body =
        r#"{"start":"1970-01-01T00:00:01Z","stop":"2026-05-01T00:00:00+02:00","predicate":"host=\"a\""}"#;
    let reply = server.post("/api/v2/delete?org=x&bucket=db0/week", body).await;
    assert_eq!((reply.status(), reply.text()), (204, ""));
    let deletes = server.engine.deletes.lock().unwrap();
    let (database, request) = &deletes[0];
    assert_eq!((database.as_str(), request.retention_policy.as_deref()), ("db0", Some("week")));
    assert_eq!((request.range.start, request.range.end), (1_000_000_000, 1_777_586_400_000_000_000));
    assert!(matches!(&request.predicate, TagPredicate::And(tags) if tags.len() == 1));
}

#[tokio::test]
async fn errors_of_a_delete_have_both_shapes() {
    let server = TestServer::start().await;
    let times = r#""start":"2026-01-01T00:00:00Z","stop":"2026-01-02T00:00:00Z""#;
    for (bucket, body, status, code, part) in [
        ("", format!("{{{times}}}"), 404, "not found", "is missing a slash"),
        ("db0/nope", format!("{{{times}}}"), 404, "not found", "retention policy not found: nope"),
        ("db0", "{".to_owned(), 400, "invalid", "cannot parse request body"),
        ("db0", "{}".to_owned(), 400, "invalid", "start is missing"),
        ("db0", r#"{"start":"yesterday","stop":"x"}"#.to_owned(), 400, "invalid", "is no RFC3339 time"),
        ("db0", format!("{{{times},\"predicate\":\"a=b OR c=d\"}}"), 400, "invalid", "OR is not supported"),
        (
            "db0",
            r#"{"start":"2026-01-02T00:00:00Z","stop":"2026-01-01T00:00:00Z"}"#.to_owned(),
            400,
            "invalid",
            "is after stop",
        ),
    ] {
        let reply = server.post(&format!("/api/v2/delete?bucket={bucket}"), &body).await;
        assert_eq!(reply.status(), status, "{body}");
        let json: serde_json::Value = serde_json::from_str(reply.text()).unwrap();
        assert_eq!(json["code"], code, "{body}");
        assert_eq!(json["message"], json["error"]);
        assert!(json["error"].as_str().unwrap().contains(part), "{}", reply.text());
    }
    assert!(server.engine.deletes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn buckets_that_cannot_be() {
    let server = TestServer::start().await;
    let create = async |body: &str| {
        let reply = server.post("/api/v2/buckets", body).await;
        (reply.status(), reply.header("X-Influxdb-Error").to_owned())
    };
    assert_eq!(create("[").await.0, 400);
    assert_eq!(
        create("{}").await.1,
        "buckets - bucket name \"\" is missing a slash; not in \"database/retention-policy\" format"
    );
    let two = r#"{"name":"a","retentionRules":[{"everySeconds":1},{"everySeconds":2}]}"#;
    assert_eq!(create(two).await.1, "buckets - more than one retention rule is not supported");
    assert_eq!(server.get("/api/v2/buckets?limit=many").await.status(), 400);
    assert_eq!(server.get("/api/v2/buckets/db9%2Fx").await.status(), 404);
    assert_eq!(server.get("/api/v2/buckets/").await.status(), 404);
}
