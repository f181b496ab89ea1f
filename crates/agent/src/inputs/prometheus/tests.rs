use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response as Answer};

use super::*;
use crate::config::section_for_tests;
use crate::net::http_server::{self, Handler, HttpServer, Limits};
use crate::net::stream::HostPort;
use skywatch_model::FieldValue;

const PAGE: &str =
    "# TYPE up gauge\nup{job=\"x\"} 1\nrubbish\n# TYPE n_total counter\nn_total 3 1395066363000\n";

struct Pages;

impl Handler for Pages {
    async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Answer<Full<Bytes>> {
        let header =
            |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (status, body) = match request.uri().path() {
            "/metrics" => (200, PAGE.to_owned()),
            "/who" => {
                (200, format!("who{{is=\"{}\",x=\"{}\"}} 1\n", header("authorization"), header("x-from")))
            }
            "/slow" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                (200, PAGE.to_owned())
            }
            "/large" => (200, format!("a 1\n{}", "# comment\n".repeat(100))),
            "/sd" => {
                let host = header("host");
                (
                    200,
                    format!(
                        "[{{\"targets\":[\"{host}\"],\"labels\":{{\"rack\":\"r7\",\"job\":\"other\"}}}}]"
                    ),
                )
            }
            _ => (503, String::new()),
        };
        let mut answer = Answer::new(Full::from(body));
        *answer.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
        answer
    }
}

/// A server on a thread of its own, which ends with what is returned.
fn serve() -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let address = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
            let listener = http_server::bind(&address).await.expect("bound");
            let second = Duration::from_secs(5);
            let limits = Limits { connections_max: 16, read_timeout: second, write_timeout: second };
            let server = HttpServer::start(listener, None, limits, Arc::new(Pages)).expect("started");
            tell.send(server.address()).expect("awaited");
            stopped.await.ok();
        });
    });
    (told.recv().expect("it listens"), stop)
}

fn gather(options: &str) -> (Vec<Metric>, Vec<String>) {
    let mut section = section_for_tests(options);
    let mut input = build(&mut section, &Context::default()).expect("valid options");
    assert!(section.finish().expect("every option is known").is_empty());
    let mut acc = Accumulator::new(7);
    input.gather(&mut acc).expect("a runtime");
    let (metrics, errors) = acc.into_parts();
    (metrics, errors.iter().map(ToString::to_string).collect())
}

fn tags(metric: &Metric) -> String {
    metric.tags().iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn one_bad_target_does_not_cost_the_others() {
    let (address, _stop) = serve();
    let options = format!(
        "urls = [\"http://{address}/slow\", \"http://{address}/gone\", \"http://127.0.0.1:1\", \"http://{address}\"]\n\
         timeout = \"300ms\"\nenable_request_metrics = true\n"
    );
    let (metrics, errors) = gather(&options);
    let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_ref()).collect();
    let request = "prometheus_request";
    assert_eq!(names, [request, request, request, "up", "n_total", request]);
    assert_eq!(tags(&metrics[3]), format!("job=x url=http://{address}/metrics"));
    assert_eq!(metrics[3].field_value("gauge"), Some(&FieldValue::Float(1.0)));
    assert_eq!((metrics[3].time_ns, metrics[4].time_ns), (7, 1_395_066_363_000_000_000));
    let length = i64::try_from(PAGE.len()).expect("short");
    assert_eq!(metrics[5].field_value("content_length"), Some(&FieldValue::Integer(length)));
    assert!(matches!(metrics[5].field_value("response_time"), Some(FieldValue::Float(_))));
    assert_eq!(
        errors[..2],
        [
            format!("http://{address}/slow: no answer in time"),
            format!("http://{address}/gone: it answers 503 Service Unavailable"),
        ]
    );
    assert!(
        errors[2].starts_with("http://127.0.0.1:1/metrics: ") && errors[2].contains("refused"),
        "{errors:?}"
    );
    let line =
        format!("http://{address}/metrics: cannot understand the page: no value in \"rubbish\" (line 3)");
    assert_eq!(errors[3..], [line]);
}

#[test]
fn version_two_without_times_and_url() {
    let (address, _stop) = serve();
    let (metrics, _) = gather(&format!(
        "urls = [\"http://{address}\"]\nmetric_version = 2\nurl_tag = \"\"\nignore_timestamp = true"
    ));
    assert_eq!(metrics.len(), 2);
    assert!(metrics.iter().all(|metric| metric.name == "prometheus" && metric.time_ns == 7));
    assert_eq!(tags(&metrics[0]), "job=x");
    assert_eq!(metrics[1].field_value("n_total"), Some(&FieldValue::Float(3.0)));
}

#[test]
fn who_asks() {
    let (address, _stop) = serve();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("token");
    std::fs::write(&file, "of-file\n").expect("written");
    for (options, is) in [
        ("", ""),
        ("username = \"a\"\npassword = \"b\"", "Basic YTpi"),
        ("bearer_token_string = \"t\"", "Bearer t"),
        (&format!("bearer_token = {file:?}"), "Bearer of-file"),
    ] {
        let (metrics, errors) = gather(&format!(
            "urls = [\"http://{address}/who\"]\n{options}\n[http_headers]\nX-From = \"kvm-01\""
        ));
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(metrics[0].tag_value("is").unwrap_or_default(), is);
        assert_eq!(metrics[0].tag_value("x"), Some("kvm-01"));
    }
    let (_, errors) = gather(&format!("urls = [\"http://{address}/who\"]\nbearer_token = \"/none\""));
    assert!(errors[0].contains("bearer_token /none: No such file"), "{errors:?}");
    let (metrics, _) = gather(&format!("urls = [\"http://a:b@{address}/who\"]"));
    assert_eq!(metrics[0].tag_value("is"), Some("Basic YTpi"));
    assert_eq!(metrics[0].tag_value("url"), Some(format!("http://{address}/who").as_str()));
}

#[test]
fn a_page_that_is_too_large_is_not_taken() {
    let (address, _stop) = serve();
    let of =
        |limit: &str| gather(&format!("urls = [\"http://{address}/large\"]\ncontent_length_limit = {limit}"));
    let (metrics, errors) = of("\"1KB\"");
    assert_eq!(
        (metrics.len(), errors),
        (0, vec![format!("http://{address}/large: the answer is larger than 1000 bytes")])
    );
    assert_eq!(of("0").0.len(), 1);
    assert_eq!(of("2048").0.len(), 1);
}

#[test]
fn targets_are_discovered_and_their_own_tags_win() {
    let (address, _stop) = serve();
    let (metrics, _) =
        gather(&format!("[http_service_discovery]\nenabled = true\nurl = \"http://{address}/sd\""));
    assert_eq!(tags(&metrics[0]), format!("job=x rack=r7 url=http://{address}/metrics"));
    assert_eq!(tags(&metrics[1]), format!("job=other rack=r7 url=http://{address}/metrics"));
    let (metrics, errors) = gather(&format!("[http_sd]\nenabled = true\nurl = \"http://{address}/no\""));
    assert_eq!(metrics.len(), 0);
    assert_eq!(errors, [format!("discovery at http://{address}/no: it answers 503 Service Unavailable")]);
}

#[test]
fn what_is_not_supported_says_so() {
    for (options, wanted) in [
        ("kubernetes_services = [\"http://x\"]", "it is not supported; list the targets in urls"),
        ("monitor_kubernetes_pods = true", "it is not supported"),
        ("[consul]\nenabled = true\n[[consul.query]]\nname = \"x\"", "it is not supported"),
        ("http_proxy_url = \"x\"", "relative URL"),
        ("urls = [\"node:9100\"]", "has no scheme; write http://node:9100"),
        ("metric_version = 3", "3 is neither 1 nor 2"),
        ("bearer_token = \"a\"\nbearer_token_string = \"b\"", "exclude each other"),
        ("[http_service_discovery]\nenabled = true\nurl = \"x\"", "\"x\": relative URL"),
        ("tls_ca = \"/none.pem\"", "/none.pem"),
    ] {
        let mut section = section_for_tests(options);
        let error = build(&mut section, &Context::default()).expect_err(options).to_string();
        assert!(error.contains(wanted), "{options}: {error}");
    }
    // In the sample files people start from, these are there and off.
    let mut section = section_for_tests(
        "monitor_kubernetes_pods = false\nkubernetes_services = []\npod_scrape_scope = \"cluster\"\n[consul]\nenabled = false",
    );
    build(&mut section, &Context::default()).expect("off");
    assert_eq!(section.finish().expect("known").len(), 1, "what has no effect is told");
}
