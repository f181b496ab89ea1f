//! Whatever the alerts: only valid messages, and no alert missing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{rule::Mentions, secret::WebhookUrl, template::Scope, testing::check_message};

const NOW: Time = Time::from_millis(1_700_000_000_000);
const CONTEXT: Context<'static> = Context { console_url: Some("http://127.0.0.1:3000"), now: NOW };

fn settings() -> DiscordSettings {
    DiscordSettings {
        url: WebhookUrl::parse("http://x/y/z").unwrap(),
        title: None,
        message: None,
        message_in_embed: false,
        username: Some("Skywatch".to_owned()),
        avatar_url: None,
        mentions: Mentions::default(),
    }
}

fn alert(title: &str, host: &str) -> Alert {
    Alert {
        id: format!("{title}/{host}"),
        rule_uid: "cpu".to_owned(),
        title: title.to_owned(),
        kind: Kind::Alerting,
        reason: None,
        labels: [("alertname".to_owned(), title.to_owned()), ("host".to_owned(), host.to_owned())].into(),
        annotations: [("summary".to_owned(), format!("{host} is busy"))].into(),
        value: "97.3 %".to_owned(),
        values: [("A".to_owned(), Some(97.3))].into(),
        condition: "above 90 %".to_owned(),
        starts: NOW.minus(std::time::Duration::from_secs(303)),
        ends: None,
    }
}

fn notice(alerts: Vec<(Alert, bool)>) -> Notice {
    Notice {
        group: "g".to_owned(),
        receiver: "ops".to_owned(),
        group_labels: [("alertname".to_owned(), "High CPU".to_owned())].into(),
        created: NOW,
        alerts: alerts.into_iter().map(|(alert, changed)| NoticeAlert { alert, changed }).collect(),
        note: None,
    }
}

/// All texts of a message.
fn text(body: &Json) -> String {
    let mut out = body["content"].as_str().unwrap_or_default().to_owned();
    for embed in body["embeds"].as_array().into_iter().flatten() {
        for text in [&embed["title"], &embed["description"]] {
            out.push('\n');
            out.push_str(text.as_str().unwrap_or_default());
        }
        for field in embed["fields"].as_array().into_iter().flatten() {
            out.push_str(&format!(
                "\n{}={}",
                field["name"].as_str().unwrap(),
                field["value"].as_str().unwrap()
            ));
        }
    }
    out
}

fn all_text(parts: &[Part]) -> String {
    parts.iter().map(|part| text(&part.body)).collect()
}

fn assert_valid(parts: &[Part]) {
    assert!(!parts.is_empty());
    for part in parts {
        for body in [&part.body, &part.fallback] {
            check_message(body).unwrap_or_else(|problem| panic!("{problem}\n{body:#}"));
        }
    }
}

#[test]
fn one_alert_is_one_card() {
    let parts = render(&notice(vec![(alert("High CPU", "web-1"), true)]), &settings(), CONTEXT);
    assert_valid(&parts);
    let starts = NOW.seconds() - 303;
    assert_eq!(
        parts[0].body,
        json!({
            "username": "Skywatch",
            "embeds": [{
                "type": "rich",
                "color": 0xE5484D,
                "title": "🔴 Firing: High CPU",
                "description": "web-1 is busy",
                "url": "http://127.0.0.1:3000/alerts?rule=cpu",
                "fields": [
                    {"name": "Value", "value": "**97.3 %**", "inline": true},
                    {"name": "Condition", "value": "above 90 %", "inline": true},
                    {"name": "Since", "value": format!("<t:{starts}:t> (<t:{starts}:R>)"), "inline": true},
                    {"name": "host", "value": "`web-1`", "inline": true},
                ],
                "footer": {"text": "Skywatch"},
                "timestamp": "2023-11-14T22:13:20.000Z",
            }],
            "allowed_mentions": {"parse": [], "users": [], "roles": []},
        })
    );
    assert_eq!(parts.len(), 1);
}

#[test]
fn states_have_their_looks() {
    let firing = alert("High CPU", "a");
    let with = |change: &dyn Fn(&mut Alert)| {
        let mut alert = firing.clone();
        change(&mut alert);
        let parts = render(&notice(vec![(alert, true)]), &settings(), CONTEXT);
        assert_valid(&parts);
        (parts[0].body["embeds"][0]["title"].as_str().unwrap().to_owned(), text(&parts[0].body))
    };
    assert_eq!(with(&|a| a.kind = Kind::NoData).0, "⚪ No data: High CPU");
    assert_eq!(with(&|a| a.kind = Kind::Error).0, "⚠️ Error: High CPU");
    assert_eq!(
        with(&|a| drop(a.labels.insert("severity".into(), "warning".into()))).0,
        "🟠 Firing: High CPU"
    );
    let (title, text) = with(&|a| {
        a.ends = Some(NOW);
        a.reason = Some("MissingSeries".into());
    });
    assert_eq!(title, "✅ Resolved: High CPU");
    assert!(text.contains("Lasted=5m 3s") && text.contains("its data stopped coming"), "{text}");
}

#[test]
fn many_alerts_are_lines_under_a_heading_with_their_number() {
    let alerts = (0..200).map(|at| (alert("High CPU", &format!("host-{at:03}")), true)).collect();
    let parts = render(&notice(alerts), &settings(), CONTEXT);
    assert_valid(&parts);
    assert!((2..=6).contains(&parts.len()), "{}", parts.len());
    let all = all_text(&parts);
    for at in 0..200 {
        assert_eq!(all.matches(&format!("host-{at:03}")).count(), 1);
    }
    assert!(all.contains("🔴 Firing: High CPU (200)"), "{all}");
    assert!(parts[0].body["content"].as_str().unwrap().starts_with("(1/"));
}

#[test]
fn what_still_fires_is_told_in_short_beside_what_is_new() {
    let parts = render(
        &notice(vec![
            (alert("High CPU", "new"), true),
            (alert("High CPU", "old-1"), false),
            (alert("High CPU", "old-2"), false),
        ]),
        &settings(),
        CONTEXT,
    );
    assert_valid(&parts);
    let embeds = parts[0].body["embeds"].as_array().unwrap();
    assert_eq!(embeds.len(), 2);
    assert_eq!(embeds[1]["title"], "🔴 Still firing: High CPU (2)");
    assert!(embeds[1]["description"].as_str().unwrap().contains("old-2"));
    assert!(embeds[1]["url"].is_null(), "the same link twice would merge the cards");
}

#[test]
fn names_keep_their_underscores_and_nobody_is_pinged_by_a_label() {
    let mut hostile = alert("my_rule_name @everyone", "vm_a_b");
    hostile.labels.insert("note".into(), "`rm -rf` <@&1> @here".into());
    let mut settings = settings();
    settings.mentions = Mentions { text: "<@&42>".into(), roles: vec!["42".into()], ..Mentions::default() };
    let parts = render(&notice(vec![(hostile.clone(), true)]), &settings, CONTEXT);
    assert_valid(&parts);
    let body = &parts[0].body;
    assert_eq!(body["content"], "<@&42>");
    assert_eq!(body["allowed_mentions"], json!({"parse": [], "users": [], "roles": ["42"]}));
    assert_eq!(body["embeds"][0]["title"], "🔴 Firing: my\\_rule\\_name @everyone");
    assert!(text(body).contains("host=`vm_a_b`"));
    assert!(text(body).contains("note=`ˋrm -rfˋ <@&1> @here`"), "{}", text(body));
    // Endings ping nobody.
    hostile.ends = Some(NOW);
    let parts = render(&notice(vec![(hostile, true)]), &settings, CONTEXT);
    assert!(parts[0].body["content"].is_null());
}

#[test]
fn a_title_and_message_of_the_users_own() {
    let mut settings = settings();
    settings.title = Some(
        Template::parse("{{ .Status | toUpper }} {{ .CommonLabels.alertname }}", Scope::Notice).unwrap(),
    );
    settings.message = Some(
        Template::parse(
            "{{ range .Alerts.Firing }}{{ .Labels.host }}: {{ .Value }}\n{{ end }}",
            Scope::Notice,
        )
        .unwrap(),
    );
    let alerts: Vec<(Alert, bool)> =
        (0..300).map(|at| (alert("High CPU", &format!("host-{at:03}")), true)).collect();
    for in_embed in [false, true] {
        settings.message_in_embed = in_embed;
        let parts = render(&notice(alerts.clone()), &settings, CONTEXT);
        assert_valid(&parts);
        let all = all_text(&parts);
        assert!(all.contains("FIRING High CPU") && (in_embed || parts.len() > 1), "{} {all}", parts.len());
        for at in 0..300 {
            assert_eq!(all.matches(&format!("host-{at:03}: 97.3 %")).count(), 1, "split, not cut");
        }
    }
}

#[test]
fn a_note_about_the_alerting_itself() {
    let parts =
        render(&Notice::note("ops", NOW, "Contact point dev does not work".into()), &settings(), CONTEXT);
    assert_valid(&parts);
    assert!(text(&parts[0].body).contains("dev does not work"));
    assert!(parts[0].fallback["content"].as_str().unwrap().contains("dev does not work"));
}

/// Any text but for the letter Q, by which tests find what they have put in.
fn any_text() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        4 => "[a-z0-9 _*`@<>\\\\|\\[\\]\n]{0,30}",
        2 => "\\PC{0,60}",
        1 => Just("🔥".repeat(700)),
        1 => Just("x".repeat(9000)),
        1 => Just("_".repeat(5000)),
        1 => Just(" \u{200b}\t ".to_owned()),
    ];
    text.prop_map(|text| text.replace('Q', "q"))
}

prop_compose! {
    fn any_alert()(
        title in any_text(),
        labels in prop::collection::btree_map(any_text(), any_text(), 0..40),
        annotations in prop::collection::btree_map(
            prop_oneof![Just("summary".to_owned()), Just("description".to_owned()), any_text()], any_text(), 0..4),
        kind in prop_oneof![Just(Kind::Alerting), Just(Kind::NoData), Just(Kind::Error)],
        value in any_text(),
        condition in any_text(),
        reason in prop::option::of(any_text()),
        resolved in any::<bool>(),
        changed in prop::bool::weighted(0.7),
        start in -1_000_000i64..2_000_000_000_000,
    ) -> (Alert, bool) {
        let alert = Alert {
            id: String::new(), rule_uid: title.clone(), title, kind, reason, labels, annotations, value,
            values: BTreeMap::new(), condition, starts: Time::from_millis(start), ends: resolved.then_some(NOW),
        };
        (alert, changed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_alerts_make_valid_messages_and_none_is_missing(
        alerts in prop_oneof![3 => prop::collection::vec(any_alert(), 1..14), 1 => prop::collection::vec(any_alert(), 14..60)],
        mention in any::<bool>(),
        custom in prop::option::weighted(0.3, (any::<bool>(), any_text())),
    ) {
        let count = alerts.len();
        // A mark that sorts before all labels, so that it is shown whatever is cut, in a letter no generated text has.
        let alerts: Vec<(Alert, bool)> = alerts.into_iter().enumerate().map(|(at, (mut alert, changed))| {
            alert.id = format!("id{at}");
            alert.labels.insert(" mark".to_owned(), format!("Q{at}Q"));
            alert.labels.retain(|name, _| name.as_str() >= " mark");
            (alert, changed)
        }).collect();
        let mut settings = settings();
        if mention {
            settings.mentions = Mentions { text: "<@1>".into(), users: vec!["1".into()], ..Mentions::default() };
        }
        let is_custom = custom.is_some();
        if let Some((in_embed, extra)) = custom {
            settings.message_in_embed = in_embed;
            settings.title = Template::parse(&extra, Scope::Notice).ok();
            settings.message = Template::parse("{{ range .Alerts }}{{ .Labels }}\n{{ end }}", Scope::Notice).ok();
        }
        let parts = render(&notice(alerts), &settings, CONTEXT);
        assert_valid(&parts);
        if !is_custom {
            let all = all_text(&parts);
            for at in 0..count {
                prop_assert_eq!(all.matches(&format!("Q{at}Q")).count(), 1, "alert {} of {}", at, count);
            }
        }
    }

    #[test]
    fn split_texts_lose_nothing(text in "\\PC{0,200}", max in 2usize..50) {
        let pieces = split(&text, max);
        prop_assert!(pieces.iter().all(|piece| units(piece) <= max));
        if !text.trim().is_empty() {
            let strip = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(strip(&pieces.concat()), strip(&text));
        }
    }
}
