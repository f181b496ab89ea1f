//! When groups tell, and of what.

use super::*;
use crate::config::Sources;

struct NoEnvironment;

impl crate::Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

const POINTS: &str = "contact_points: [{name: ops, url: 'http://x/y/z'}, {name: dev, url: 'http://x/y/z'}]\n";

fn config(policy: &str) -> AlertConfig {
    Sources::from_texts([("test", format!("{POINTS}{policy}"))]).parse(&NoEnvironment).unwrap()
}

const SIMPLE: &str = "policies: [{receiver: ops, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 1h}]\n";

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn alert(name: &str, host: &str, starts: i64) -> Alert {
    Alert {
        id: format!("{name}/{host}"),
        rule_uid: name.to_owned(),
        title: name.to_owned(),
        kind: Kind::Alerting,
        reason: None,
        labels: [("alertname".to_owned(), name.to_owned()), ("host".to_owned(), host.to_owned())].into(),
        annotations: BTreeMap::new(),
        value: String::new(),
        values: BTreeMap::new(),
        condition: String::new(),
        starts: at(starts),
        ends: None,
    }
}

fn ended(alert: &Alert, ends: i64) -> Alert {
    Alert { ends: Some(at(ends)), ..alert.clone() }
}

/// `ops: +cpu/a ~cpu/b -cpu/c` for a notice with a new, an unchanged and an ended alert.
fn told(notices: &[Notice]) -> Vec<String> {
    notices
        .iter()
        .map(|notice| {
            let alerts: Vec<String> = notice
                .alerts
                .iter()
                .map(|entry| {
                    let sign = match (entry.alert.is_resolved(), entry.changed) {
                        (true, _) => '-',
                        (false, true) => '+',
                        (false, false) => '~',
                    };
                    format!("{sign}{}", entry.alert.id)
                })
                .collect();
            format!("{}: {}", notice.receiver, alerts.join(" "))
        })
        .collect()
}

#[test]
fn first_after_group_wait_then_every_group_interval_then_repeats() {
    let config = config(SIMPLE);
    let mut groups = Groups::default();
    let (a, b) = (alert("cpu", "a", 0), alert("cpu", "b", 10));
    assert!(groups.fire(&config, &a, at(0)));
    assert_eq!(groups.next_wake(), Some(at(30)));
    assert!(groups.fire(&config, &b, at(10)));
    assert_eq!(told(&groups.flush(&[], at(29))), [""; 0]);
    assert_eq!(told(&groups.flush(&[], at(30))), ["ops: +cpu/a +cpu/b"]);
    // Going on firing with other values is no news.
    assert!(!groups.fire(&config, &Alert { value: "99".into(), ..a.clone() }, at(40)));
    assert_eq!(told(&groups.flush(&[], at(330))), [""; 0]);
    // A third one waits for the next look.
    let c = alert("cpu", "c", 340);
    groups.fire(&config, &c, at(340));
    assert_eq!(told(&groups.flush(&[], at(629))), [""; 0]);
    assert_eq!(told(&groups.flush(&[], at(630))), ["ops: ~cpu/a ~cpu/b +cpu/c"]);
    groups.resolve(&ended(&a, 700));
    assert_eq!(told(&groups.flush(&[], at(930))), ["ops: -cpu/a ~cpu/b ~cpu/c"]);
    assert_eq!(told(&groups.flush(&[], at(1230))), [""; 0]);
    // Repeats once an hour has passed since 930 s, at the next look.
    let mut repeats = Vec::new();
    for step in 0..20 {
        let now = 1530 + step * 300;
        for notice in told(&groups.flush(&[], at(now))) {
            repeats.push((now, notice));
        }
    }
    assert_eq!(repeats, [(4530, "ops: ~cpu/b ~cpu/c".to_owned())]);
    groups.resolve(&ended(&b, 8000));
    groups.resolve(&ended(&c, 8000));
    assert_eq!(told(&groups.flush(&[], at(9000))), ["ops: -cpu/b -cpu/c"]);
    assert_eq!(groups, Groups::default(), "nothing is left behind");
}

#[test]
fn what_ends_before_it_was_told_is_not_told() {
    let config = config(SIMPLE);
    let mut groups = Groups::default();
    let a = alert("cpu", "a", 0);
    groups.fire(&config, &a, at(0));
    groups.resolve(&ended(&a, 20));
    assert_eq!(told(&groups.flush(&[], at(30))), [""; 0]);
    assert_eq!(groups, Groups::default());
    // An alert that is older than group_wait already is told at once.
    groups.fire(&config, &alert("cpu", "b", 0), at(100));
    assert_eq!(told(&groups.flush(&[], at(100))), ["ops: +cpu/b"]);
}

#[test]
fn flapping_between_looks_is_told_as_it_is_at_the_look() {
    let config = config(SIMPLE);
    let mut groups = Groups::default();
    let a = alert("cpu", "a", 0);
    groups.fire(&config, &a, at(0));
    groups.flush(&[], at(30));
    groups.resolve(&ended(&a, 100));
    groups.fire(&config, &alert("cpu", "a", 120), at(120));
    assert_eq!(told(&groups.flush(&[], at(330))), [""; 0], "it fires as before");
}

#[test]
fn another_kind_is_news() {
    let config = config(SIMPLE);
    let mut groups = Groups::default();
    let a = alert("cpu", "a", 0);
    groups.fire(&config, &a, at(0));
    groups.flush(&[], at(30));
    assert!(groups.fire(&config, &Alert { kind: Kind::NoData, ..a }, at(40)));
    assert_eq!(told(&groups.flush(&[], at(330))), ["ops: +cpu/a"]);
}

#[test]
fn routes_the_deepest_match_continue_and_the_root() {
    let config = config(
        "policies:\n- receiver: ops\n  group_by: ['...']\n  group_wait: 0s\n  routes:\n  \
         - {receiver: dev, object_matchers: [[host, '=~', 'web.*']], continue: true}\n  \
         - {object_matchers: [[alertname, '=', cpu]], routes: [{receiver: dev, object_matchers: [[host, '=', web1]]}]}\n",
    );
    let tells = |name: &str, host: &str| {
        let mut groups = Groups::default();
        groups.fire(&config, &alert(name, host, 0), at(0));
        told(&groups.flush(&[], at(0)))
    };
    assert_eq!(tells("mem", "db1"), ["ops: +mem/db1"]);
    assert_eq!(tells("mem", "web1"), ["dev: +mem/web1"]);
    assert_eq!(tells("cpu", "db1"), ["ops: +cpu/db1"]);
    assert_eq!(tells("cpu", "web1"), ["dev: +cpu/web1", "dev: +cpu/web1"], "two routes, two groups");
}

#[test]
fn groups_are_kept_across_a_restart_and_nobody_is_told_twice() {
    let config = config(SIMPLE);
    let mut groups = Groups::default();
    let a = alert("cpu", "a", 0);
    groups.fire(&config, &a, at(0));
    groups.flush(&[], at(30));
    let stored = serde_json::to_string(&groups.to_vec()).unwrap();
    let mut groups = Groups::restore(serde_json::from_str(&stored).unwrap());
    groups.reconfigure(&config, at(60));
    assert!(!groups.fire(&config, &a, at(70)));
    for step in 0..10 {
        assert_eq!(told(&groups.flush(&[], at(100 + step * 300))), [""; 0]);
    }
    groups.resolve(&ended(&a, 3100));
    assert_eq!(told(&groups.flush(&[], at(3500))), ["ops: -cpu/a"]);
}

#[test]
fn other_policies_route_anew_and_tell_only_whom_they_have_not() {
    let before = config(SIMPLE);
    let mut groups = Groups::default();
    let a = alert("cpu", "a", 0);
    groups.fire(&before, &a, at(0));
    groups.flush(&[], at(30));
    // The same receiver, other groups: no news.
    let after =
        config("policies: [{receiver: ops, group_by: [host], group_wait: 0s, repeat_interval: 1h}]\n");
    groups.reconfigure(&after, at(60));
    assert_eq!(told(&groups.flush(&[], at(400))), [""; 0]);
    // Another receiver is told.
    let after = config("policies: [{receiver: dev, group_by: [host], group_wait: 0s}]\n");
    groups.reconfigure(&after, at(500));
    assert_eq!(told(&groups.flush(&[], at(900))), ["dev: +cpu/a"]);
    groups.check().unwrap();
}

/// Muted from 00:10 to 00:30 of each day.
const MUTED: &str = "muteTimes: [{name: early, time_intervals: [{times: [{start_time: '00:10', end_time: '00:30'}]}]}]
policies: [{receiver: dev, routes: [{receiver: ops, matchers: ['alertname=~\".+\"'], group_by: [alertname], group_wait: 30s, \
    group_interval: 5m, repeat_interval: 1h, mute_time_intervals: [early]}]}]\n";

#[test]
fn in_a_mute_timing_nothing_is_told_and_afterwards_what_counts_still() {
    let config = config(MUTED);
    let mut groups = Groups::default();
    let told_at = |groups: &mut Groups, now| told(&groups.flush(&config.mute_timings, at(now)));
    let (a, b, c, d) =
        (alert("cpu", "a", 0), alert("cpu", "b", 0), alert("cpu", "c", 700), alert("cpu", "d", 700));
    groups.fire(&config, &a, at(0));
    groups.fire(&config, &b, at(0));
    assert_eq!(told_at(&mut groups, 30), ["ops: +cpu/a +cpu/b"]);
    assert_eq!(groups.muted(&config.mute_timings, at(599)).get(&*a.id), None);
    // Muted: one ends that people know of, one that fires goes on, one comes and ends, one comes and stays.
    groups.resolve(&ended(&b, 650));
    groups.fire(&config, &c, at(700));
    groups.fire(&config, &d, at(700));
    for now in [630, 930, 1230, 1530] {
        assert_eq!(told_at(&mut groups, now), [""; 0], "at {now}");
        groups.resolve(&ended(&c, 900));
    }
    assert_eq!(
        groups.muted(&config.mute_timings, at(1000)).get(&*a.id).map(String::as_str),
        Some("muted by early")
    );
    // What is stored and taken up again is muted too.
    let text = serde_json::to_string(&groups.to_vec()).unwrap();
    let mut again = Groups::restore(serde_json::from_str(&text).unwrap());
    assert_eq!((told_at(&mut again, 1790), &again.groups.len()), (Vec::new(), &1));
    assert_eq!(told_at(&mut groups, 1830), ["ops: ~cpu/a -cpu/b +cpu/d"]);
    assert_eq!(told_at(&mut groups, 2130), [""; 0]);
}

#[test]
fn another_mute_timing_tells_nobody_again() {
    let before = config(MUTED);
    let mut groups = Groups::default();
    groups.fire(&before, &alert("cpu", "a", 0), at(0));
    assert_eq!(told(&groups.flush(&before.mute_timings, at(30))), ["ops: +cpu/a"]);
    for text in [
        MUTED.replace(", mute_time_intervals: [early]", ""),
        MUTED.replace("mute_time_intervals", "active_time_intervals"),
    ] {
        let after = config(&text);
        let mut groups = groups.clone();
        groups.reconfigure(&after, at(60));
        for now in [60, 90, 600, 900] {
            assert_eq!(told(&groups.flush(&after.mute_timings, at(now))), [""; 0], "at {now}");
        }
        groups.resolve(&ended(&alert("cpu", "a", 0), 1000));
        assert_eq!(told(&groups.flush(&after.mute_timings, at(1300))), ["ops: -cpu/a"]);
    }
}

#[test]
fn rules_with_other_mute_timings_are_told_of_apart() {
    let text = "muteTimes: [{name: always, time_intervals: [{years: ['1:9999']}]}]
rules:
  - {name: cpu, uid: cpu, query: SELECT 1, above: 1, notify: ops, group_by: [host], mute_time_intervals: [always]}
  - {name: mem, uid: mem, query: SELECT 1, above: 1, notify: ops, group_by: [host]}
policies: [{receiver: dev}]\n";
    let config = config(text);
    let mut groups = Groups::default();
    groups.fire(&config, &alert("cpu", "a", 0), at(0));
    groups.fire(&config, &alert("mem", "a", 0), at(0));
    assert_eq!(told(&groups.flush(&config.mute_timings, at(60))), ["ops: +mem/a"]);
}
