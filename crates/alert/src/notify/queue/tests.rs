//! What a channel does with answers.

use serde_json::json;

use super::*;
use crate::{
    alert::{Alert, Kind},
    labels::Labels,
    notify::NoticeAlert,
};

const NOW: Time = Time::from_millis(1_000_000);

fn alert(id: &str, resolved: bool) -> NoticeAlert {
    let alert = Alert {
        id: id.to_owned(),
        rule_uid: "r".to_owned(),
        title: "High CPU".to_owned(),
        kind: Kind::Alerting,
        reason: None,
        labels: Labels::new(),
        annotations: Default::default(),
        value: String::new(),
        values: Default::default(),
        condition: String::new(),
        starts: NOW,
        ends: resolved.then_some(NOW),
    };
    NoticeAlert { alert, changed: true }
}

fn notice(group: &str, alerts: &[(&str, bool)]) -> Notice {
    Notice {
        group: group.to_owned(),
        receiver: "ops".to_owned(),
        group_labels: Labels::new(),
        created: NOW,
        alerts: alerts.iter().map(|(id, resolved)| alert(id, *resolved)).collect(),
        note: None,
    }
}

/// One part per alert, so that what is posted tells what was in the notice.
fn parts(notice: &Notice) -> Vec<Part> {
    let part = |entry: &NoticeAlert| Part {
        body: json!(format!("{}{}", entry.alert.id, if entry.alert.is_resolved() { "-" } else { "+" })),
        fallback: json!(format!("short {}", entry.alert.id)),
    };
    notice.alerts.iter().map(part).collect()
}

fn http(status: u16) -> Answer {
    Answer::Http { status, retry_after: None, pause: None, code: None, detail: format!("says {status}") }
}

fn limited(retry_after: Option<f64>) -> Answer {
    let retry_after = retry_after.map(Duration::from_secs_f64);
    Answer::Http { status: 429, retry_after, pause: None, code: None, detail: "slow down".into() }
}

#[test]
fn messages_go_out_in_order_one_at_a_time() {
    let mut channel = Channel::new("ops");
    channel.push(notice("g1", &[("a", false), ("b", false)]));
    channel.push(notice("g2", &[("c", false)]));
    let mut posted = Vec::new();
    while let Some(body) = channel.poll(NOW, parts) {
        assert_eq!(channel.poll(NOW, parts), None, "one in flight");
        posted.push(body);
        channel.answered(NOW, &http(200), 0.0).unwrap();
        channel.check().unwrap();
    }
    assert_eq!(posted, [json!("a+"), json!("b+"), json!("c+")]);
    assert_eq!((channel.len(), channel.next_wake()), (0, None));
    assert_eq!(channel.last_delivered(), Some(NOW));
}

#[test]
fn what_the_server_asks_for_is_waited_for() {
    for (answer, least, most) in [
        (limited(Some(1.5)), 1_500, 1_650),
        (limited(Some(65.0)), 65_000, 71_500),
        // Without a number (Cloudflare): back-off.
        (limited(None), 500, 1_100),
        (
            Answer::Http {
                status: 200,
                retry_after: None,
                pause: Some(Duration::from_millis(700)),
                code: None,
                detail: String::new(),
            },
            700,
            700,
        ),
        (http(500), 500, 1_000),
        (http(503), 500, 1_000),
        (Answer::Unreachable("connection refused".into()), 500, 1_000),
    ] {
        for jitter in [0.0, 0.5, 1.0] {
            let mut channel = Channel::new("ops");
            channel.push(notice("g", &[("a", false), ("b", false)]));
            channel.poll(NOW, parts).unwrap();
            channel.answered(NOW, &answer, jitter).unwrap();
            let wait = channel.next_wake().unwrap().since(NOW).as_millis();
            assert!((least..=most).contains(&wait), "{answer:?} {jitter}: {wait}");
            assert_eq!(channel.poll(NOW.plus(Duration::from_millis(least as u64 - 1)), parts), None);
        }
    }
}

#[test]
fn back_off_doubles_to_a_limit_and_nothing_is_given_up() {
    let mut channel = Channel::new("ops");
    channel.push(notice("g", &[("a", false)]));
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(channel.poll(now, parts), Some(json!("a+")));
        let record = channel.answered(now, &Answer::Unreachable("refused".into()), 1.0).unwrap();
        assert_eq!(record.attempt, Attempt::Retry);
        assert!(matches!(channel.status(), ChannelStatus::Retrying { .. }));
        let next = channel.next_wake().unwrap();
        waits.push(next.since(now).as_secs());
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    channel.poll(now, parts).unwrap();
    assert_eq!(channel.answered(now, &http(204), 1.0).unwrap().attempt, Attempt::Delivered);
    assert_eq!(channel.status(), &ChannelStatus::Healthy);
}

#[test]
fn a_refused_message_is_shortened_once_and_then_given_up_for_the_next() {
    let mut channel = Channel::new("ops");
    channel.push(notice("g", &[("a", false), ("b", false)]));
    assert_eq!(channel.poll(NOW, parts), Some(json!("a+")));
    assert_eq!(channel.answered(NOW, &http(400), 0.0).unwrap().attempt, Attempt::Shortened);
    assert_eq!(channel.poll(NOW, parts), Some(json!("short a")), "at once");
    assert_eq!(channel.answered(NOW, &http(400), 0.0).unwrap().attempt, Attempt::Rejected);
    assert_eq!(channel.poll(NOW, parts), Some(json!("b+")), "the rest goes on, unshortened");
    assert_eq!(channel.answered(NOW, &http(413), 0.0).unwrap().attempt, Attempt::Shortened);
    assert_eq!(channel.poll(NOW, parts), Some(json!("short b")));
    assert_eq!(channel.answered(NOW, &http(200), 0.0).unwrap().attempt, Attempt::Delivered);
    assert_eq!(channel.len(), 0);
}

#[test]
fn a_dead_webhook_breaks_the_channel_and_keeps_its_notices() {
    for status in [401, 403, 404, 301] {
        let mut channel = Channel::new("ops");
        channel.push(notice("g", &[("a", false)]));
        channel.poll(NOW, parts).unwrap();
        assert_eq!(channel.answered(NOW, &http(status), 0.0).unwrap().attempt, Attempt::Broken, "{status}");
        assert!(matches!(channel.status(), ChannelStatus::Broken { .. }));
        assert_eq!(channel.next_wake(), Some(NOW.plus(BROKEN_RETRY)));
        channel.push(notice("g", &[("b", false)]));
        assert_eq!(channel.len(), 2);
        channel.repaired();
        assert_eq!(channel.poll(NOW, parts), Some(json!("a+")), "a mended channel sends what waited");
    }
    // Codes that pass by themselves do not break it.
    for code in [40333, 20016, 20028] {
        let mut channel = Channel::new("ops");
        channel.push(notice("g", &[("a", false)]));
        channel.poll(NOW, parts).unwrap();
        let answer = Answer::Http {
            status: 403,
            retry_after: None,
            pause: None,
            code: Some(code),
            detail: String::new(),
        };
        assert_eq!(channel.answered(NOW, &answer, 0.0).unwrap().attempt, Attempt::Retry);
    }
}

#[test]
fn notices_of_a_group_that_wait_are_merged_and_the_latest_state_counts() {
    let mut channel = Channel::new("ops");
    channel.push(notice("first", &[("x", false)]));
    channel.poll(NOW, parts).unwrap();
    channel.push(notice("g", &[("a", false), ("b", false)]));
    channel.push(notice("other", &[("y", false)]));
    channel.push(notice("g", &[("a", true), ("c", false)]));
    // What is being sent is not touched.
    channel.push(notice("first", &[("x", true)]));
    assert_eq!(channel.len(), 4);
    let mut posted = Vec::new();
    channel.answered(NOW, &http(200), 0.0);
    while let Some(body) = channel.poll(NOW, parts) {
        posted.push(body.as_str().unwrap().to_owned());
        channel.answered(NOW, &http(200), 0.0);
    }
    assert_eq!(posted, ["a-", "b+", "c+", "y+", "x-"]);
}

#[test]
fn the_queue_is_bounded_and_loses_no_alert() {
    let mut channel = Channel::new("ops");
    let ids: Vec<String> = (0..1000).map(|at| format!("alert-{at}")).collect();
    for id in &ids {
        channel.push(notice(id, &[(id, false)]));
        channel.check().unwrap();
    }
    assert_eq!(channel.len(), NOTICES_WAITING_MAX);
    let mut posted = std::collections::BTreeSet::new();
    while let Some(body) = channel.poll(NOW, parts) {
        posted.insert(body.as_str().unwrap().trim_end_matches('+').to_owned());
        channel.answered(NOW, &http(200), 0.0);
    }
    assert_eq!(posted, ids.into_iter().collect());
}

#[test]
fn a_restart_in_the_middle_of_a_notice_goes_on_with_its_next_part() {
    let mut channel = Channel::new("ops");
    channel.push(notice("g", &[("a", false), ("b", false)]));
    channel.poll(NOW, parts).unwrap();
    channel.answered(NOW, &http(200), 0.0);
    channel.poll(NOW, parts).unwrap();
    // kill -9 while b is in flight.
    let stored = serde_json::to_string(&channel).unwrap();
    let mut channel: Channel = serde_json::from_str(&stored).unwrap();
    channel.check().unwrap();
    assert_eq!(channel.poll(NOW, |_| panic!("parts are kept as they were rendered")), Some(json!("b+")));
}

#[test]
fn an_answer_to_nothing_is_ignored() {
    assert_eq!(Channel::new("ops").answered(NOW, &http(200), 0.0), None);
}
