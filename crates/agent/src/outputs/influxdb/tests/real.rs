//! Against InfluxDB itself: Debian's package `influxdb` (1.6). Reported as ignored where it is not
//! installed.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::config::Config;

/// A server with a directory and ports of its own; killed when dropped.
struct Influxd {
    process: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl Drop for Influxd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

async fn influxd(http: &str) -> Influxd {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().display();
    let port = free_port();
    let config = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n[meta]\ndir = \"{root}/meta\"\n\
         [data]\ndir = \"{root}/data\"\nwal-dir = \"{root}/wal\"\n[http]\nbind-address = \"127.0.0.1:{port}\"\n\
         log-enabled = false\n{http}\n[monitor]\nstore-enabled = false\n",
        free_port()
    );
    let file = dir.path().join("influxdb.conf");
    std::fs::write(&file, config).expect("written");
    let process = Command::new("/usr/bin/influxd")
        .arg("-config")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("influxd starts");
    let server = Influxd { process, url: format!("http://127.0.0.1:{port}"), _dir: dir };
    let start = Instant::now();
    while reqwest::get(format!("{}/ping", server.url)).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "influxd does not answer");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server
}

impl Influxd {
    async fn query(&self, q: &str) -> String {
        let url =
            reqwest::Url::parse_with_params(&format!("{}/query", self.url), [("db", "cloud"), ("q", q)]);
        let response = reqwest::get(url.expect("a URL")).await.expect("answered");
        response.text().await.expect("text")
    }
}

fn agent(server: &Influxd, more: &str) -> Agent {
    let text = format!(
        "[agent]\nhostname = 'h1'\n[global_tags]\ndc = 'north'\n[[inputs.mem]]\n[[inputs.system]]\n[[inputs.cpu]]\n\
         [[outputs.influxdb]]\nurls = ['{}']\ndatabase = 'cloud'\n{more}\n",
        server.url
    );
    Agent::new(Config::parse_with(&text, "test.conf", &|_| None).expect("valid")).expect("inputs")
}

#[tokio::test]
#[cfg_attr(not(influxd), ignore = "/usr/bin/influxd (Debian package influxdb) is not installed")]
async fn metrics_arrive_and_can_be_queried() {
    let server = influxd("").await;
    let report = agent(&server, "").once().await.expect("ran");
    assert_eq!(report.lost(), 0, "{report:?}");
    assert!(report.gathered >= 5);
    let answer = server.query("SELECT last(total) FROM mem WHERE host='h1' AND dc='north'").await;
    assert!(answer.contains("\"columns\":[\"time\",\"last\"]"), "{answer}");
    let kinds = server.query("SHOW FIELD KEYS FROM system").await;
    for pair in [r#"["load1","float"]"#, r#"["uptime","integer"]"#, r#"["uptime_format","string"]"#] {
        assert!(kinds.contains(pair), "{kinds}");
    }
    let tags = server.query("SHOW TAG KEYS FROM cpu").await;
    assert!(tags.contains(r#"[["cpu"],["dc"],["host"]]"#), "{tags}");
}

#[tokio::test]
#[cfg_attr(not(influxd), ignore = "/usr/bin/influxd (Debian package influxdb) is not installed")]
async fn a_type_conflict_refuses_one_point_and_keeps_the_others() {
    let server = influxd("").await;
    server.query("CREATE DATABASE cloud").await;
    let client = reqwest::Client::new();
    let write = format!("{}/write?db=cloud", server.url);
    let time =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    client.post(write).body(format!("mem total=\"text\" {time}")).send().await.expect("written");
    let report = agent(&server, "").once().await.expect("ran");
    let totals = report.outputs[0].1;
    assert_eq!((totals.rejected, totals.stored), (1, report.gathered - 1), "{report:?}");
    let answer = server.query("SELECT last(load1) FROM system").await;
    assert!(answer.contains("\"last\""), "{answer}");
}

#[tokio::test]
#[cfg_attr(not(influxd), ignore = "/usr/bin/influxd (Debian package influxdb) is not installed")]
async fn a_body_limit_splits_the_batch() {
    let server = influxd("max-body-size = 1500").await;
    let report = agent(&server, "content_encoding = 'identity'").once().await.expect("ran");
    assert_eq!(report.lost(), 0, "{report:?}");
    let answer = server.query("SELECT last(total) FROM mem").await;
    assert!(answer.contains("\"last\""), "{answer}");
}
