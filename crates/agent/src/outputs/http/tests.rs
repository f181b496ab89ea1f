//! The output against a server that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;
use crate::config::section_for_tests;
use crate::metric::Metric;

#[derive(Default)]
struct Script {
    answers: VecDeque<u16>,
    requests: Vec<(Method, String, HeaderMap, Vec<u8>)>,
}

type Shared = Arc<Mutex<Script>>;

async fn serve(answers: &[u16]) -> (String, Shared) {
    let script: Shared =
        Arc::new(Mutex::new(Script { answers: answers.iter().copied().collect(), requests: Vec::new() }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/in", listener.local_addr().expect("bound"));
    let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, script)
}

async fn answer(
    State(script): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], &'static str) {
    let mut script = script.lock().expect("not poisoned");
    script.requests.push((method, uri.to_string(), headers, body.to_vec()));
    let status = script.answers.pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).expect("a status"), [("retry-after", "9")], "words")
}

fn output(url: &str, options: &str) -> Box<dyn Output> {
    let mut section = section_for_tests(&format!("url = '{url}'\n{options}"));
    let output = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().is_ok());
    output
}

fn batch() -> Batch {
    let good = |n: i64| Arc::new(Metric::new("m", n).field("x", n));
    vec![good(1), Arc::new(Metric::new("m", 2).field("x", f64::NAN)), good(3)].into()
}

fn bodies(script: &Shared) -> Vec<String> {
    let script = script.lock().expect("not poisoned");
    script.requests.iter().map(|(_, _, _, body)| String::from_utf8_lossy(body).into_owned()).collect()
}

#[tokio::test]
async fn a_batch_is_one_request_with_everything_configured() {
    let (url, script) = serve(&[]).await;
    let options =
        "method = 'put'\ntoken = 't'\nclient_id = ''\n[headers]\nX-A = 'b'\nContent-Type = 'text/x'";
    let mut out = output(&url, options);
    let WriteOutcome::Each(fates) = out.write(batch()).await else { panic!("stored") };
    assert_eq!((fates.rejected.len(), fates.rejected[0].0, fates.kept.len()), (1, 1, 0));
    assert_eq!(bodies(&script), ["m x=1i 1\nm x=3i 3\n"]);
    let script = script.lock().expect("not poisoned");
    let (method, path, headers, _) = &script.requests[0];
    assert_eq!((method.as_str(), path.as_str()), ("PUT", "/in"));
    assert_eq!(
        (&headers["authorization"], &headers["x-a"]),
        (&"Bearer t".parse().expect("a value"), &"b".parse().expect("a value"))
    );
    assert_eq!(headers["content-type"], "text/x");
    assert_eq!(out.bytes_written(), Some(18));
}

#[tokio::test]
async fn bodies_may_be_compressed_and_requests_signed_with_a_password() {
    let (url, script) = serve(&[]).await;
    output(&url, "content_encoding = 'gzip'\nusername = 'u'\npassword = 'p'").write(batch()).await;
    let script = script.lock().expect("not poisoned");
    let (_, _, headers, body) = &script.requests[0];
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["authorization"], "Basic dTpw");
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut text).expect("gzip");
    assert_eq!(text, "m x=1i 1\nm x=3i 3\n");
}

#[tokio::test]
async fn what_the_status_says() {
    let (url, _) = serve(&[503, 422, 413, 404]).await;
    let mut out = output(&url, "non_retryable_statuscodes = [422]");
    let WriteOutcome::Retry { reason, after } = out.write(batch()).await else { panic!("503") };
    assert!(reason.ends_with("/in: 503 Service Unavailable words"), "{reason}");
    assert_eq!(after, Some(Duration::from_secs(9)));
    assert!(matches!(out.write(batch()).await, WriteOutcome::Rejected { .. }), "422");
    assert!(matches!(out.write(batch()).await, WriteOutcome::TooLarge { .. }), "413");
    assert!(matches!(out.write(batch()).await, WriteOutcome::Retry { .. }), "404");
    assert!(matches!(out.write(batch()).await, WriteOutcome::Each(_)), "200");
}

#[tokio::test]
async fn metric_by_metric_only_what_failed_is_kept() {
    let (url, script) = serve(&[200, 500]).await;
    let mut out = output(&url, "use_batch_format = false");
    let WriteOutcome::Each(fates) = out.write(batch()).await else { panic!("partly") };
    assert_eq!((fates.rejected[0].0, fates.kept), (1, vec![2]));
    assert_eq!(bodies(&script), ["m x=1i 1\n", "m x=3i 3\n"]);
}

#[tokio::test]
async fn options_that_are_not_there_are_errors() {
    for (options, reason) in [
        ("client_id = 'x'", "OAuth2 is not supported; use `token` or `headers`"),
        ("method = 'GET'", "\"GET\" is none of POST, PUT, PATCH"),
        ("url = 'ftp://x'", "\"ftp\" is none of http, https, http+unix"),
        ("content_encoding = 'br'", "\"br\" is neither \"identity\" nor \"gzip\""),
    ] {
        let error =
            build(&mut section_for_tests(options), &Context::default()).expect_err("refused").to_string();
        assert!(error.ends_with(reason), "{error}");
    }
}
