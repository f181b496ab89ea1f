//! `/query`.

use std::io::Read;

use flate2::read::GzDecoder;

use crate::harness::{Reply, TestServer, eventually};

const DATABASES: &str = "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"databases\",\"columns\":[\"name\"],\
                         \"values\":[[\"db0\"],[\"x\"]]}]}]}\n";

async fn query_as(server: &TestServer, query: &str, headers: &str) -> Reply {
    server.send(&format!("GET /query?{query} HTTP/1.1\r\nHost: x\r\n{headers}"), b"").await
}

#[tokio::test]
async fn an_answer_is_chunked_json() {
    let server = TestServer::start().await;
    let reply = server.get("/query?q=SHOW+DATABASES").await;
    assert_eq!(reply.status_line, "HTTP/1.1 200 OK");
    assert_eq!(reply.header("Content-Type"), "application/json");
    assert_eq!(reply.header("Transfer-Encoding"), "chunked");
    assert_eq!(reply.header("Request-Id").len(), 36);
    assert_eq!(reply.text(), DATABASES);
    let reply = server.post("/query?q=CREATE+DATABASE+x", "").await;
    assert_eq!(reply.text(), "{\"results\":[{\"statement_id\":0}]}\n");
    let reply = server.get("/query?q=failing").await;
    let text = "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: missing\"}]}\n";
    assert_eq!((reply.status(), reply.text()), (200, text));
    assert_eq!(server.get("/query?q=nothing").await.text(), "{}\n");
}

#[tokio::test]
async fn the_query_may_be_anywhere() {
    let server = TestServer::start().await;
    let form = |body: &str| {
        let head = "POST /query?db=url&q=rows HTTP/1.1\r\nHost: x\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n";
        (head.to_owned(), body.to_owned())
    };
    let (head, body) = form("q=SHOW+DATABASES&db=body&epoch=s");
    assert_eq!(server.send(&head, body.as_bytes()).await.text(), DATABASES);
    let seen = server.engine.last_query();
    assert_eq!(
        (seen.text.as_str(), seen.database.as_str()),
        ("SHOW DATABASES", "body"),
        "the body comes first"
    );
    assert!(!seen.read_only);

    let multipart = "--B\r\nContent-Disposition: form-data; name=\"q\"; filename=\"f.iql\"\r\n\r\n SHOW DATABASES \r\n--B--\r\n";
    let head =
        "POST /query?db=url&rp=week HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n";
    assert_eq!(server.send(head, multipart.as_bytes()).await.text(), DATABASES);
    let seen = server.engine.last_query();
    assert_eq!((seen.text.as_str(), seen.retention_policy.as_str()), ("SHOW DATABASES", "week"));

    // A body of another kind is nobody's business.
    let head = "POST /query?q=SHOW+DATABASES HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    assert_eq!(server.send(head, b"{\"q\":\"x\"}").await.text(), DATABASES);
    assert_eq!(server.get("/query?q=SHOW%20DATABASES&db=&u=x&p=y").await.text(), DATABASES);
    assert!(server.engine.last_query().read_only, "GET is a read-only context");
}

#[tokio::test]
async fn a_query_there_must_be() {
    let server = TestServer::start().await;
    let missing =
        (400, "missing required parameter \"q\"", "{\"error\":\"missing required parameter \\\"q\\\"\"}\n");
    assert_eq!(server.get("/query").await.failure(), missing);
    assert_eq!(server.post("/query", "").await.failure(), missing);
    assert_eq!(server.get("/query?q=+").await.failure(), missing);
    let reply = server.send("POST /query HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n", b"rows").await;
    assert_eq!(reply.failure(), missing);
}

#[tokio::test]
async fn a_query_says_whose_shards_it_reads_and_what_it_makes_do_with() {
    let server = TestServer::start().await;
    server.get("/query?q=SHOW+DATABASES&node_id=4&partial=true").await;
    let seen = server.engine.last_query();
    assert_eq!((seen.node_id, seen.allows_partial), (Some(4), true));
    server.get("/query?q=SHOW+DATABASES").await;
    let seen = server.engine.last_query();
    assert_eq!((seen.node_id, seen.allows_partial), (None, false));
    let refused = server.get("/query?q=SHOW+DATABASES&node_id=d1").await;
    assert_eq!(refused.failure().0, 400);
}

#[tokio::test]
async fn a_query_that_does_not_parse_is_400_in_every_form() {
    let server = TestServer::start().await;
    let text = "error parsing query: found EOF, expected FROM at line 1, char 10";
    let reply = server.get("/query?q=syntax").await;
    assert_eq!(reply.failure(), (400, text, format!("{{\"error\":\"{text}\"}}\n").as_str()));
    assert_eq!(reply.header("Content-Length"), (text.len() + 13).to_string());
    let reply = server.get("/query?q=syntax&pretty=true").await;
    assert_eq!(reply.text(), format!("{{\n    \"error\": \"{text}\"\n}}\n"));
    let reply = query_as(&server, "q=syntax", "Accept: text/csv\r\n").await;
    assert_eq!(reply.header("Content-Type"), "text/csv");
    assert_eq!(reply.text(), format!("error\n\"{text}\"\n"));
    let reply = query_as(&server, "q=syntax", "Accept-Encoding: gzip\r\n").await;
    assert!(!reply.has("content-encoding") && reply.status() == 400);
    let reply = server.get("/query?q=limit").await;
    assert_eq!((reply.status(), reply.header("Retry-After")), (503, "1"));
}

#[tokio::test]
async fn epochs_and_times() {
    let server = TestServer::start().await;
    let rows = |times: [&str; 3]| {
        format!(
            "{{\"results\":[{{\"statement_id\":0,\"series\":[{{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\
             \"values\":[[{},0],[{},1500000000],[{},1500000000.5]]}}]}}]}}\n",
            times[0], times[1], times[2]
        )
    };
    let rfc = ["\"1970-01-01T00:00:00Z\"", "\"2017-07-14T02:40:00Z\"", "\"2017-07-14T02:40:00.5Z\""];
    assert_eq!(server.get("/query?q=rows").await.text(), rows(rfc));
    for (epoch, times) in [
        ("ns", ["0", "1500000000000000000", "1500000000500000000"]),
        ("u", ["0", "1500000000000000", "1500000000500000"]),
        ("ms", ["0", "1500000000000", "1500000000500"]),
        ("s", ["0", "1500000000", "1500000000"]),
        ("m", ["0", "25000000", "25000000"]),
        ("h", ["0", "416666", "416666"]),
        ("zz", ["0", "1500000000000000000", "1500000000500000000"]),
    ] {
        assert_eq!(server.get(&format!("/query?q=rows&epoch={epoch}")).await.text(), rows(times), "{epoch}");
    }
}

#[tokio::test]
async fn chunks_arrive_one_object_at_a_time() {
    let server = TestServer::start().await;
    let reply = server.get("/query?q=rows&chunked=true&chunk_size=2&epoch=s").await;
    let head = "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"m\",\"columns\":[\"time\",\"v\"],\"values\":";
    assert_eq!(
        reply.chunks,
        [
            format!("{head}[[0,0],[1500000000,1500000000]],\"partial\":true}}],\"partial\":true}}]}}\n")
                .into_bytes(),
            format!("{head}[[1500000000,1500000000.5]]}}]}}]}}\n").into_bytes(),
        ]
    );
    let chunk_rows = |query: &'static str| {
        let server = &server;
        async move {
            server.get(query).await;
            server.engine.last_query().chunk_rows.map(std::num::NonZero::get)
        }
    };
    assert_eq!(chunk_rows("/query?q=rows&chunked=true").await, Some(10_000));
    assert_eq!(chunk_rows("/query?q=rows&chunked=true&chunk_size=abc").await, Some(10_000));
    assert_eq!(chunk_rows("/query?q=rows&chunked=true&chunk_size=0").await, Some(10_000));
    assert_eq!(chunk_rows("/query?q=rows&chunk_size=5").await, None);
    assert_eq!(chunk_rows("/query?q=rows&chunked=1&chunk_size=5").await, None, "only `true` is true");
}

#[tokio::test]
async fn csv_msgpack_pretty_and_gzip() {
    let server = TestServer::start().await;
    let csv = "name,tags,time,v\nm,,0,0\nm,,1500000000,1500000000\nm,,1500000000,1500000000.5\n";
    for accept in ["application/csv", "text/csv"] {
        let reply = query_as(&server, "q=rows&epoch=s", &format!("Accept: {accept}\r\n")).await;
        assert_eq!((reply.header("Content-Type"), reply.text()), ("text/csv", csv));
    }
    let reply = query_as(&server, "q=CREATE+DATABASE+x", "Accept: text/csv\r\n").await;
    assert_eq!((reply.status(), reply.text()), (200, ""));
    let reply = query_as(&server, "q=CREATE+DATABASE+x", "Accept: application/x-msgpack\r\n").await;
    assert_eq!(reply.header("Content-Type"), "application/x-msgpack");
    assert_eq!(reply.body, b"\x81\xa7results\x91\x82\xacstatement_id\x00\xa6series\x90");
    let reply = server.get("/query?q=CREATE+DATABASE+x&pretty=true").await;
    assert_eq!(
        reply.text(),
        "{\n    \"results\": [\n        {\n            \"statement_id\": 0\n        }\n    ]\n}\n"
    );
    let reply = query_as(&server, "q=SHOW+DATABASES", "Accept-Encoding: deflate, gzip;q=0.8\r\n").await;
    assert_eq!(reply.header("Content-Encoding"), "gzip");
    let mut unpacked = String::new();
    GzDecoder::new(&reply.body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, DATABASES);
    let reply = query_as(&server, "q=SHOW+DATABASES", "Accept-Encoding: gzip;q=0\r\n").await;
    assert!(!reply.has("content-encoding"));
}

#[tokio::test]
async fn warnings_and_bound_parameters() {
    let server = TestServer::start().await;
    let reply = server.get("/query?q=GET+CREATE").await;
    assert_eq!(
        reply.text(),
        "{\"results\":[{\"statement_id\":0,\"messages\":[{\"level\":\"warning\",\"text\":\"deprecated use of \
         'CREATE DATABASE x' in a read only context, please use a POST request instead\"}]}]}\n"
    );
    server.get("/query?q=SELECT+%24t&params=%7B%22t%22%3A%22a'b%22%7D").await;
    let query = server.engine.last_query();
    assert_eq!(query.text, "SELECT $t", "the text stays as it was sent");
    assert_eq!(query.params["t"], skywatch_query::ParamValue::String("a'b".to_owned()));
    let reply = server.get("/query?q=SELECT+%24t&params=%7B%22t%22%3A").await;
    let text = "error parsing query parameters: unexpected EOF";
    assert_eq!(reply.failure(), (400, text, format!("{{\"error\":\"{text}\"}}\n").as_str()));
}

#[tokio::test]
async fn asynchronous_queries_run_on() {
    let server = TestServer::start().await;
    let reply = server.post("/query?q=slow&async=true", "").await;
    assert_eq!((reply.status(), reply.text()), (204, ""));
    eventually("the query runs", || !server.engine.queries.lock().unwrap().is_empty()).await;
    // What is wrong at first sight is told, and nothing runs.
    let refused = server.post("/query?q=syntax&async=true", "").await;
    assert!(refused.status() == 400 && refused.text().contains("error parsing query"), "{}", refused.text());
    assert_eq!(server.engine.queries.lock().unwrap().len(), 1);
}

/// A bug in a query is a 500, or a cut connection if the answer had begun: never half an answer that looks whole.
#[tokio::test]
async fn panics_do_not_pass_for_answers() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/query?q=panic").await.status(), 500);
    let reply = server.get("/query?q=late+panic").await;
    assert!(reply.status() == 200 && reply.cut, "the answer seemed complete");
    assert_eq!(server.get("/query?q=SHOW+DATABASES").await.text(), DATABASES);
}
