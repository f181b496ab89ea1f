//! The output against a server of its own making, and against Debian's `influxd` where it is installed.

mod real;

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;
use crate::config::section_for_tests;

/// What a server was asked.
#[derive(Debug, Clone, Default)]
struct Request {
    path: String,
    query: String,
    headers: HeaderMap,
    body: String,
}

/// Status, headers and body.
type Reply = (u16, Vec<(&'static str, String)>, String);

/// Answers in turn (204 at the end), and remembers what it was asked.
#[derive(Default)]
struct Script {
    answers: VecDeque<Reply>,
    requests: Vec<Request>,
}

type Shared = Arc<Mutex<Script>>;

async fn serve(answers: Vec<(u16, &str)>) -> (String, Shared) {
    let answers = answers.into_iter().map(|(status, body)| (status, Vec::new(), body.to_owned())).collect();
    let script: Shared = Arc::new(Mutex::new(Script { answers, requests: Vec::new() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let app = Router::new().fallback(answer_request).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, script)
}

async fn answer_request(
    State(script): State<Shared>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|e| e == "gzip") {
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(body.to_vec()).expect("text");
    }
    let mut script = script.lock().expect("not poisoned");
    script.requests.push(Request {
        path: uri.path().to_owned(),
        query: query.unwrap_or_default(),
        headers,
        body: text,
    });
    let (status, extra, body) = script.answers.pop_front().unwrap_or((204, Vec::new(), String::new()));
    let mut headers = HeaderMap::new();
    for (name, value) in extra {
        headers.insert(name, value.parse().expect("a header"));
    }
    (StatusCode::from_u16(status).expect("a status"), headers, body)
}

fn output(url: &str, options: &str) -> Box<dyn Output> {
    output_of(&[url], options)
}

fn output_of(urls: &[&str], options: &str) -> Box<dyn Output> {
    let mut section = section_for_tests(&format!("urls = {urls:?}\n{options}"));
    let output = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok());
    output
}

fn batch() -> Batch {
    Arc::from(vec![
        Arc::new(Metric::new("cpu", 1).tag("host", "a b").tag("db", "other").field("x", 1_u64)),
        Arc::new(Metric::new("mem", 2).field("y", 0.5)),
    ])
}

/// The outcome of a write of which everything is kept.
fn kept(outcome: WriteOutcome, metrics: usize) -> Fates {
    let WriteOutcome::Each(fates) = outcome else { panic!("{outcome:?}") };
    assert_eq!((fates.rejected.len(), fates.kept.len()), (0, metrics));
    fates
}

fn requests(script: &Shared) -> Vec<Request> {
    script.lock().expect("not poisoned").requests.clone()
}

#[tokio::test]
async fn a_write_carries_everything() {
    let (url, script) = serve(vec![]).await;
    let options = "database = 'my db'\nretention_policy = 'week'\nusername = 'u'\npassword = 'p'\n\
                   write_consistency = 'all'\nuser_agent = 'test/1'\n[http_headers]\nX-Cloud = 'north'";
    assert_eq!(output(&url, options).write(batch()).await, WriteOutcome::Stored);
    let request = &requests(&script)[0];
    assert_eq!(request.path, "/write");
    assert_eq!(request.query, "db=my+db&rp=week&consistency=all");
    assert_eq!(request.headers["authorization"], "Basic dTpw");
    assert_eq!(request.headers["user-agent"], "test/1");
    assert_eq!(request.headers["x-cloud"], "north");
    assert_eq!(request.headers["content-encoding"], "gzip");
    assert_eq!(request.body, "cpu,db=other,host=a\\ b x=1i 1\nmem y=0.5 2\n");
}

#[tokio::test]
async fn options_change_the_lines_and_the_encoding() {
    let (url, script) = serve(vec![]).await;
    let options = "content_encoding = 'identity'\ninflux_uint_support = true\nwrite_consistency = 'one'";
    output(&url, options).write(batch()).await;
    let request = &requests(&script)[0];
    assert!(request.headers.get("content-encoding").is_none());
    assert!(request.body.contains("x=1u 1\n"));
    assert_eq!(request.query, "db=telegraf", "`one` is the default and not sent");
}

#[tokio::test]
async fn credentials_and_paths_of_the_url_are_used() {
    let (url, script) = serve(vec![]).await;
    let url = url.replace("http://", "http://u:p@") + "/influx/";
    output(&url, "").write(batch()).await;
    let request = &requests(&script)[0];
    assert_eq!(request.path, "/influx/write");
    assert_eq!(request.headers["authorization"], "Basic dTpw");
}

#[tokio::test]
async fn the_database_is_created_at_the_start_and_when_it_is_missing() {
    let missing = r#"{"error":"database not found: \"we\"ird\""}"#;
    let (url, script) = serve(vec![(200, "{}"), (404, missing), (200, "{}")]).await;
    let mut out = output(&url, "database = 'we\"ird'");
    out.connect().await.expect("created");
    assert_eq!(out.write(batch()).await, WriteOutcome::Stored);
    let seen: Vec<_> = requests(&script).iter().map(|r| format!("{}?{}", r.path, r.query)).collect();
    let create = "/query?q=CREATE+DATABASE+%22we%5C%22ird%22";
    assert_eq!(seen, [create, "/write?db=we%22ird", create, "/write?db=we%22ird"]);
}

#[tokio::test]
async fn without_creation_a_missing_database_is_waited_for() {
    let (url, script) = serve(vec![(404, r#"{"error":"database not found: \"telegraf\""}"#)]).await;
    let mut out = output(&url, "skip_database_creation = true");
    out.connect().await.expect("nothing to do");
    let reason = kept(out.write(batch()).await, 2).reason;
    assert!(reason.ends_with("database not found: \"telegraf\""), "{reason}");
    assert_eq!(requests(&script).len(), 1);
}

#[tokio::test]
async fn every_url_is_tried_before_a_batch_is_kept() {
    let (bad, bad_script) = serve(vec![(500, "{\"error\":\"a\"}"); 50]).await;
    let (good, good_script) = serve(vec![]).await;
    let mut out = output_of(&[&bad, "http://127.0.0.1:1", &good], "");
    for _ in 0..50 {
        assert_eq!(out.write(batch()).await, WriteOutcome::Stored);
    }
    assert_eq!(requests(&good_script).len(), 50);
    // In random order: the bad one comes before the good one about half of the times.
    let tried = requests(&bad_script).len();
    assert!((5..=45).contains(&tried), "{tried}");
}

#[tokio::test]
async fn the_server_ready_first_decides_when_to_come_back() {
    let later = |seconds: &str| (503, vec![("retry-after", seconds.to_owned())], String::new());
    let (a, script_a) = serve(vec![]).await;
    let (b, script_b) = serve(vec![]).await;
    script_a.lock().expect("not poisoned").answers.push_back(later("30"));
    script_b.lock().expect("not poisoned").answers.push_back(later("7"));
    let outcome = output_of(&[&a, &b], "").write(batch()).await;
    let Fates { after, reason, .. } = kept(outcome, 2);
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert!(reason.contains("503"), "{reason}");
}

#[tokio::test]
async fn an_answer_about_the_points_ends_it() {
    let body = r#"{"error":"partial write: unable to parse 'x': missing fields dropped=0"}"#;
    let (a, script_a) = serve(vec![(400, body)]).await;
    let (b, script_b) = serve(vec![(400, body)]).await;
    let outcome = output_of(&[&a, &b], "").write(batch()).await;
    assert!(matches!(outcome, WriteOutcome::Partial { .. }), "{outcome:?}");
    assert_eq!(requests(&script_a).len() + requests(&script_b).len(), 1);
}

#[tokio::test]
async fn tags_may_name_the_database() {
    let (url, script) = serve(vec![]).await;
    output(&url, "database_tag = 'db'\nexclude_database_tag = true").write(batch()).await;
    let seen: Vec<_> = requests(&script).iter().map(|r| format!("{} {}", r.query, r.body)).collect();
    assert_eq!(seen, ["db=other cpu,host=a\\ b x=1i 1\n", "db=telegraf mem y=0.5 2\n"]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let start = Instant::now();
    let outcome = output(&url, "timeout = '300ms'").write(batch()).await;
    let reason = kept(outcome, 2).reason;
    assert!(reason.ends_with("no answer within 300 ms"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn reasons_do_not_tell_passwords() {
    let outcome = output("http://user:secret@127.0.0.1:1", "").write(batch()).await;
    let reason = kept(outcome, 2).reason;
    assert!(!reason.contains("secret"), "{reason}");
    assert!(reason.contains("127.0.0.1:1") && reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn what_no_server_could_take_is_refused_here() {
    let (url, script) = serve(vec![]).await;
    let batch: Batch = Arc::from(vec![Arc::new(Metric::new("m", 1).field("x", f64::INFINITY))]);
    let outcome = output(&url, "").write(batch).await;
    let WriteOutcome::Each(Fates { rejected, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(rejected, [(0, "metric m has no serializable fields".to_owned())]);
    assert!(requests(&script).is_empty(), "nothing is left to send");
}

#[tokio::test]
async fn a_server_that_comes_back_gets_everything() {
    let (url, script) = serve(vec![]).await;
    {
        let mut script = script.lock().expect("not poisoned");
        // The database is created; then two writes are turned away, the first for a second.
        script.answers.push_back((200, Vec::new(), "{}".to_owned()));
        script.answers.push_back((503, vec![("retry-after", "1".to_owned())], String::new()));
        script.answers.push_back((500, Vec::new(), error_body()));
    }
    let text = format!(
        "[agent]\ninterval = '200ms'\nflush_interval = '200ms'\n[[inputs.mem]]\n[[outputs.influxdb]]\nurls = ['{url}']\n"
    );
    let config = crate::config::Config::parse_with(&text, "test.conf", &|_| None).expect("valid");
    let agent = crate::agent::Agent::new(config).expect("inputs");
    let report = agent.run(tokio::time::sleep(Duration::from_secs(5))).await.expect("ran");
    assert_eq!(report.lost(), 0, "{report:?}");
    let totals = report.outputs[0].1;
    assert_eq!(totals.failed_writes, 2, "backed off instead of trying with every flush");
    let requests = requests(&script);
    let stored: usize = requests[3..].iter().map(|r| r.body.lines().count()).sum();
    assert_eq!(stored as u64, report.gathered);
    assert!(requests[2].body.starts_with(&requests[1].body), "the oldest first, again");
}

#[tokio::test]
async fn a_database_that_cannot_be_written_costs_the_others_nothing() {
    let denied = r#"{"error":"\"bob\" user is not authorized to write to database \"other\""}"#;
    let (url, script) = serve(vec![(403, denied)]).await;
    let fates = kept(output(&url, "database_tag = 'db'").write(batch()).await, 1);
    assert_eq!(fates.kept, [0]);
    assert_eq!(requests(&script).len(), 2, "the other group is written");
}

#[tokio::test]
async fn a_server_behind_a_socket() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("influx.sock");
    let script: Shared = Arc::default();
    let listener = tokio::net::UnixListener::bind(&path).expect("bound");
    let app = Router::new().fallback(answer_request).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, app).await });
    for url in [format!("unix://{}", path.display()), format!("http+unix://{}:/api", path.display())] {
        assert_eq!(output(&url, "").write(batch()).await, WriteOutcome::Stored);
    }
    let paths: Vec<_> = requests(&script).into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/write", "/api/write"]);
}

#[tokio::test]
async fn a_proxy_and_an_address_of_our_own() {
    let (proxy, script) = serve(vec![]).await;
    let options = format!("http_proxy = '{proxy}'\nlocal_address = 'lo'");
    let outcome = output("http://influx.example:8086", &options).write(batch()).await;
    assert_eq!(outcome, WriteOutcome::Stored);
    assert_eq!(requests(&script)[0].headers["host"], "influx.example:8086");
    let mut section = section_for_tests("local_address = 'no-such-0'");
    let error = build(&mut section, &Context::default()).expect_err("no such interface").to_string();
    assert!(error.ends_with("\"no-such-0\" is neither an address nor an interface that has one"), "{error}");
}

#[tokio::test]
async fn datagrams_carry_whole_lines_and_long_ones_are_split() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("udp://{}", socket.local_addr().expect("bound"));
    let mut out = output(&url, "udp_payload = '27B'");
    out.connect().await.expect("nothing to create");
    let long = Metric::new("m", 5).field("aaaaaaaa", 1_i64).field("bbbbbbbb", 2_i64).field("cccccccc", 3_i64);
    let never = Metric::new("x", 6).field("f", "y".repeat(40));
    let batch: Batch = vec![
        Arc::new(Metric::new("a", 1).field("x", 1_i64)),
        Arc::new(Metric::new("b", 2).field("x", 2_i64)),
        Arc::new(Metric::new("c", 3).field("x", 3_i64)),
        Arc::new(never),
        Arc::new(long),
    ]
    .into();
    let WriteOutcome::Each(Fates { rejected, kept, .. }) = out.write(batch).await else { panic!("sent") };
    assert_eq!((rejected.len(), rejected[0].0, kept.len()), (1, 3, 0));
    let mut datagrams = Vec::new();
    for _ in 0..4 {
        let mut bytes = [0; 100];
        let received = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut bytes)).await;
        let len = received.expect("in time").expect("received");
        datagrams.push(String::from_utf8_lossy(&bytes[..len]).into_owned());
    }
    assert_eq!(
        datagrams,
        ["a x=1i 1\nb x=2i 2\nc x=3i 3\n", "m aaaaaaaa=1i 5\n", "m bbbbbbbb=2i 5\n", "m cccccccc=3i 5\n"]
    );
}

fn output_v2(url: &str, options: &str) -> Box<dyn Output> {
    let mut section = section_for_tests(&format!("urls = [{url:?}]\n{options}"));
    let output = build_v2(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok());
    output
}

#[tokio::test]
async fn buckets_are_written_with_a_token() {
    let (url, script) = serve(vec![]).await;
    let options = "token = 't0'\norganization = 'my org'\nbucket = 'b'\nbucket_tag = 'db'\nexclude_bucket_tag = true\n\
                   ping_timeout = '1s'\nconcurrent_writes = 2\nrate_limit = 'unlimited'";
    let mut out = output_v2(&url, options);
    out.connect().await.expect("nothing to create");
    assert_eq!(out.write(batch()).await, WriteOutcome::Stored);
    let requests = requests(&script);
    let seen: Vec<_> = requests.iter().map(|r| format!("{}?{} {}", r.path, r.query, r.body)).collect();
    assert_eq!(
        seen,
        [
            "/api/v2/write?bucket=b&org=my+org&precision=ns mem y=0.5 2\n",
            "/api/v2/write?bucket=other&org=my+org&precision=ns cpu,host=a\\ b x=1i 1\n"
        ]
    );
    assert_eq!(requests[0].headers["authorization"], "Token t0");
    assert_eq!(out.bytes_written(), Some(33));
}

#[tokio::test]
async fn a_rate_limit_keeps_the_rest_for_the_next_period() {
    let (url, script) = serve(vec![]).await;
    let mut out = output_v2(&url, "bucket = 'b'\nrate_limit = '40B'\nrate_limit_period = '1h'");
    assert_eq!(out.write(batch()).await, WriteOutcome::Stored);
    let Fates { reason, after, .. } = kept(out.write(batch()).await, 2);
    assert_eq!(reason, "the rate_limit is reached");
    assert!(after.is_some_and(|wait| wait > Duration::from_secs(3500)));
    assert_eq!(requests(&script).len(), 1);
    let mut section = section_for_tests("bucket = 'b'\nrate_limit = '40B'");
    let error = build_v2(&mut section, &Context::default()).expect_err("no period").to_string();
    assert!(error.ends_with("a rate_limit_period is needed with it"), "{error}");
}

fn error_body() -> String {
    serde_json::json!({ "error": "engine is closed" }).to_string()
}
