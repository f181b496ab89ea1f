use super::*;
use crate::config::section_for_tests as section;
use std::time::Duration;

fn output(options: &str) -> PrometheusClient {
    let mut section = section(&format!("listen = \"127.0.0.1:0\"\n{options}"));
    let options = Options::from_section(&mut section, &Context::default()).expect("valid");
    assert!(section.finish().expect("every option is known").is_empty());
    let shared = Arc::new(Shared { families: Mutex::new(Families::default()), start: Instant::now() });
    PrometheusClient { options: Arc::new(options), shared, server: None }
}

fn refused(options: &str) -> String {
    let mut section = section(options);
    Options::from_section(&mut section, &Context::default()).err().expect("refused").to_string()
}

fn batch(metrics: Vec<Metric>) -> Batch {
    metrics.into_iter().map(Arc::new).collect()
}

fn cpu() -> Batch {
    batch(vec![Metric::new("cpu", 0).tag("cpu", "cpu0").field("usage_idle", 98.5)])
}

/// The status, the value of a header and the body of a page.
async fn get(output: &PrometheusClient, path: &str, header: &str) -> (u16, String, String) {
    let address = output.server.as_ref().expect("it listens").address();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let response = client.get(format!("http://{address}{path}")).send().await.expect("an answer");
    let value =
        response.headers().get(header).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    (response.status().as_u16(), value, response.text().await.expect("a body"))
}

#[tokio::test]
async fn what_is_written_is_on_the_page_with_the_process() {
    let mut output = output("[http_headers]\nX-From = \"kvm-01\"\n");
    output.connect().await.expect("it listens");
    assert_eq!(output.write(cpu()).await, WriteOutcome::Stored);
    let (status, from, text) = get(&output, "/metrics", "x-from").await;
    assert_eq!((status, from.as_str()), (200, "kvm-01"));
    assert!(text.contains("# TYPE cpu_usage_idle untyped\ncpu_usage_idle{cpu=\"cpu0\"} 98.5\n"), "{text}");
    assert!(
        text.contains("\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "),
        "{text}"
    );
    let (_, kind, _) = get(&output, "/metrics", "content-type").await;
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(get(&output, "/", "x").await.0, 200);
    assert_eq!(get(&output, "/other", "x").await.0, 404);
}

#[tokio::test]
async fn a_collector_can_be_left_out_and_values_expire() {
    let mut output = output(
        "collectors_exclude = [\"gocollector\", \"process\"]\nexpiration_interval = \"40ms\"\npath = \"m\"",
    );
    assert_eq!(output.write(cpu()).await, WriteOutcome::Stored);
    assert!(get(&output, "/m", "x").await.2.contains("cpu_usage_idle"));
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(get(&output, "/m", "x").await.2, "");
}

#[tokio::test]
async fn who_has_no_password_or_comes_from_elsewhere_gets_no_page() {
    let mut output = output(
        "basic_username = \"prom\"\nbasic_password = \"secret\"\nip_range = [\"::1/128\", \"10.0.0.0/8\"]",
    );
    output.connect().await.expect("it listens");
    let (status, challenge, _) = get(&output, "/metrics", "www-authenticate").await;
    assert_eq!((status, challenge.as_str()), (401, "Basic realm=\"prometheus\""));
    let address = output.server.as_ref().expect("it listens").address();
    for (user, password, wanted) in [("prom", "wrong", 401), ("prom", "secret", 403)] {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(format!("http://{address}/metrics")).basic_auth(user, Some(password));
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), wanted, "{password}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_keeps_the_batch_until_it_is_free() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let mut output = output("");
    let address = taken.local_addr().expect("bound");
    let options = Arc::get_mut(&mut output.options).expect("nobody else has it");
    options.listen.port = address.port();
    assert!(output.connect().await.expect_err("taken").contains("cannot listen on 127.0.0.1:"));
    assert!(matches!(output.write(cpu()).await, WriteOutcome::Retry { .. }));
    drop(taken);
    assert_eq!(output.write(cpu()).await, WriteOutcome::Stored);
    assert!(get(&output, "/metrics", "x").await.2.contains("cpu_usage_idle"));
    // Dropping the output gives the address back.
    drop(output);
    tokio::task::yield_now().await;
    for _ in 0..100 {
        match tokio::net::TcpListener::bind(address).await {
            Ok(_) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("the address is still taken");
}

#[test]
fn options_that_are_wrong_say_so() {
    for (options, wanted) in [
        ("listen = \"unix:///run/x\"", "\"unix\" is not supported; write host:port"),
        ("listen = \"host\"", "no port"),
        ("metric_version = 3", "3 is neither 1 nor 2"),
        ("name_sanitization = \"x\"", "\"x\" is neither \"legacy\" nor \"utf8\""),
        ("collectors_exclude = [\"go\"]", "\"go\" is neither \"gocollector\" nor \"process\""),
        ("ip_range = [\"10.0.0.0\"]", "no range of addresses"),
        ("tls_cert = \"a.pem\"", "tls_cert and tls_key belong together"),
        ("tls_allowed_cacerts = [\"a.pem\"]", "clients show certificates over TLS only"),
        ("tls_min_version = \"TLS13\"\ntls_max_version = \"TLS12\"", "it is above tls_max_version"),
        ("tls_min_version = \"TLS10\"", "\"TLS10\" is neither \"TLS12\" nor \"TLS13\""),
    ] {
        let error = refused(options);
        assert!(error.contains(wanted), "{options}: {error}");
    }
}
