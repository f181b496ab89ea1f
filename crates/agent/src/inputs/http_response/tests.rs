use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response as Answer};

use super::*;
use crate::config::section_for_tests;
use crate::net::http_server::{self, Handler, HttpServer, Limits};
use crate::net::stream::HostPort;
use skywatch_model::FieldValue;

struct Site;

impl Handler for Site {
    async fn handle(&self, _: SocketAddr, request: Request<Incoming>) -> Answer<Full<Bytes>> {
        let header =
            |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let told = format!("{} {} {} ", request.method(), header("host"), header("authorization"));
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let text = match path.as_str() {
            "/slow" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                String::new()
            }
            "/moved" => "moved".to_owned(),
            "/large" => "x".repeat(2000),
            _ => format!("{told}{}", String::from_utf8_lossy(&body)),
        };
        let body = if path == "/binary" { Bytes::from_static(&[0xff, 0xfe]) } else { Bytes::from(text) };
        let answer = Answer::builder().header("X-Served-By", "web-1");
        let answer = if path == "/moved" { answer.status(302).header("Location", "/") } else { answer };
        answer.body(Full::from(body)).expect("an answer")
    }
}

fn serve() -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener =
                http_server::bind(&HostPort { host: "127.0.0.1".to_owned(), port: 0 }).await.expect("bound");
            let second = Duration::from_secs(5);
            let limits = Limits { connections_max: 16, read_timeout: second, write_timeout: second };
            let server = HttpServer::start(listener, None, limits, Arc::new(Site)).expect("started");
            tell.send(server.address()).expect("awaited");
            stopped.await.ok();
        });
    });
    (told.recv().expect("it listens"), stop)
}

fn gather(options: &str) -> (Vec<Metric>, Vec<String>) {
    let mut section = section_for_tests(options);
    let mut input = build(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().expect("every option is known").is_empty());
    let mut acc = Accumulator::new(0);
    input.gather(&mut acc).expect("a runtime");
    let (metrics, errors) = acc.into_parts();
    (metrics, errors.iter().map(ToString::to_string).collect())
}

fn shown(metric: &Metric) -> String {
    let tags =
        metric.tags().iter().filter(|(key, _)| key != "server").map(|(key, value)| format!("{key}={value}"));
    let fields = metric.fields().iter().map(|(key, value)| match value {
        FieldValue::Float(seconds) if (0.0..5.0).contains(seconds) => format!("{key}=f"),
        FieldValue::Integer(number) => format!("{key}={number}i"),
        FieldValue::String(text) => format!("{key}={text}"),
        other => format!("{key}={other:?}"),
    });
    format!("{} {}", tags.collect::<Vec<_>>().join(","), fields.collect::<Vec<_>>().join(","))
}

#[test]
fn an_answer_and_none() {
    let (address, _stop) = serve();
    // No resolver asks anybody for a name with so long a part.
    let nobody = "x".repeat(64);
    let (metrics, errors) = gather(&format!(
        "urls = [\"http://{address}/\", \"http://{address}/slow\", \"http://127.0.0.1:1\", \"http://{nobody}.x\"]\n\
         response_timeout = \"1s\""
    ));
    assert_eq!(errors, Vec::<String>::new());
    let length = format!("GET {address}  ").len();
    assert_eq!(
        metrics.iter().map(shown).collect::<Vec<_>>(),
        [
            &format!(
                "method=GET,result=success,status_code=200 response_time=f,http_response_code=200i,\
                 content_length={length}i,result_type=success,result_code=0i"
            ),
            "method=GET,result=timeout result_type=timeout,result_code=4i",
            "method=GET,result=connection_failed result_type=connection_failed,result_code=3i",
            "method=GET,result=dns_error result_type=dns_error,result_code=5i",
        ]
    );
    assert_eq!(metrics[2].tag_value("server"), Some("http://127.0.0.1:1"), "as it is written");
}

#[test]
fn what_is_expected_of_an_answer() {
    let (address, _stop) = serve();
    let of = |path: &str, options: &str| {
        let (metrics, _) = gather(&format!("urls = [\"http://{address}{path}\"]\n{options}"));
        let text = shown(&metrics[0]);
        text.split_once("response_time=f,").map(|(_, fields)| fields.to_owned()).unwrap_or(text)
    };
    assert_eq!(
        of("/moved", "response_string_match = \"mo+ved\"\nresponse_status_code = 302"),
        "http_response_code=302i,content_length=5i,response_string_match=1i,response_status_code_match=1i,\
         result_type=success,result_code=0i"
    );
    assert_eq!(
        of("/moved", "response_string_match = \"x\""),
        "http_response_code=302i,content_length=5i,response_string_match=0i,\
         result_type=response_string_mismatch,result_code=1i"
    );
    assert_eq!(
        of("/moved", "response_status_code = 200"),
        "http_response_code=302i,content_length=5i,response_status_code_match=0i,\
         result_type=response_status_code_mismatch,result_code=6i"
    );
    assert!(of("/moved", "follow_redirects = true").starts_with("http_response_code=200i"));
    assert_eq!(
        of("/large", "response_body_max_size = \"1KB\"\nresponse_string_match = \"x\""),
        "http_response_code=200i,content_length=0i,response_string_match=0i,result_type=body_read_error,result_code=2i"
    );
    assert!(
        of("/binary", "response_body_field = \"b\"").ends_with("result_type=body_read_error,result_code=2i")
    );
}

#[test]
fn what_is_asked() {
    let (address, _stop) = serve();
    let (metrics, _) = gather(&format!(
        "urls = [\"http://{address}/\"]\nmethod = \"post\"\nbody = \"hi\"\nusername = \"a\"\npassword = \"b\"\n\
         response_body_field = \"text\"\n[headers]\nHost = \"web.example\"\n[http_header_tags]\nX-Served-By = \"by\""
    ));
    let text = metrics[0].field_value("text");
    assert_eq!(text, Some(&FieldValue::String("POST web.example Basic YTpi hi".into())));
    assert_eq!((metrics[0].tag_value("by"), metrics[0].tag_value("method")), (Some("web-1"), Some("POST")));
    let (metrics, _) = gather(&format!(
        "urls = [\"http://{address}/\"]\nresponse_body_field = \"text\"\n[body_form]\na = [\"1\", \"2 3\"]"
    ));
    let text = metrics[0].field_value("text");
    assert_eq!(text, Some(&FieldValue::String(format!("GET {address}  a=1&a=2+3").into())));
    let (metrics, errors) = gather(&format!("urls = [\"http://{address}/\"]\nbearer_token = \"/none\""));
    assert!(metrics.is_empty() && errors[0].contains("bearer_token /none: No such file"), "{errors:?}");
}

#[test]
fn options_that_are_wrong_say_so() {
    for (options, wanted) in [
        ("urls = [\"ftp://x\"]", "\"ftp\" is neither http nor https"),
        ("urls = [\"x\"]", "relative URL"),
        ("response_string_match = \"(\"", "missing closing )"),
        ("response_status_code = 70000", "it is no status of HTTP"),
        ("method = \"G T\"", "it is no method of HTTP"),
        ("interface = \"none0\"", "\"none0\" has no address"),
        ("cookie_auth_url = \"http://x\"", "not supported"),
    ] {
        let error = Options::from_section(&mut section_for_tests(options)).expect_err(options).to_string();
        assert!(error.contains(wanted), "{options}: {error}");
    }
}
