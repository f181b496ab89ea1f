//! The whole engine without its runtime: restarts, edits of the files, broken channels.

use super::*;
use crate::labels::Labels;
use crate::{config::Sources, source::Point};

struct NoEnvironment;

impl crate::Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

const RULES: &str = "
rules:
  - {name: High CPU, query: SELECT x, above: 90, interval: 10s, notify: ops}
contact_points:
  - {name: ops, url: 'http://127.0.0.1:1/api/webhooks/ops-secret'}
  - {name: dev, url: 'http://127.0.0.1:1/api/webhooks/dev-secret'}
";

fn config(text: &str) -> Arc<AlertConfig> {
    Arc::new(Sources::from_texts([("test", text)]).parse(&NoEnvironment).unwrap())
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

/// An engine whose queries and webhooks are answered by the test.
struct Rig {
    core: Core,
    now: Time,
    /// Host names and values that queries return.
    data: Vec<(String, f64)>,
    answer: Answer,
    /// Texts of messages that were accepted, with their channel.
    delivered: Vec<(String, String)>,
    posted: usize,
}

fn ok() -> Answer {
    http(200)
}

fn http(status: u16) -> Answer {
    Answer::Http { status, retry_after: None, pause: None, code: None, detail: String::new() }
}

impl Rig {
    fn new(text: &str) -> Self {
        let core = Core::new(config(text), None, Snapshot::default(), at(1000));
        Self { core, now: at(1000), data: Vec::new(), answer: ok(), delivered: Vec::new(), posted: 0 }
    }

    fn set(&mut self, data: &[(&str, f64)]) {
        self.data = data.iter().map(|(host, value)| ((*host).to_owned(), *value)).collect();
    }

    fn event(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.core.step(self.now, event, &mut commands);
        self.core.check().unwrap();
        for command in commands {
            let follow = match command {
                Command::Evaluate { rule, at } => {
                    let series = self.data.iter().map(|(host, value)| Series {
                        name: "cpu.x".to_owned(),
                        labels: [("host".to_owned(), host.clone())].into(),
                        points: vec![Point { time: at, value: Some(*value) }],
                    });
                    let outcome = Ok([("query".to_owned(), series.collect())].into());
                    Event::Evaluated { uid: rule.uid.clone(), at, took: Duration::ZERO, outcome }
                }
                Command::Post { channel, body, .. } => {
                    self.posted += 1;
                    if matches!(self.answer, Answer::Http { status: 200, .. }) {
                        self.delivered.push((channel.clone(), body.to_string()));
                    }
                    Event::Answered { channel, answer: self.answer.clone(), jitter: 0.0 }
                }
            };
            self.event(follow);
        }
    }

    /// Lets time pass, waking the engine when it asks for it.
    fn run(&mut self, seconds: i64) {
        let end = self.now.plus(Duration::from_secs(u64::try_from(seconds).unwrap()));
        while let Some(wake) = self.core.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.event(Event::Tick);
        }
        self.now = end;
    }

    /// kill -9 and start again after `down` seconds, through the bytes on disk.
    fn restart(&mut self, down: u64, text: &str) {
        let bytes = serde_json::to_vec(&self.core.snapshot(self.now)).unwrap();
        self.now = self.now.plus(Duration::from_secs(down));
        self.core = Core::new(config(text), None, serde_json::from_slice(&bytes).unwrap(), self.now);
    }

    /// Titles of the messages since the last call.
    fn told(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.delivered);
        told.iter()
            .map(|(channel, body)| {
                let json: serde_json::Value = serde_json::from_str(body).unwrap();
                format!("{channel}: {}", json["embeds"][0]["title"].as_str().unwrap_or("?"))
            })
            .collect()
    }
}

#[test]
fn from_crossing_a_threshold_to_a_message_and_back() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 5.0)]);
    rig.run(60);
    assert_eq!(rig.told(), [""; 0]);
    rig.set(&[("a", 95.0)]);
    rig.run(15);
    assert_eq!(rig.told(), ["ops: 🔴 Firing: High CPU"]);
    rig.run(3600);
    assert_eq!(rig.told(), [""; 0], "told once");
    rig.set(&[("a", 5.0)]);
    rig.run(80);
    assert_eq!(rig.told(), ["ops: ✅ Resolved: High CPU"]);
    let metrics = rig.core.metrics();
    assert_eq!((metrics.delivered, metrics.notices_waiting, metrics.instances_normal), (2, 0, 1));
    assert!(metrics.evaluations >= 370 && metrics.evaluation_failures == 0, "{metrics:?}");
    assert!(metrics.to_prometheus().contains("skywatch_alert_notices_delivered_total 2\n"));
}

#[test]
fn a_firing_alert_is_neither_told_again_nor_forgotten_by_a_restart() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 95.0)]);
    rig.run(30);
    assert_eq!(rig.told().len(), 1);
    for down in [0, 5, 600] {
        rig.restart(down, RULES);
        rig.run(300);
        assert_eq!(rig.told(), [""; 0], "down for {down} s");
        assert_eq!(rig.core.rule_views("telegraf")[0].state, "firing");
    }
    // It ends while the engine is away: people hear of it after the start.
    rig.set(&[("a", 5.0)]);
    rig.restart(60, RULES);
    rig.run(120);
    assert_eq!(rig.told(), ["ops: ✅ Resolved: High CPU"]);
}

#[test]
fn pending_goes_on_counting_across_a_restart() {
    let rules = RULES.replace("interval: 10s", "interval: 10s, for: 60s");
    let mut rig = Rig::new(&rules);
    rig.set(&[("a", 95.0)]);
    rig.run(40);
    rig.restart(5, &rules);
    assert_eq!(rig.core.rule_views("telegraf")[0].state, "pending");
    rig.run(30);
    assert_eq!(rig.told(), ["ops: 🔴 Firing: High CPU"]);
}

#[test]
fn a_queued_notice_survives_and_goes_out_once_discord_is_back() {
    let mut rig = Rig::new(RULES);
    rig.answer = Answer::Unreachable("connection refused".into());
    rig.set(&[("a", 95.0)]);
    rig.run(30);
    assert_eq!(rig.told(), [""; 0]);
    assert!(rig.posted > 1 && rig.core.metrics().notices_waiting == 1);
    rig.restart(10, RULES);
    rig.answer = ok();
    rig.run(300);
    assert_eq!(rig.told(), ["ops: 🔴 Firing: High CPU"]);
    assert_eq!(rig.core.channel_views()[0].status, ChannelStatus::Healthy);
}

#[test]
fn editing_pausing_and_removing_a_rule_end_its_alerts() {
    for (from, to) in [
        ("above: 90", "above: 99"),
        ("above: 90", "above: 90, paused: true"),
        (
            "{name: High CPU, query: SELECT x, above: 90, interval: 10s, notify: ops}",
            "{name: Other, query: y, above: 90, interval: 10s, notify: ops}",
        ),
    ] {
        let edited = RULES.replace(from, to);
        for by_restart in [false, true] {
            let mut rig = Rig::new(RULES);
            rig.set(&[("a", 95.0)]);
            rig.run(30);
            assert_eq!(rig.told().len(), 1);
            rig.set(&[("a", 50.0)]);
            if by_restart {
                rig.restart(1, &edited);
            } else {
                rig.event(Event::Configured(config(&edited)));
            }
            rig.run(100);
            assert_eq!(rig.told(), ["ops: ✅ Resolved: High CPU"], "{to}, by restart: {by_restart}");
        }
    }
}

#[test]
fn all_rules_gone_still_ends_what_fired() {
    let none = RULES
        .replace("  - {name: High CPU, query: SELECT x, above: 90, interval: 10s, notify: ops}\n", "  []\n");
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 95.0)]);
    rig.run(30);
    rig.told();
    rig.restart(1, &none);
    rig.run(100);
    assert_eq!(rig.told(), ["ops: ✅ Resolved: High CPU"]);
    assert_eq!(rig.core.rule_views("telegraf"), []);
}

#[test]
fn mending_a_text_resets_nothing() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 95.0)]);
    rig.run(30);
    rig.told();
    let edited = RULES.replace("notify: ops", "notify: ops, summary: now with a text");
    rig.event(Event::Configured(config(&edited)));
    rig.run(100);
    assert_eq!(rig.told(), [""; 0]);
    assert_eq!(rig.core.rule_views("telegraf")[0].instances[0].annotations["summary"], "now with a text");
}

#[test]
fn a_broken_channel_is_told_of_through_another_and_keeps_its_notices() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 95.0)]);
    rig.answer = http(404);
    // The first post breaks ops; the note about it goes to dev, which breaks as well: nobody is left to tell.
    rig.run(30);
    let views = rig.core.channel_views();
    assert!(views.iter().all(|view| matches!(view.status, ChannelStatus::Broken { .. })), "{views:?}");
    assert_eq!(views[0].waiting, 1);
    assert_eq!(rig.posted, 2, "what is broken is left alone");
    assert!(views.iter().all(|view| !view.address.contains("secret")));
    // A new address mends it.
    rig.answer = ok();
    rig.event(Event::Configured(config(&RULES.replace("ops-secret", "new-secret"))));
    rig.run(5);
    assert_eq!(rig.told(), ["ops: 🔴 Firing: High CPU"]);
}

#[test]
fn send_resolved_off_tells_no_endings() {
    let rules = RULES.replace("ops-secret'", "ops-secret', send_resolved: false");
    let mut rig = Rig::new(&rules);
    rig.set(&[("a", 95.0), ("b", 95.0)]);
    rig.run(30);
    assert_eq!(rig.told().len(), 1);
    rig.set(&[("a", 5.0), ("b", 95.0)]);
    rig.run(120);
    assert_eq!(rig.told(), [""; 0]);
    rig.set(&[("a", 95.0), ("b", 95.0)]);
    rig.run(120);
    assert_eq!(rig.told().len(), 1);
}

#[test]
fn thousands_of_instances_and_a_flood_beyond_the_limit() {
    let mut rig = Rig::new(RULES);
    rig.data = (0..2_000).map(|at| (format!("host-{at:05}"), 95.0)).collect();
    rig.run(30);
    let all: String = rig.delivered.iter().map(|(_, body)| body.as_str()).collect();
    for at in (0..2_000).step_by(97) {
        assert_eq!(all.matches(&format!("host-{at:05}")).count(), 1);
    }
    let snapshot = serde_json::to_vec(&rig.core.snapshot(rig.now)).unwrap();
    assert!(snapshot.len() < 8 << 20, "{}", snapshot.len());
    rig.data = (0..10_001).map(|at| (format!("host-{at:05}"), 95.0)).collect();
    rig.run(20);
    let view = &rig.core.rule_views("telegraf")[0];
    assert!(view.last_error.as_ref().unwrap().contains("10001 series"), "{:?}", view.last_error);
}

#[test]
fn missed_evaluations_are_skipped_in_phase_and_counted() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 5.0)]);
    rig.run(20);
    let phase = rig.core.rule_views("telegraf")[0].next_evaluation.unwrap().millis() % 10_000;
    // The machine slept for five minutes.
    rig.now = rig.now.plus(Duration::from_secs(300));
    let before = rig.core.metrics().evaluations;
    rig.event(Event::Tick);
    let metrics = rig.core.metrics();
    assert_eq!(metrics.evaluations, before + 1);
    assert!((28..=31).contains(&metrics.evaluations_missed), "{}", metrics.evaluations_missed);
    let next = rig.core.rule_views("telegraf")[0].next_evaluation.unwrap();
    assert_eq!(next.millis() % 10_000, phase);
    assert!(next > rig.now);
}

#[test]
fn answers_of_rules_that_have_changed_meanwhile_are_ignored() {
    let mut rig = Rig::new(RULES);
    let mut commands = Vec::new();
    rig.core.step(at(1001), Event::Tick, &mut commands);
    let Some(Command::Evaluate { at, .. }) = commands.pop() else { panic!() };
    rig.event(Event::Configured(config(&RULES.replace("above: 90", "above: 10"))));
    let series = Series {
        labels: Labels::new(),
        points: vec![Point { time: at, value: Some(50.0) }],
        name: String::new(),
    };
    let outcome = Ok([("query".to_owned(), vec![series])].into());
    rig.core.step(
        at,
        Event::Evaluated { uid: "high-cpu".into(), at, took: Duration::ZERO, outcome },
        &mut commands,
    );
    assert_eq!(rig.core.rule_views("telegraf")[0].instances, []);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut rig = Rig::new(RULES);
    rig.set(&[("a", 5.0)]);
    rig.run(60);
    for by_restart in [false, true] {
        let set_back = Duration::from_secs(3_600);
        if by_restart {
            let bytes = serde_json::to_vec(&rig.core.snapshot(rig.now)).unwrap();
            rig.now = rig.now.minus(set_back);
            rig.core = Core::new(config(RULES), None, serde_json::from_slice(&bytes).unwrap(), rig.now);
        } else {
            rig.now = rig.now.minus(set_back);
            rig.event(Event::Tick);
        }
        rig.set(&[("a", 95.0)]);
        rig.run(80);
        assert_eq!(rig.told(), ["ops: 🔴 Firing: High CPU"]);
        rig.set(&[("a", 5.0)]);
        rig.run(80);
        assert_eq!(rig.told(), ["ops: ✅ Resolved: High CPU"]);
    }
}
