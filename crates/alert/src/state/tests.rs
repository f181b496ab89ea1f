//! Tables: what an instance does with a sequence of results.

use std::time::Duration;

use super::*;
use crate::{config::Sources, rule::AlertConfig};

struct NoEnvironment;

impl crate::Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// A rule with `more` lines, evaluated every 10 s.
fn rule(more: &str) -> Rule {
    let text = format!(
        "rules:\n- name: High CPU\n  query: SELECT x\n  above: 90\n  interval: 10s\n  summary: '{{{{ $labels.host }}}} at {{{{ $value }}}}'\n{more}"
    );
    let config: AlertConfig = Sources::from_texts([("test", text)]).parse(&NoEnvironment).unwrap();
    config.rules[0].clone()
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn host(name: &str) -> Labels {
    [("host".to_owned(), name.to_owned())].into()
}

fn sample(name: &str, value: Option<f64>) -> Sample {
    let fires = value.map(|value| f64::from(u8::from(value > 90.0)));
    Sample { labels: host(name), value: fires, shown: value, values: [("A".to_owned(), value)].into() }
}

fn samples(values: &[(&str, Option<f64>)]) -> Event {
    Event::Evaluated(Evaluation::Samples(values.iter().map(|(name, value)| sample(name, *value)).collect()))
}

/// Runs one letter per evaluation and writes what happened: the state after it and, in capitals, what was told.
/// Letters: `h` high, `l` low, `n` null for the series, `-` series missing (another is there), `0` no data at all,
/// `e` error.
fn run(rule: &Rule, script: &str) -> String {
    let mut state = RuleState::default();
    let mut out = Vec::new();
    for (step, letter) in (0i64..).zip(script.chars()) {
        let event = match letter {
            'h' => samples(&[("a", Some(95.0))]),
            'l' => samples(&[("a", Some(5.0))]),
            'n' => samples(&[("a", None)]),
            '-' => samples(&[("other", Some(5.0))]),
            '0' => Event::Evaluated(Evaluation::NoData),
            'e' => Event::Failed("boom".to_owned()),
            other => panic!("{other}"),
        };
        let mut commands = Vec::new();
        state.step(rule, at(step * 10), &event, &mut commands);
        state.check().unwrap();
        let mut word =
            match state.instances().find(|instance| instance.labels == host("a")).map(|i| i.state.word()) {
                Some(word) => word.to_owned(),
                None => "gone".to_owned(),
            };
        if let Some(whole) = state.instances().find(|instance| instance.whole_rule) {
            word.push_str(&format!("+{}", whole.state.word()));
        }
        for command in commands {
            match command {
                Command::Fire(alert) if alert.kind == Kind::Alerting => word.push_str(" FIRE"),
                Command::Fire(alert) => word.push_str(&format!(" FIRE:{}", alert.labels["alertname"])),
                Command::Resolve(alert) => {
                    word.push_str(" RESOLVE");
                    assert_eq!(alert.ends, Some(at(step * 10)));
                    if let Some(reason) = alert.reason {
                        word.push_str(&format!(":{reason}"));
                    }
                }
                Command::Changed { .. } => {}
            }
        }
        out.push(word);
    }
    out.join(", ")
}

#[test]
fn hold_and_keep_firing() {
    for (more, script, expected) in [
        ("", "lhl", "normal, firing FIRE, normal RESOLVE"),
        // `for` of one interval fires at the second hit.
        ("  for: 10s\n", "hhl", "pending, firing FIRE, normal RESOLVE"),
        ("  for: 20s\n", "hhhh", "pending, pending, firing FIRE, firing FIRE"),
        ("  for: 20s\n", "hhlh", "pending, pending, normal, pending"),
        (
            "  keep_firing_for: 20s\n",
            "hlllh",
            "firing FIRE, recovering, recovering, normal RESOLVE, firing FIRE",
        ),
        (
            "  for: 10s\n  keep_firing_for: 20s\n",
            "hhlhl",
            "pending, firing FIRE, recovering, firing FIRE, recovering",
        ),
    ] {
        assert_eq!(run(&rule(more), script), expected, "{more}{script}");
    }
}

#[test]
fn no_data_policies() {
    for (more, script, expected) in [
        // A null of the series itself: an alert of its own kind, through pending when there is a `for`.
        ("", "ln", "normal, no data FIRE:DatasourceNoData"),
        ("  for: 10s\n", "lnnl", "normal, pending, no data FIRE:DatasourceNoData, normal RESOLVE"),
        // Pending keeps its timer when the kind changes; the kind at expiry decides.
        ("  for: 20s\n", "hnn", "pending, pending, no data FIRE:DatasourceNoData"),
        ("  for: 20s\n", "nnh", "pending, pending, firing FIRE"),
        // What fires is not called resolved while no data is pending.
        (
            "  for: 10s\n",
            "hhnnl",
            "pending, firing FIRE, pending, no data FIRE:DatasourceNoData, normal RESOLVE",
        ),
        ("  for: 10s\n", "hhnl", "pending, firing FIRE, pending, normal RESOLVE"),
        // Nothing at all: one instance for the rule; the series goes missing after two evaluations.
        (
            "",
            "h00l",
            "firing FIRE, firing+no data FIRE:DatasourceNoData, \
             gone+no data FIRE:DatasourceNoData RESOLVE:MissingSeries, normal RESOLVE",
        ),
        ("  for: 10s\n", "00l", "gone+pending, gone+no data FIRE:DatasourceNoData, normal RESOLVE"),
        ("  no_data: alert\n", "l0l", "normal, firing FIRE, normal RESOLVE"),
        ("  no_data: alert\n", "0l", "gone+firing FIRE, normal+firing"),
        ("  no_data: alert\n  for: 10s\n", "l00", "normal, pending, firing FIRE"),
        ("  no_data: alert\n  for: 10s\n", "nn", "pending, firing FIRE"),
        ("  no_data: ok\n", "h0", "firing FIRE, normal RESOLVE:NoData"),
        ("  no_data: ok\n", "n", "normal"),
        ("  no_data: ok\n", "0", "gone"),
        ("  no_data: keep\n", "h0nl", "firing FIRE, firing FIRE, firing FIRE, normal RESOLVE"),
        // A pending instance may still mature.
        ("  no_data: keep\n  for: 20s\n", "h00", "pending, pending, firing FIRE"),
        ("  no_data: keep\n", "0l0", "gone, normal, normal"),
    ] {
        assert_eq!(run(&rule(more), script), expected, "{more}{script}");
    }
}

#[test]
fn error_policies() {
    for (more, script, expected) in [
        // The error is an alert of its own; what fires is neither resolved nor counted as missing.
        (
            "",
            "heeel",
            "firing FIRE, firing+error FIRE:DatasourceError, firing+error FIRE:DatasourceError, \
             firing+error FIRE:DatasourceError, normal RESOLVE RESOLVE",
        ),
        ("  for: 10s\n", "eel", "gone+pending, gone+error FIRE:DatasourceError, normal RESOLVE"),
        ("  on_error: alert\n", "le", "normal, firing FIRE"),
        ("  on_error: alert\n", "e", "gone+firing FIRE"),
        ("  on_error: ok\n", "he", "firing FIRE, normal RESOLVE:Error"),
        ("  on_error: keep\n", "hel", "firing FIRE, firing FIRE, normal RESOLVE"),
        ("  on_error: keep\n  for: 20s\n", "hee", "pending, pending, firing FIRE"),
        // No data becoming an error starts over.
        (
            "  for: 10s\n",
            "00ee",
            "gone+pending, gone+no data FIRE:DatasourceNoData, gone+pending, gone+error FIRE:DatasourceError",
        ),
    ] {
        assert_eq!(run(&rule(more), script), expected, "{more}{script}");
    }
}

#[test]
fn missing_series() {
    for (more, script, expected) in [
        ("", "h-h", "firing FIRE, firing, firing FIRE"),
        ("", "h--", "firing FIRE, firing, gone RESOLVE:MissingSeries"),
        ("", "l--h", "normal, normal, gone, firing FIRE"),
        ("  missing_evaluations: 1\n", "h-", "firing FIRE, gone RESOLVE:MissingSeries"),
        ("  missing_evaluations: 3\n", "h---", "firing FIRE, firing, firing, gone RESOLVE:MissingSeries"),
        ("  for: 20s\n", "h--", "pending, pending, gone"),
        // Instances of no data, and pending ones, go after one.
        ("", "n-", "no data FIRE:DatasourceNoData, gone RESOLVE:MissingSeries"),
        ("  for: 20s\n", "n-", "pending, gone"),
    ] {
        assert_eq!(run(&rule(more), script), expected, "{more}{script}");
    }
}

#[test]
fn nan_alerts_as_the_condition() {
    let mut state = RuleState::default();
    let mut commands = Vec::new();
    let sample = Sample { labels: host("a"), value: Some(f64::NAN), shown: None, values: BTreeMap::new() };
    state.step(&rule(""), at(0), &Event::Evaluated(Evaluation::Samples(vec![sample])), &mut commands);
    assert!(
        matches!(&commands[0], Command::Fire(alert) if alert.kind == Kind::Alerting && alert.value.is_empty())
    );
}

#[test]
fn edited_paused_and_removed_rules_end_what_fires() {
    for reason in ["Updated", "Paused", "RuleDeleted"] {
        let rule = rule("");
        let mut state = RuleState::default();
        let mut commands = Vec::new();
        state.step(&rule, at(0), &samples(&[("a", Some(95.0)), ("b", Some(5.0))]), &mut commands);
        commands.clear();
        state.reset(at(10), reason, &mut commands);
        assert_eq!(state.instances().len(), 0);
        let resolved: Vec<&Alert> = commands
            .iter()
            .filter_map(|command| if let Command::Resolve(alert) = command { Some(alert) } else { None })
            .collect();
        assert_eq!(resolved.len(), 1);
        assert_eq!((resolved[0].reason.as_deref(), resolved[0].ends), (Some(reason), Some(at(10))));
    }
}

#[test]
fn an_alert_says_what_it_is_about() {
    let rule = rule("  unit: percent\n  severity: warning\n  labels: {team: 'ops-{{ $$labels.host }}'}\n");
    let mut state = RuleState::default();
    let mut commands = Vec::new();
    state.step(&rule, at(0), &samples(&[("a", Some(95.5))]), &mut commands);
    let [Command::Fire(alert), Command::Changed { from: None, to: Some("firing"), .. }] = commands.as_slice()
    else {
        panic!("{commands:?}");
    };
    assert_eq!(alert.value, "95.5 %");
    assert_eq!(alert.condition, "above 90 %");
    assert_eq!(alert.annotations["summary"], "a at 95.5");
    let labels: Vec<(&str, &str)> = alert.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        labels,
        [("alertname", "High CPU"), ("host", "a"), ("severity", "warning"), ("team", "ops-a")]
    );
    // Values and texts follow while it fires; the beginning and the identity stay.
    let (id, starts) = (alert.id.clone(), alert.starts);
    let mut commands = Vec::new();
    state.step(&rule, at(10), &samples(&[("a", Some(99.0))]), &mut commands);
    let [Command::Fire(alert)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((alert.value.as_str(), &alert.id, alert.starts), ("99 %", &id, starts));
}

#[test]
fn no_data_and_error_alerts_carry_the_rule_and_the_error() {
    let mut state = RuleState::default();
    let mut commands = Vec::new();
    state.step(&rule(""), at(0), &Event::Failed("database not found".to_owned()), &mut commands);
    let Command::Fire(alert) = &commands[0] else { panic!("{commands:?}") };
    assert_eq!(alert.labels["alertname"], "DatasourceError");
    assert_eq!(alert.labels["rulename"], "High CPU");
    assert_eq!(alert.labels["ref_id"], "query");
    assert_eq!(alert.annotations["Error"], "database not found");
    assert_eq!(alert.title, "High CPU");
}

proptest::proptest! {
    /// Whatever happens, invariants hold, and every alert that was told as firing is told as ended exactly once
    /// before it can begin again.
    #[test]
    fn every_firing_alert_is_resolved_once(
        script in "[hln0e-]{0,40}",
        hold in 0u64..3,
        keep in 0u64..3,
        policy in 0usize..4,
    ) {
        let policies = ["no_data", "alert", "ok", "keep"];
        let errors = ["error", "alert", "ok", "keep"];
        let more = format!("  no_data: {}\n  on_error: {}\n", policies[policy], errors[policy]);
        let mut rule = rule(&more);
        rule.hold = Duration::from_secs(hold * 10);
        rule.keep_firing = Duration::from_secs(keep * 10);
        let mut state = RuleState::default();
        let mut firing = std::collections::BTreeSet::new();
        for (step, letter) in (0i64..).zip(script.chars()) {
            let event = match letter {
                'h' => samples(&[("a", Some(95.0))]),
                'l' => samples(&[("a", Some(5.0))]),
                'n' => samples(&[("a", None)]),
                '-' => samples(&[("other", Some(95.0))]),
                '0' => Event::Evaluated(Evaluation::NoData),
                _ => Event::Failed("boom".to_owned()),
            };
            let mut commands = Vec::new();
            state.step(&rule, at(step * 10), &event, &mut commands);
            state.check().unwrap();
            for command in commands {
                match command {
                    Command::Fire(alert) => { firing.insert(alert.id); }
                    Command::Resolve(alert) => assert!(firing.remove(&alert.id), "resolved without firing"),
                    Command::Changed { from, to, .. } => assert_ne!(from, to),
                }
            }
            let out: std::collections::BTreeSet<String> =
                state.instances().filter_map(|i| Some(i.alert.as_ref()?.id.clone())).collect();
            assert_eq!(out, firing);
        }
        let mut commands = Vec::new();
        state.reset(at(1000), "RuleDeleted", &mut commands);
        let ended = commands.iter().filter(|command| matches!(command, Command::Resolve(_))).count();
        assert_eq!(ended, firing.len());
    }
}
