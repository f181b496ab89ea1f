//! The engine against a stand-in for Discord, over real sockets and a real directory.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::{
    SystemClock,
    notify::queue::{Attempt, ChannelStatus},
    source::Point,
    testing::{DiscordStandIn, Scripted},
};

/// Answers every query with one point per host.
#[derive(Default)]
struct FakeSource {
    hosts: Mutex<BTreeMap<String, f64>>,
    failure: Mutex<Option<QueryFailure>>,
    asked: AtomicUsize,
    texts: Mutex<Vec<String>>,
}

impl FakeSource {
    fn set(&self, hosts: &[(&str, f64)]) {
        *self.hosts.lock().unwrap() =
            hosts.iter().map(|(host, value)| ((*host).to_owned(), *value)).collect();
    }
}

impl QuerySource for FakeSource {
    async fn query(
        &self,
        database: &str,
        _policy: Option<&str>,
        text: &str,
        now: Time,
    ) -> Result<Vec<Series>, QueryFailure> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.texts.lock().unwrap().push(format!("{database}: {text}"));
        if let Some(failure) = self.failure.lock().unwrap().clone() {
            return Err(failure);
        }
        let hosts = self.hosts.lock().unwrap().clone();
        Ok(hosts
            .into_iter()
            .map(|(host, value)| Series {
                name: "cpu.usage".to_owned(),
                labels: [("host".to_owned(), host)].into(),
                points: vec![Point { time: now, value: Some(value) }],
            })
            .collect())
    }
}

struct Rig {
    dir: TempDir,
    discord: DiscordStandIn,
    source: Arc<FakeSource>,
}

impl Rig {
    async fn new() -> Self {
        let discord = DiscordStandIn::start().await.unwrap();
        let rig = Self { dir: tempfile::tempdir().unwrap(), discord, source: Arc::default() };
        rig.write_rules("");
        rig
    }

    fn rules_path(&self) -> PathBuf {
        self.dir.path().join("alerts.yaml")
    }

    fn write_rules(&self, more: &str) {
        write_rules(&self.rules_path(), &self.discord.webhook("ops"), more);
    }

    fn options(&self) -> EngineOptions {
        EngineOptions {
            reload_every: Duration::from_millis(100),
            console_url: Some("http://127.0.0.1:3000/".to_owned()),
            ..EngineOptions::new(self.rules_path(), self.dir.path().join("state"))
        }
    }

    async fn start(&self) -> AlertHandle {
        AlertEngine::start(self.options(), Arc::clone(&self.source), SystemClock).await.unwrap()
    }

    fn titles(&self) -> Vec<String> {
        let titles = |body: &Json| body["embeds"][0]["title"].as_str().unwrap_or("?").to_owned();
        self.discord.received().iter().map(|message| titles(&message.body)).collect()
    }
}

fn write_rules(path: &Path, url: &str, more: &str) {
    let text = format!(
        "rules:\n- name: High CPU\n  query: SELECT usage FROM cpu\n  above: 90\n  interval: 1s\n  notify: ops\n  \
         group_wait: 0s\n  group_interval: 1s\n{more}contact_points:\n- name: ops\n  type: discord\n  url: {url}\n"
    );
    fs::write(path, text).unwrap();
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A while in which something that must not happen could happen.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(2_500)).await;
}

#[tokio::test]
async fn crossing_restarting_and_recovering() {
    let rig = Rig::new().await;
    rig.source.set(&[("web-1", 95.0), ("web-2", 5.0)]);
    let engine = rig.start().await;
    until("the message", || rig.titles() == ["🔴 Firing: High CPU"]).await;
    let message = &rig.discord.received()[0];
    assert!(message.path.ends_with("ops-s3cret-token"));
    assert_eq!(message.body["embeds"][0]["url"], "http://127.0.0.1:3000/alerts?rule=high-cpu");
    assert!(rig.discord.user_agents()[0].starts_with("DiscordBot (https://"));
    assert_eq!(rig.source.texts.lock().unwrap()[0], "telegraf: SELECT usage FROM cpu");

    until("the answer", || engine.metrics().delivered == 1).await;
    let rules = engine.rules();
    assert_eq!((rules[0].state, rules[0].instances.len()), ("firing", 2));
    assert_eq!(rules[0].instances[0].labels["host"], "web-1");
    assert_eq!((rules[0].instances[0].value, rules[0].instances[1].state), (Some(95.0), "normal"));
    assert!(rules[0].next_evaluation > rules[0].last_evaluation && rules[0].last_error.is_none());
    let shown = serde_json::to_string(&(engine.rules(), engine.status(), engine.metrics())).unwrap();
    assert!(!shown.contains("s3cret") && shown.contains("http://127.0.0.1:"), "{shown}");
    engine.shutdown().await;

    // Two restarts while it fires: one in good order, one like kill -9.
    let engine = rig.start().await;
    a_while().await;
    drop(engine);
    let engine = rig.start().await;
    a_while().await;
    assert_eq!(rig.titles().len(), 1, "nobody is told twice");
    rig.source.set(&[("web-1", 5.0), ("web-2", 5.0)]);
    until("the end", || rig.titles().len() == 2).await;
    assert_eq!(rig.titles()[1], "✅ Resolved: High CPU");
    engine.shutdown().await;
}

#[tokio::test]
async fn rate_limits_server_errors_and_slowness_delay_and_lose_nothing() {
    let rig = Rig::new().await;
    rig.discord.script([
        Scripted::RateLimit(0.3),
        Scripted::Cloudflare(1),
        Scripted::Status(503, Json::Null),
        Scripted::Status(500, json!({"message": "oops /1234567890/ops-s3cret-token", "code": 0})),
    ]);
    rig.source.set(&[("web-1", 95.0)]);
    let engine = rig.start().await;
    let started = std::time::Instant::now();
    until("the message", || rig.titles().len() == 1).await;
    assert!(started.elapsed() >= Duration::from_millis(1_300), "both waits were honoured");
    until("the answer", || engine.metrics().delivered == 1).await;
    let attempts: Vec<Attempt> = engine.status().deliveries.iter().map(|record| record.attempt).collect();
    use Attempt::*;
    assert_eq!(attempts, [RateLimited, RateLimited, Retry, Retry, Delivered]);
    let log = format!("{:?}", engine.status());
    assert!(log.contains("oops") && !log.contains("s3cret"), "{log}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_burst_keeps_discords_pace_and_order() {
    let rig = Rig::new().await;
    // Every alert a group of its own: ten messages against a limit of five per two seconds.
    rig.write_rules("  group_by: ['...']\n");
    let hosts: Vec<String> = (0..10).map(|at| format!("host-{at}")).collect();
    let values: Vec<(&str, f64)> = hosts.iter().map(|host| (host.as_str(), 95.0)).collect();
    rig.source.set(&values);
    let engine = rig.start().await;
    until("ten messages", || rig.discord.received().len() == 10).await;
    let limited = rig.discord.refused().iter().filter(|(status, _)| *status == 429).count();
    assert_eq!(limited, 0, "the headers are heeded before the limit is hit");
    let bodies: String = rig.discord.received().iter().map(|message| message.body.to_string()).collect();
    for host in &hosts {
        assert_eq!(bodies.matches(&format!("`{host}`")).count(), 1);
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn an_unreachable_host_is_waited_for_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let source = Arc::new(FakeSource::default());
    source.set(&[("web-1", 95.0)]);
    // A port that nobody listens on, until the stand-in comes up there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rules = dir.path().join("alerts.yaml");
    write_rules(&rules, &format!("http://{address}/api/webhooks/1234567890/late-s3cret-token"), "");
    let options = EngineOptions::new(rules, dir.path().join("state"));
    let engine = AlertEngine::start(options.clone(), Arc::clone(&source), SystemClock).await.unwrap();
    until("a failed attempt", || engine.metrics().retries >= 1).await;
    let status = engine.status();
    assert!(
        matches!(&status.channels[0].status, ChannelStatus::Retrying { error } if !error.contains("s3cret"))
    );
    assert!(status.deliveries[0].detail.to_lowercase().contains("refused"), "{:?}", status.deliveries);
    drop(engine);
    let discord = DiscordStandIn::start_at(address, 5, Duration::from_secs(2)).await.unwrap();
    let engine = AlertEngine::start(options, source, SystemClock).await.unwrap();
    until("the message", || discord.received().len() == 1).await;
    until("the answer", || engine.metrics().notices_waiting == 0).await;
    assert_eq!(engine.status().channels[0].status, ChannelStatus::Healthy);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_refused_message_arrives_in_plain_words() {
    let rig = Rig::new().await;
    rig.discord.script([Scripted::Status(400, json!({"message": "Invalid Form Body", "code": 50035}))]);
    rig.source.set(&[("web-1", 95.0)]);
    let engine = rig.start().await;
    until("the fallback", || rig.discord.received().len() == 1).await;
    let body = &rig.discord.received()[0].body;
    assert!(body["embeds"].is_null());
    let content = body["content"].as_str().unwrap();
    assert!(content.contains("High CPU: 1 firing") && content.contains("host=web-1"), "{content}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_deleted_webhook_is_reported_and_a_new_address_in_the_file_mends_it() {
    let rig = Rig::new().await;
    rig.discord.script([Scripted::Status(404, json!({"message": "Unknown Webhook", "code": 10015}))]);
    rig.source.set(&[("web-1", 95.0)]);
    let engine = rig.start().await;
    until("the report", || engine.metrics().channels_broken == 1).await;
    let status = engine.status().channels[0].status.clone();
    assert!(
        matches!(&status, ChannelStatus::Broken { error, .. } if error.contains("Unknown Webhook")),
        "{status:?}"
    );
    a_while().await;
    assert_eq!(rig.discord.requests(), 1, "it is left alone");
    write_rules(&rig.rules_path(), &rig.discord.webhook("new"), "");
    until("the message", || rig.titles() == ["🔴 Firing: High CPU"]).await;
    engine.shutdown().await;
}

#[tokio::test]
async fn changed_files_are_loaded_and_wrong_ones_reported_while_the_old_go_on() {
    let rig = Rig::new().await;
    rig.source.set(&[("web-1", 50.0)]);
    let engine = rig.start().await;
    until("an evaluation", || engine.metrics().evaluations >= 1).await;
    rig.write_rules("  abov: 3\n");
    until("the report", || engine.status().config_error.is_some()).await;
    let error = engine.status().config_error.unwrap();
    assert!(error.contains("alerts.yaml:9:3: unknown key \"abov\""), "{error}");
    assert_eq!((engine.rules().len(), engine.metrics().reload_failures), (1, 1));
    fs::remove_file(rig.rules_path()).unwrap();
    until("the report", || {
        engine.status().config_error.is_some_and(|error| error.contains("cannot be read"))
    })
    .await;
    let text = fs::read_to_string(rig.dir.path().join("state/alerts.state")).unwrap_or_default();
    assert!(!text.contains("s3cret"), "the state holds no address");
    rig.write_rules("  severity: info\n");
    until("the new rules", || engine.status().config_error.is_none() && engine.metrics().reloads == 1).await;
    assert_eq!(engine.rules()[0].labels["severity"], "info");
    engine.shutdown().await;
}

#[tokio::test]
async fn failing_queries_are_tried_again_and_then_told_of() {
    let rig = Rig::new().await;
    *rig.source.failure.lock().unwrap() = Some(QueryFailure::Unavailable("no node answers".to_owned()));
    let engine = rig.start().await;
    until("the message", || rig.titles() == ["⚠️ Error: High CPU"]).await;
    assert!(rig.source.asked.load(Ordering::Relaxed) >= EVALUATION_ATTEMPTS_MAX as usize);
    let body = rig.discord.received()[0].body.to_string();
    assert!(body.contains("no node answers"), "{body}");
    assert_eq!(engine.rules()[0].last_error.as_deref(), Some("no node answers"));
    *rig.source.failure.lock().unwrap() = None;
    rig.source.set(&[("web-1", 5.0)]);
    until("the end", || rig.titles().len() == 2).await;
    assert_eq!(rig.titles()[1], "✅ Resolved: High CPU");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_damaged_state_file_is_reported_and_the_engine_goes_on() {
    let rig = Rig::new().await;
    rig.source.set(&[("web-1", 95.0)]);
    let engine = rig.start().await;
    until("the answer", || engine.metrics().delivered == 1).await;
    engine.shutdown().await;
    let path = rig.dir.path().join("state/alerts.state");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&path, bytes).unwrap();
    let engine = rig.start().await;
    assert!(engine.status().state_problem.is_some_and(|problem| problem.contains("damaged")));
    until("the message anew", || rig.titles().len() == 2).await;
    engine.shutdown().await;
}

#[tokio::test]
async fn shutting_down_waits_for_the_message_that_is_being_posted() {
    let rig = Rig::new().await;
    rig.discord.script([Scripted::Slow(Duration::from_millis(1_500))]);
    rig.source.set(&[("web-1", 95.0)]);
    let engine = rig.start().await;
    until("the request", || rig.discord.requests() == 1).await;
    engine.shutdown().await;
    assert_eq!(rig.titles().len(), 1);
    let engine = rig.start().await;
    a_while().await;
    assert_eq!(rig.titles().len(), 1, "it is not sent a second time");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_start_that_cannot_be_names_why() {
    let rig = Rig::new().await;
    fs::write(rig.rules_path(), "rules: [{name: X}]").unwrap();
    let error = AlertEngine::start(rig.options(), Arc::clone(&rig.source), SystemClock).await.unwrap_err();
    assert!(
        matches!(&error, StartError::Config(_)) && error.to_string().contains("needs \"query\""),
        "{error}"
    );
    rig.write_rules("");
    fs::write(rig.dir.path().join("file"), "").unwrap();
    let options = EngineOptions { state_dir: rig.dir.path().join("file/state"), ..rig.options() };
    let error = AlertEngine::start(options, Arc::clone(&rig.source), SystemClock).await.unwrap_err();
    assert!(error.to_string().starts_with("create "), "{error}");
}

#[tokio::test]
async fn another_node_goes_on_where_one_was_killed() {
    let rig = Rig::new().await;
    let dir = |node: &str| rig.dir.path().join(node);
    let start = async |node: &str, granted| {
        let options = EngineOptions { state_dir: dir(node), term: Some(granted), ..rig.options() };
        AlertEngine::start(options, Arc::clone(&rig.source), SystemClock).await.unwrap()
    };
    let hand_over = |from: &str, to: &str| {
        let state = crate::stored_state(&dir(from)).unwrap().unwrap();
        assert!(crate::adopt_state(&dir(to), &state).unwrap());
        state.edition()
    };
    rig.source.set(&[("web-1", 95.0)]);
    let first = start("first", 3).await;
    until("the message", || first.metrics().delivered == 1).await;
    let on_disk = || fs::read_to_string(dir("first").join("alerts.state")).unwrap();
    until("the answer on disk", || on_disk().contains(r#""attempt":"delivered""#)).await;
    let stored = hand_over("first", "second");
    // Without a word, as a process that is killed.
    drop(first);

    let second = start("second", 9).await;
    a_while().await;
    assert_eq!(rig.titles(), ["🔴 Firing: High CPU"], "what fires on is no news");
    assert_eq!(second.rules()[0].state, "firing");
    let newest = *second.saved().borrow();
    assert!(newest.term == 9 && newest > stored, "{newest} follows {stored}");
    assert_eq!(hand_over("second", "first"), newest);
    drop(second);

    // The catalogue may have been made anew, and count its grants from 1.
    rig.source.set(&[("web-1", 5.0)]);
    let third = start("first", 1).await;
    until("the end", || rig.titles().len() == 2).await;
    a_while().await;
    assert_eq!(rig.titles()[1..], ["✅ Resolved: High CPU"], "an end is told once");
    third.shutdown().await;
    let last = *third.saved().borrow();
    assert!(last > newest, "{last} follows {newest}");
    assert_eq!(crate::stored_state(&dir("first")).unwrap().unwrap().edition(), last);
}
