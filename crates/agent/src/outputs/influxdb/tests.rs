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
    let WriteOutcome::Retry { reason, .. } = out.write(batch()).await else { panic!("kept") };
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
    let WriteOutcome::Retry { after, reason } = outcome else { panic!("kept") };
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
    let start = std::time::Instant::now();
    let outcome = output(&url, "timeout = '300ms'").write(batch()).await;
    let WriteOutcome::Retry { reason, .. } = outcome else { panic!("kept") };
    assert!(reason.ends_with("no answer within 300 ms"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn reasons_do_not_tell_passwords() {
    let outcome = output("http://user:secret@127.0.0.1:1", "").write(batch()).await;
    let WriteOutcome::Retry { reason, .. } = outcome else { panic!("kept") };
    assert!(!reason.contains("secret"), "{reason}");
    assert!(reason.contains("127.0.0.1:1") && reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn what_no_server_could_take_is_refused_here() {
    let (url, script) = serve(vec![]).await;
    let batch: Batch = Arc::from(vec![Arc::new(Metric::new("m", 1).field("x", f64::INFINITY))]);
    let outcome = output(&url, "").write(batch).await;
    assert!(matches!(outcome, WriteOutcome::Partial { rejected: 1, .. }), "{outcome:?}");
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

fn error_body() -> String {
    serde_json::json!({ "error": "engine is closed" }).to_string()
}
