//! What templates render to, and what they refuse.

use super::*;

fn rule_data() -> (Value, BTreeMap<&'static str, Value>) {
    let labels = Value::map([("host", Value::Text("web-1".into())), ("disk", Value::Text("/var".into()))]);
    let fields = [("Value".to_owned(), Value::Number(93.456)), ("Labels".to_owned(), labels.clone())];
    let b = Value::Printed("93.456".into(), fields.into());
    let values = Value::map([("B", b)]);
    let value = Value::Quantity(93.456, "93.456".into());
    let root = Value::map([("Labels", labels.clone()), ("Values", values.clone()), ("Value", value.clone())]);
    (root, [("labels", labels), ("values", values), ("value", value)].into())
}

fn rule(source: &str) -> Result<String, String> {
    let (root, variables) = rule_data();
    let template = Template::parse(source, Scope::Rule).map_err(|error| error.to_string())?;
    template.render(&root, &variables).map_err(|error| error.to_string())
}

#[test]
fn values_labels_and_functions() {
    for (source, expected) in [
        ("plain", "plain"),
        ("{{ $labels.host }} is busy", "web-1 is busy"),
        ("{{$labels.host}}:{{.Labels.disk}}", "web-1:/var"),
        ("{{ $values.B.Value }}", "93.456"),
        ("{{ $values.B.Labels.host }}", "web-1"),
        ("{{ $value }}", "93.456"),
        ("{{ printf \"%.2f\" $values.B.Value }} %", "93.46 %"),
        ("{{ $value | printf \"%.1f\" }}", "93.5"),
        ("{{ printf \"%5d|%-5d|%05d|%+d\" 42 42 42 42 }}", "   42|42   |00042|+42"),
        ("{{ printf \"%s %q %v%%\" \"a\" \"b\" 1.5 }}", "a \"b\" 1.5%"),
        ("{{ printf \"%.3g\" 1234567.0 }} {{ printf \"%e\" 1500 }}", "1.23e+06 1.500000e+03"),
        ("{{ humanize 12345 }} {{ humanize 0.0125 }} {{ humanize 0 }}", "12.35k 12.5m 0"),
        ("{{ humanize1024 1536 }} {{ humanize1024 1073741824 }}", "1.5ki 1Gi"),
        ("{{ humanizePercentage 0.9512 }}", "95.12%"),
        (
            "{{ humanizeDuration 93784 }} {{ humanizeDuration 0.02 }} {{ humanizeDuration 59.5 }}",
            "1d 2h 3m 4s 20ms 59.5s",
        ),
        ("{{ humanizeTimestamp 0 }}", "1970-01-01T00:00:00.000Z"),
        ("{{ toUpper $labels.host }} {{ title \"a long way\" }}", "WEB-1 A Long Way"),
        ("{{ reReplaceAll \"web-(.*)\" \"node $1\" $labels.host }}", "node 1"),
        ("{{ stripPort \"db:8086\" }} {{ match \"^w\" $labels.host }}", "db true"),
        ("{{ if gt $value 90.0 }}high{{ else if gt $value 50.0 }}mid{{ else }}low{{ end }}", "high"),
        ("{{ if and (gt $value 95.0) (eq $labels.host \"web-1\") }}a{{ else }}b{{ end }}", "b"),
        ("{{ range $name, $value := $labels }}{{ $name }}={{ $value }};{{ end }}", "disk=/var;host=web-1;"),
        (
            "{{ with $labels.host }}on {{ . }}{{ end }}{{ with $labels.nope }}x{{ else }}-{{ end }}",
            "on web-1-",
        ),
        ("{{ $x := len $labels }}{{ $x }} labels", "2 labels"),
        ("a  {{- 1 -}}  b {{/* a }} comment */}}c", "a1b c"),
        ("{{ $labels.nope }}", "[no value]"),
        ("{{ index $labels \"nope\" }}-", "-"),
        ("{{ $values.B }} {{ humanize $values.B }}", "93.456 93.46"),
        ("{{ stripDomain \"web.example.org:80\" }} {{ stripDomain \"10.0.0.1\" }}", "web:80 10.0.0.1"),
        ("{{ (toTime 0).Format \"2006-01-02\" }}", "1970-01-01"),
        ("{{ index $labels \"host\" }} {{ (index $values \"B\").Value }}", "web-1 93.456"),
        ("{{ `raw }} text` }}", "raw }} text"),
        ("{{ 1e21 }} {{ 0.00001 }} {{ 1000000 }}", "1e+21 1e-05 1000000"),
    ] {
        assert_eq!(rule(source), Ok(expected.to_owned()), "{source}");
    }
}

#[test]
fn notices_have_what_grafanas_have() {
    let at = crate::Time::from_millis(1_709_622_489_120);
    let labels = Value::map([("host", Value::Text("web-1".into())), ("rack", Value::Text("r2".into()))]);
    let alert = Value::map([
        ("Labels", labels.clone()),
        ("StartsAt", Value::moment(at)),
        ("EndsAt", Value::Text("".into())),
    ]);
    let group = Value::map([("host", Value::Text("web-1".into()))]);
    let root =
        Value::map([("Alerts", Value::List(vec![alert])), ("CommonLabels", labels), ("GroupLabels", group)]);
    for (source, expected) in [
        ("[{{ .CommonLabels.nope }}]", "[]"),
        ("[{{ toUpper .CommonLabels.nope }}{{ .CommonLabels.nope | printf \"%s\" }}]", "[]"),
        ("{{ if eq .CommonLabels.nope \"\" }}none{{ end }}{{ range .CommonLabels.nope }}x{{ end }}", "none"),
        ("{{ join \",\" .CommonLabels.SortedPairs.Names }}", "host,rack"),
        ("{{ join \",\" .CommonLabels.SortedPairs.Values }}", "web-1,r2"),
        ("{{ (.CommonLabels.Remove .GroupLabels.Names).Values }}", "[r2]"),
        ("{{ with .CommonLabels.Remove (stringSlice \"rack\") }}{{ .Names | join \" \" }}{{ end }}", "host"),
        ("{{ range .Alerts }}{{ .StartsAt }}{{ end }}", "2024-03-05T07:08:09.120Z"),
        ("{{ range .Alerts }}{{ .StartsAt.Format \"02 Jan 2006 15:04\" }}{{ end }}", "05 Mar 2024 07:08"),
        ("{{ range .Alerts }}{{ .StartsAt.Unix }} {{ .EndsAt.Format \"15:04\" }}.{{ end }}", "1709622489 ."),
        (
            "{{ range .Alerts }}{{ .StartsAt | tz \"Europe/Berlin\" | date \"15:04 MST\" }}{{ end }}",
            "08:08 CET",
        ),
        ("{{ range .Alerts }}{{ (.StartsAt | tz \"Asia/Tokyo\").Format \"15:04\" }}{{ end }}", "16:08"),
    ] {
        let template = Template::parse(source, Scope::Notice).unwrap();
        assert_eq!(template.render(&root, &BTreeMap::new()), Ok(expected.to_owned()), "{source}");
    }
    for (source, needle) in [
        ("{{ .CommonLabels.Remove 1 }}", "no method Remove"),
        ("{{ range .Alerts }}{{ .StartsAt | tz \"Nowhere\" }}{{ end }}", "no time zone"),
    ] {
        let template = Template::parse(source, Scope::Notice).unwrap();
        let error = template.render(&root, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
}

#[test]
fn what_is_not_known_is_named_at_load() {
    for (source, needle) in [
        ("{{ graphLink \"x\" }}", "graphLink"),
        ("{{ $lables.host }}", "$lables"),
        ("{{ .Label.host }}", ".Label "),
        ("{{ define \"x\" }}{{ end }}", "define"),
        ("{{ template \"default.title\" . }}", "templates of notices"),
        ("{{ $labels.host", "not closed"),
        ("{{ if $labels.host }}", "no {{ end }}"),
        ("{{ end }}", "without a block"),
        ("{{ printf }}", "1 or more"),
        ("{{ eq 1 }}", "takes 2"),
        ("{{ $value | 5 }}", "only a function"),
        ("{{ }}", "empty"),
        ("{{ (1 }}", "not closed"),
        ("{{ 1.2.3 }}", "no number"),
        ("{{ % }}", "'%'"),
        ("{{ \"open }}", "not closed"),
    ] {
        let error = rule(source).expect_err(source);
        assert!(error.contains(needle), "{source}: {error}");
    }
}

#[test]
fn data_that_does_not_fit_is_an_error_of_rendering_and_stays_visible() {
    assert!(rule("{{ humanize $labels.host }}").unwrap_err().contains("no number"));
    let (root, variables) = rule_data();
    let template = Template::parse("x {{ printf \"%d\" $labels.host }}", Scope::Rule).unwrap();
    let text = template.render_or_say(&root, &variables);
    assert!(text.contains("template error") && text.contains("$labels.host"), "{text}");
}

#[test]
fn rendering_is_bounded() {
    let list = Value::List(vec![Value::Number(1.0); 1000]);
    let root = Value::map([("Alerts", list)]);
    let nested = "{{ range .Alerts }}{{ range $.Alerts }}{{ range $.Alerts }}{{ end }}{{ end }}{{ end }}";
    let template = Template::parse(nested, Scope::Notice).unwrap();
    assert!(template.render(&root, &BTreeMap::new()).unwrap_err().to_string().contains("steps"));
}

#[test]
fn the_default_templates_of_notices() {
    let alert = |status: &str| {
        Value::map([
            ("Status", Value::Text(status.into())),
            ("Labels", Value::map([("host", Value::Text("a".into()))])),
            ("Annotations", Value::map([("summary", Value::Text("busy".into()))])),
            ("ValueString", Value::Text("93".into())),
        ])
    };
    let root = Value::map([
        ("Alerts", Value::List(vec![alert("firing"), alert("firing"), alert("resolved")])),
        ("GroupLabels", Value::map([("alertname", Value::Text("High CPU".into()))])),
    ]);
    let render = |source: &str| {
        Template::parse(source, Scope::Notice).unwrap().render(&root, &BTreeMap::new()).unwrap()
    };
    assert_eq!(render("{{ template \"default.title\" . }}"), "[FIRING:2, RESOLVED:1] High CPU");
    let message = render("{{ template \"default.message\" . }}");
    assert!(
        message
            .starts_with("**Firing**\n\nValue: 93\nLabels:\n - host = a\nAnnotations:\n - summary = busy\n")
    );
    assert_eq!(message.matches("Value: 93").count(), 3);
    assert!(message.contains("**Resolved**"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(source in "(\\{\\{|\\}\\}|\\$labels|\\.|[a-z\"`()|:=,%-]|if|range|end|else| ){0,40}") {
        let (root, variables) = rule_data();
        for scope in [Scope::Rule, Scope::Notice] {
            if let Ok(template) = Template::parse(&source, scope) {
                template.render_or_say(&root, &variables);
            }
        }
    }
}

#[test]
fn named_templates_include_each_other_within_bounds() {
    let group = |name, text| Group { name, text };
    let groups = [
        group("list", "{{ define \"hosts\" -}}
            {{ $first := true }}{{ range . }}{{ if not $first }}, {{ end }}{{ $first = false }}{{ template \"host\" . }}{{ end }}
            {{- end }}"),
        group("host", "{{ .Labels.host }}{{ $.Labels.rack }}"),
        group("endless", "{{ define \"again\" }}x{{ template \"again\" . }}{{ end }}"),
        group("own", "{{ define \"default.title\" }}mine{{ end }}"),
        group("wide", "{{ define \"w1\" }}{{ range .Alerts }}{{ template \"w2\" $ }}{{ end }}{{ end }}
            {{ define \"w2\" }}{{ range .Alerts }}{{ template \"w3\" $ }}{{ end }}{{ end }}
            {{ define \"w3\" }}{{ range .Alerts }}{{ $x := 1 }}{{ end }}{{ end }}"),
    ];
    let library = Arc::new(Library::built_in().with(&groups).unwrap());
    let alert = |host: &str| Value::map([("Labels", Value::map([("host", Value::Text(host.into()))]))]);
    let render = |source: &str, alerts: usize| {
        let root =
            Value::map([("Alerts", Value::List((0..alerts).map(|at| alert(&format!("h{at}"))).collect()))]);
        let template = Template::parse_with(source, Scope::Notice, &library).unwrap();
        template.render(&root, &BTreeMap::new()).map_err(|error| error.to_string())
    };
    assert_eq!(render("{{ template \"hosts\" .Alerts }}", 2).as_deref(), Ok("h0, h1"));
    assert_eq!(render("{{ template \"default.title\" . }}", 0).as_deref(), Ok("mine"));
    assert!(render("{{ template \"again\" . }}", 0).unwrap_err().contains("too deeply"));
    assert!(
        render("{{ template \"w1\" . }}", 100).unwrap_err().contains("steps"),
        "steps of all count together"
    );
}
