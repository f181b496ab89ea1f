//! What files lower to, and what they are refused for.

use std::time::Duration;

use super::*;
use crate::{
    expression::Evaluator,
    rule::{ErrorPolicy, GroupBy, NoDataPolicy},
};

struct Fixed;

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "DISCORD_WEBHOOK" => Some("https://discord.com/api/webhooks/1/s3cret-token".to_owned()),
            "BAD_HOOK" => Some("discord.com/api/webhooks/1/s3cret-token".to_owned()),
            "TEAM" => Some("ops".to_owned()),
            _ => None,
        }
    }
    fn file(&self, path: &str) -> std::io::Result<String> {
        if path == "/hook" {
            Ok("https://discord.com/api/webhooks/2/s3cret-file\n".into())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
}

fn parse(text: &str) -> Result<AlertConfig, Vec<String>> {
    Sources::from_texts([("alerts.yaml", text)])
        .parse(&Fixed)
        .map_err(|error| error.problems.iter().map(ToString::to_string).collect())
}

const SHORT: &str = "
rules:
  - name: High CPU
    query: SELECT 100 - mean(usage_idle) FROM cpu WHERE cpu='cpu-total' AND time > now() - 1m GROUP BY host
    database: telegraf
    above: 90
    for: 1m
    interval: 10s
    notify: ops
contact_points:
  - name: ops
    type: discord
    url: $DISCORD_WEBHOOK
";

#[test]
fn the_short_form() {
    let config = parse(SHORT).unwrap();
    let rule = &config.rules[0];
    assert_eq!((rule.uid.as_str(), rule.title.as_str()), ("high-cpu", "High CPU"));
    assert_eq!((rule.hold, rule.interval), (Duration::from_secs(60), Duration::from_secs(10)));
    assert_eq!(rule.first_query().unwrap().1.database.as_deref(), Some("telegraf"));
    let NodeKind::Threshold { evaluator, .. } = &rule.node("condition").unwrap().kind else {
        panic!("{rule:?}")
    };
    assert_eq!(*evaluator, Evaluator::Above(90.0));
    assert_eq!((rule.no_data, rule.on_error), (NoDataPolicy::NoData, ErrorPolicy::Error));
    assert_eq!(rule.notify[0].receiver, "ops");
    assert_eq!(rule.condition_text(), "above 90");
    let url = &config.contact_points[0].integrations[0].discord.url;
    assert_eq!(url.expose().as_str(), "https://discord.com/api/webhooks/1/s3cret-token");
    assert_eq!(config.policy.unwrap().receiver, "ops");
}

#[test]
fn a_variable_that_is_not_set_is_one_problem_however_many_rules_need_it() {
    let short = SHORT.replace("$DISCORD_WEBHOOK", "$DISCORD_WEBHOOK_URL");
    let grafana = "
contactPoints: [{name: ops, receivers: [{uid: a, type: discord, settings: {url: $DISCORD_WEBHOOK_URL}}]}]
policies: [{receiver: ops}]
";
    for (text, place) in [(short.as_str(), "13:10"), (grafana, "2:81")] {
        let problems = parse(text).unwrap_err();
        let expected = "\"url\": environment variable DISCORD_WEBHOOK_URL is not set: export it first \
                        (a dollar sign itself is written $$)";
        assert_eq!(problems, [format!("alerts.yaml:{place}: {expected}")]);
    }
}

#[test]
fn the_example_that_ships_is_right() {
    let config = Sources::from_texts([("alerts.example.yaml", crate::EXAMPLE_RULES)]).parse(&Fixed).unwrap();
    let names: Vec<&str> = config.rules.iter().map(|rule| rule.title.as_str()).collect();
    assert_eq!(
        names,
        [
            "High CPU",
            "Memory almost full",
            "Disk almost full",
            "VM not running",
            "Agent silent",
            "Behind the log"
        ]
    );
    assert!(config.warnings.is_empty());
}

const GRAFANA: &str = r#"
apiVersion: 1
groups:
  - orgId: 1
    name: hosts
    folder: Cloud
    interval: 60s
    rules:
      - uid: cpu1
        title: CPU too high
        condition: C
        data:
          - refId: A
            relativeTimeRange: { from: 600, to: 0 }
            datasourceUid: influx
            model:
              query: SELECT mean("usage_user") FROM "cpu" WHERE $timeFilter GROUP BY time($__interval), "host" fill(null)
              rawQuery: true
              intervalMs: 10000
              maxDataPoints: 43200
              refId: A
          - refId: C
            datasourceUid: __expr__
            model:
              type: threshold
              expression: M
              conditions:
                - evaluator: { params: [80], type: gt }
                  unloadEvaluator: { params: [70], type: lt }
          - refId: M
            datasourceUid: __expr__
            model: { type: math, expression: "$B * 100" }
          - refId: B
            datasourceUid: __expr__
            model: { type: reduce, expression: A, reducer: mean, settings: { mode: replaceNN, replaceWithValue: 0 } }
        noDataState: OK
        for: 5m
        keepFiringFor: 1m
        annotations: { summary: "{{ $labels.host }} at {{ $values.M.Value }} of ${NOT_REPLACED}" }
        labels: { team: $TEAM, on: "{{ $$labels.host }}" }
        isPaused: false
contactPoints:
  - orgId: 1
    name: discord
    receivers:
      - uid: d1
        type: discord
        settings: { url: "$__file{/hook}", message: '{{ template "default.message" . }} <@&42>', use_discord_username: true }
        disableResolveMessage: true
policies:
  - orgId: 1
    receiver: discord
    group_by: ["grafana_folder", "alertname"]
    group_wait: 5s
    routes:
      - object_matchers: [["team", "=", "ops"], [severity, "=~", "crit.*"]]
        group_by: ["..."]
        group_interval: 1m
        continue: true
        routes:
          - matchers: ['host != "db"']
"#;

#[test]
fn grafanas_files() {
    let config = parse(GRAFANA).unwrap();
    let rule = &config.rules[0];
    let order: Vec<&str> = rule.nodes.iter().map(|node| node.ref_id.as_str()).collect();
    assert_eq!(order, ["A", "B", "M", "C"], "each after what it reads");
    assert_eq!((rule.no_data, rule.on_error), (NoDataPolicy::Ok, ErrorPolicy::Alerting));
    assert_eq!((rule.hold.as_secs(), rule.keep_firing.as_secs(), rule.interval.as_secs()), (300, 60, 60));
    assert_eq!(rule.labels["team"].source(), "ops");
    assert_eq!(rule.labels["on"].source(), "{{ $labels.host }}");
    assert!(rule.annotations["summary"].source().contains("${NOT_REPLACED}"), "annotations stay as they are");
    let (_, query) = rule.first_query().unwrap();
    let text = crate::evaluate::query_text(query, crate::Time::from_millis(1_000_000));
    assert!(
        text.contains("WHERE time >= 400000ms and time <= 1000000ms GROUP BY time(10s), \"host\""),
        "{text}"
    );
    let integration = &config.contact_points[0].integrations[0];
    assert_eq!((integration.id.as_str(), integration.send_resolved), ("discord/d1", false));
    assert_eq!(integration.discord.username, None);
    assert_eq!(integration.discord.mentions.roles, ["42"]);
    let root = config.policy.unwrap();
    let child = &root.routes[0];
    assert_eq!((child.receiver.as_str(), child.go_on, &child.group_by), ("discord", true, &GroupBy::All));
    assert_eq!(
        (child.group_wait.as_secs(), child.group_interval.as_secs(), child.repeat_interval.as_secs()),
        (5, 60, 14_400)
    );
    assert_eq!(child.routes[0].matchers[0].to_string(), "host!=\"db\"");
}

/// The model of a rule whose query was drawn, and beside it what was typed before; `more` is added.
fn drawn(more: &str) -> String {
    let query = r#"query: SELECT mean("usage_user") FROM "cpu" WHERE $timeFilter GROUP BY time($__interval), "host" fill(null)"#;
    let visual = format!(
        "query: SELECT stale FROM before
              measurement: cpu
              orderByTime: ASC
              resultFormat: time_series
              policy: default
              {more}"
    );
    GRAFANA.replace(query, &visual).replace("rawQuery: true", "rawQuery: false")
}

#[test]
fn a_query_of_the_visual_editor_is_put_into_words() {
    let select = |parts: &str| format!("select: [[{parts}]]");
    let field = "{type: field, params: [usage]}";
    for (more, expected) in [
        (
            format!(
                "groupBy: [{{type: time, params: [$__interval]}}, {{type: tag, params: [\"host::tag\"]}}, {{type: fill, params: [\"null\"]}}]
              {}
              tags: [{{key: \"cpu::tag\", operator: '=', value: cpu-total}}]",
                select(&format!("{field}, {{type: mean, params: []}}, {{type: math, params: [' / 100']}}, {{type: alias, params: [busy]}}"))
            ),
            r#"SELECT mean("usage")  / 100 AS "busy" FROM "cpu" WHERE "cpu"::tag = 'cpu-total' AND $timeFilter GROUP BY time($__interval), "host"::tag fill(null) ORDER BY time ASC"#,
        ),
        (
            format!(
                "tags: [{{key: a, value: /x.*/}}, {{key: b, operator: '!=', value: \"o'k\", condition: OR}}, {{key: 'c::field', operator: '>', value: \"5\"}}, {{key: d, operator: Is, value: 'True'}}, {{key: 'e::tag', operator: Is Not, value: \"1\"}}, {{key: f, operator: '=', value: '/^whole$/'}}]
              {}
              limit: \"10\"
              slimit: 5
              tz: Europe/Berlin",
                select(&format!("{field}, {{type: percentile, params: [95]}}], [{{type: field, params: ['*']}}"))
            ),
            r#"SELECT percentile("usage", 95), * FROM "cpu" WHERE ("a" =~ /x.*/ OR "b" != 'o\'k' AND "c"::field > 5 AND "d" = true AND "e"::tag != '1' AND "f" = 'whole') AND $timeFilter ORDER BY time ASC limit 10 slimit 5 tz('Europe/Berlin')"#,
        ),
    ] {
        let config = parse(&drawn(&more)).unwrap();
        assert_eq!(config.rules[0].first_query().unwrap().1.text, expected);
    }
    let regex = drawn(&select(field)).replace("measurement: cpu", "measurement: /^cpu/");
    let text = parse(&regex).unwrap().rules[0].first_query().unwrap().1.text.clone();
    assert_eq!(text, r#"SELECT "usage" FROM /^cpu/ WHERE $timeFilter ORDER BY time ASC"#);
    let problems = parse(&drawn(&select("{type: sqrt, params: []}"))).unwrap_err().join("\n");
    assert!(problems.contains("\"sqrt\" is no part of a column"), "{problems}");
}

#[test]
fn both_forms_in_one_file_and_several_files() {
    let sources = Sources::from_texts([("a.yaml", SHORT.to_owned()), ("b.yaml", GRAFANA.to_owned())]);
    let config = sources.parse(&Fixed).unwrap();
    assert_eq!((config.rules.len(), config.contact_points.len()), (2, 2));
}

/// Every problem of a file is reported, with its place and what is allowed.
#[test]
fn problems_say_where_what_and_what_is_allowed() {
    let rule = |line: &str| format!("rules:\n  - name: X\n    query: SELECT 1\n    above: 1\n    {line}\n");
    for (text, needles) in [
        (rule("abov: 2"), vec!["alerts.yaml:5:5: unknown key \"abov\" in a rule", "did you mean \"above\"?"]),
        (rule("zzzzzz: 2"), vec!["alerts.yaml:5:5", "allowed are name, query, above"]),
        (rule("for: 5 minutes"), vec!["alerts.yaml:5:10: \"for\"", "30s, 5m or 1h30m"]),
        (rule("interval: 10ms"), vec!["at least 1s"]),
        (rule("below: 3"), vec!["one threshold", "above and below"]),
        (rule("notify: nobody"), vec!["alerts.yaml:2:5: no contact point is named \"nobody\"; none is defined"]),
        (rule("no_data: perhaps"), vec!["alerts.yaml:5:14", "no_data, alert, ok, keep"]),
        (rule("paused: maybe"), vec!["true or false"]),
        (rule("reduce: best"), vec!["last, mean"]),
        (rule("recover: 5"), vec!["must not be above"]),
        (rule("summary: '{{ graph }}'"), vec!["alerts.yaml:5:14", "\"graph\" is not known"]),
        (rule("labels: {x: '{{ $labels.x }}'}"), vec!["$$labels"]),
        (rule("labels: [a]"), vec!["set of names and texts"]),
        (rule("severity: $NOPE"), vec!["NOPE is not set"]),
        (rule("group_wait: 5s"), vec!["without \"notify\""]),
        ("rules:\n  - above: 1\n".into(), vec!["needs \"name\"", "needs \"query\""]),
        ("rules:\n  - name: X\n    query: SELECT 1\n".into(), vec!["needs a threshold", "above, below"]),
        ("rules:\n  - name: X\n    query: SELECT 1\n    outside: [5]\n".into(), vec!["[10, 90]"]),
        ("rules:\n  - name: X\n    query: SELECT 1\n    above: high\n".into(), vec!["alerts.yaml:4:12", "must be a number, not \"high\""]),
        ("rules: 5\n".into(), vec!["must be a list"]),
        ("rule: []\n".into(), vec!["did you mean \"rules\"?"]),
        ("- a\n".into(), vec!["alerts.yaml:1:1", "a set of keys"]),
        ("rules:\n\t- name: x\n".into(), vec!["alerts.yaml:2:", "not valid YAML"]),
        ("templates: [{name: x}]\n".into(), vec!["alerts.yaml:1:13: a template needs \"template\""]),
        ("templates: [{name: x, template: '{{ nope }}'}]\n".into(), vec!["alerts.yaml:1:33", "\"nope\" is not known"]),
        (
            "templates: [{name: x, template: a}, {name: y, template: '{{ define \"x\" }}{{ end }}'}]\n".into(),
            vec!["a second template is named \"x\""],
        ),
        ("templates: [{name: x, template: 'a {{ define \"b\" }}{{ end }}'}]\n".into(), vec!["\"a\" stands outside of {{ define }}"]),
        (
            "contact_points: [{name: a, url: $DISCORD_WEBHOOK, title: '{{ template \"x\" . }}'}]\n".into(),
            vec!["no template is named \"x\"; there are __text_alert_list, default.message, default.title"],
        ),
        ("muteTimes: [{name: x}]\n".into(), vec!["alerts.yaml:1:13: mute timing \"x\" needs \"time_intervals\""]),
        (
            "muteTimes: [{name: x, time_intervals: [{weekday: [monday]}]}]\n".into(),
            vec!["unknown key \"weekday\" in a time interval", "did you mean \"weekdays\"?"],
        ),
        (
            "muteTimes: [{name: x, time_intervals: [{weekdays: ['friday:monday'], months: [mai], days_of_month: [0], years: [x]}]}]\n".into(),
            vec!["the week begins with sunday", "\"mai\" is no month", "\"0\" is no day of the month", "\"x\" is no year"],
        ),
        (
            "muteTimes: [{name: x, time_intervals: [{times: [{start_time: '22:00', end_time: '06:00'}], location: Mars}]}]\n".into(),
            vec!["for one over midnight write two", "\"Mars\" is no time zone"],
        ),
        (
            "muteTimes: [{name: x, time_intervals: [{years: [2026]}]}, {name: x, time_intervals: [{years: [2026]}]}]\n".into(),
            vec!["a second mute timing is named \"x\""],
        ),
        (rule("mute_time_intervals: [nights]"), vec!["without \"notify\""]),
        (
            GRAFANA.replace("continue: true", "active_time_intervals: [office]"),
            vec!["no mute timing is named \"office\"; none is defined"],
        ),
        (
            "contact_points: [{name: a, url: $DISCORD_WEBHOOK}]\npolicies: [{receiver: a, mute_time_intervals: [x]}]\n".into(),
            vec!["the root policy is never muted"],
        ),
        ("contact_points: [{name: a, type: email, url: $DISCORD_WEBHOOK}]\n".into(), vec!["\"email\" is not supported; supported is discord"]),
        ("contact_points: [{name: a}]\n".into(), vec!["needs \"url\""]),
        ("contact_points: [{name: a, url: $DISCORD_WEBHOOK}, {name: a, url: $DISCORD_WEBHOOK}]\n".into(), vec!["second contact point"]),
        ("contact_points: [{name: a, url: $DISCORD_WEBHOOK, username: My Discord}]\n".into(), vec!["may not contain"]),
        ("contact_points: [{name: a, url: $DISCORD_WEBHOOK, mention: everybody}]\n".into(), vec!["no mention"]),
        ("contact_points: [{name: a, url: $DISCORD_WEBHOOK, title: '{{ .Alert }}'}]\n".into(), vec![".Alerts"]),
        (
            "contact_points: [{name: a, url: $DISCORD_WEBHOOK}, {name: b, url: $DISCORD_WEBHOOK}]\nrules: [{name: X, query: q, above: 1}]\n".into(),
            vec!["does not say whom to notify"],
        ),
        (
            "rules: [{name: X, query: q, above: 1}, {name: x, query: q, above: 1}]\n".into(),
            vec!["has the uid \"x\""],
        ),
        (GRAFANA.replace("condition: C", "condition: A"), vec!["time series"]),
        (GRAFANA.replace("condition: C", "condition: Z"), vec!["\"Z\"", "A, C, M, B"]),
        (GRAFANA.replace("$B * 100", "$C * 100"), vec!["in a circle"]),
        (GRAFANA.replace("$B * 100", "$A * 100"), vec!["put a reduce expression"]),
        (GRAFANA.replace("$B * 100", "$Q * 100"), vec!["\"Q\", which is not there"]),
        (GRAFANA.replace("type: threshold", "type: classic_conditions"), vec!["reduce, math and threshold"]),
        (GRAFANA.replace("type: gt", "type: above"), vec!["gt, lt"]),
        (GRAFANA.replace("reducer: mean", "reducer: best"), vec!["no reducer"]),
        (GRAFANA.replace("query: SELECT", "measurement: SELECT"), vec!["needs \"select\""]),
        (GRAFANA.replace("query: SELECT", "queries: SELECT"), vec!["needs a query", "\"measurement\""]),
        (GRAFANA.replace("query: SELECT mean(\"usage_user\") FROM", "query: from(bucket:\"telegraf\")"), vec!["is in Flux", "write the query in InfluxQL"]),
        (GRAFANA.replace("rawQuery: true", "rawQuery: false"), vec!["needs a query"]),
        (rule("").replace("SELECT 1", "from(bucket:\"telegraf\")"), vec!["alerts.yaml:3:12", "is in Flux"]),
        (GRAFANA.replace("isPaused", "paused"), vec!["unknown key \"paused\""]),
        (GRAFANA.replace("receiver: discord", "receiver: nobody"), vec!["no contact point is named \"nobody\"; there are discord"]),
        (GRAFANA.replace("\"=~\", \"crit.*\"", "\"=~\", \"(\""), vec!["no regular expression"]),
        (GRAFANA.replace("group_wait: 5s", "repeat_interval: 0s"), vec!["must not be 0"]),
        (GRAFANA.replace("        keepFiringFor: 1m", "        record: {metric: x}"), vec!["recording rules are not supported yet"]),
    ] {
        let problems = parse(&text).expect_err(&text);
        for needle in needles {
            assert!(problems.iter().any(|problem| problem.contains(needle)), "{needle:?} is not in {problems:#?}\n{text}");
        }
    }
}

#[test]
fn a_wrong_webhook_is_named_without_its_secret() {
    for line in ["url: $BAD_HOOK", "url: 'https://discord.com/ s3cret-token'", "url: 'http:///s3cret-token'"]
    {
        let text = format!("contact_points:\n  - name: ops\n    {line}\n");
        let problems = parse(&text).unwrap_err().join("\n");
        assert!(
            problems.starts_with("alerts.yaml:3:10: contact point \"ops\": the webhook address"),
            "{problems}"
        );
        assert!(!problems.contains("s3cret"), "{problems}");
    }
    let config = parse(SHORT).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn texts_may_change_without_another_fingerprint_and_conditions_may_not() {
    let base = parse(SHORT).unwrap().rules[0].fingerprint();
    for (from, to, same) in [
        ("notify: ops", "notify: ops\n    summary: hello", true),
        ("interval: 10s", "interval: 20s", true),
        ("above: 90", "above: 91", false),
        ("for: 1m", "for: 2m", false),
        ("usage_idle", "usage_user", false),
        ("notify: ops", "notify: ops\n    labels: {a: b}", false),
    ] {
        let other = parse(&SHORT.replace(from, to)).unwrap().rules[0].fingerprint();
        assert_eq!(base == other, same, "{to}");
    }
}

/// A webhook that was mended in its own file is one that is used.
#[test]
fn a_file_that_values_come_from_is_part_of_the_fingerprint() {
    struct Hook(&'static str);
    impl Environment for Hook {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }
        fn file(&self, path: &str) -> std::io::Result<String> {
            assert_eq!(path, "/hook");
            Ok(self.0.to_owned())
        }
    }
    let sources = Sources::from_texts([("a.yaml", GRAFANA)]);
    let with = |hook| sources.fingerprint(&Hook(hook));
    assert_eq!(with("https://a"), with("https://a"));
    assert_ne!(with("https://a"), with("https://b"));
}

#[test]
fn files_and_directories_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.yml"), SHORT).unwrap();
    fs::write(dir.path().join("a.json"), "{\"rules\": [{\"name\": \"J\", \"query\": \"q\", \"above\": 1}]}")
        .unwrap();
    fs::write(dir.path().join("notes.txt"), "rules: 5").unwrap();
    let config = Sources::read(dir.path()).unwrap().parse(&Fixed).unwrap();
    let names: Vec<&str> = config.rules.iter().map(|rule| rule.title.as_str()).collect();
    assert_eq!(names, ["J", "High CPU"]);
    let error = Sources::read(&dir.path().join("nope.yaml")).unwrap_err().to_string();
    assert!(error.contains("nope.yaml") && error.contains("cannot be read"), "{error}");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(at in 0usize..2000, junk in "[-:{}\\[\\]'\"$&* \na-c]{0,12}") {
        for text in [SHORT, GRAFANA] {
            let mut text = text.to_owned();
            let at = at.min(text.len());
            if text.is_char_boundary(at) {
                text.insert_str(at, &junk);
                let _outcome = parse(&text);
            }
        }
    }
}

#[test]
fn mute_timings_are_read_and_not_inherited() {
    let text = r#"
contact_points: [{name: a, url: $DISCORD_WEBHOOK}]
muteTimes:
  - orgId: 1
    name: nights
    time_intervals:
      - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]
        weekdays: ["monday:friday"]
        days_of_month: ["1:5", "-3:-1"]
        months: ["1:3", december]
        years: ["2026:2027", 2030]
        location: Europe/Berlin
policies:
  - receiver: a
    routes:
      - matchers: ['team = "web"']
        mute_time_intervals: [nights]
        routes:
          - matchers: ['severity = "critical"']
rules: [{name: X, query: SELECT 1, above: 1, notify: a, mute_time_intervals: nights, active_time_intervals: [nights]}]
"#;
    let config = parse(text).unwrap();
    let [timing] = config.mute_timings.as_slice() else { panic!("{:?}", config.mute_timings) };
    let [interval] = timing.intervals.as_slice() else { panic!("{timing:?}") };
    assert_eq!((timing.name.as_str(), interval.zone.iana_name()), ("nights", Some("Europe/Berlin")));
    assert_eq!(interval.times, [(22 * 60, 24 * 60), (0, 6 * 60)]);
    assert_eq!((&interval.weekdays[..], &interval.days_of_month[..]), (&[1..=5][..], &[1..=5, -3..=-1][..]));
    assert_eq!(
        (&interval.months[..], &interval.years[..]),
        (&[1..=3, 12..=12][..], &[2026..=2027, 2030..=2030][..])
    );
    let root = config.policy.unwrap();
    let web = &root.routes[0];
    assert_eq!(
        (web.mute_times.mute.as_slice(), web.mute_times.active.len()),
        (&["nights".to_owned()][..], 0)
    );
    assert!(root.mute_times.is_empty() && web.routes[0].mute_times.is_empty());
    let own = &config.rules[0].notify[0].mute_times;
    assert_eq!(
        (own.mute.as_slice(), own.active.as_slice()),
        (&["nights".to_owned()][..], &["nights".to_owned()][..])
    );
}

#[test]
fn contact_points_include_templates_of_any_file() {
    let points = "contact_points: [{name: a, url: $DISCORD_WEBHOOK, title: '{{ template \"x\" . }}', message: '{{ template \"plain\" . }}'}]\n";
    let templates = "templates:
  - orgId: 1
    name: some
    template: |
      {{ define \"x\" }}{{ template \"y\" .Status }}{{ end }}
      {{ define \"y\" }}is {{ . }}{{ end }}
  - { orgId: 1, name: plain, template: 'status: {{ .Status }}' }
";
    let sources = Sources::from_texts([("points.yaml", points), ("templates.yaml", templates)]);
    let config = sources.parse(&Fixed).unwrap();
    let discord = &config.contact_points[0].integrations[0].discord;
    let data = crate::template::Value::map([("Status", crate::template::Value::Text("firing".into()))]);
    let render = |template: &Option<crate::Template>| {
        template.as_ref().unwrap().render(&data, &BTreeMap::new()).unwrap()
    };
    assert_eq!(
        (render(&discord.title).as_str(), render(&discord.message).as_str()),
        ("is firing", "status: firing")
    );
}
