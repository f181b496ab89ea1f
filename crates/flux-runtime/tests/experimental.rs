//! Packages experimental, generate and interpolate.

mod common;

use common::{Points, answer, check, check_from};

#[test]
fn durations_are_added_by_the_calendar() {
    let shown = |expression: &str| {
        let text = format!(
            "import \"array\"
             import \"experimental\"
             option now = () => 2021-12-10T16:27:40Z
             array.from(rows: [{{v: string(v: experimental.{expression})}}])"
        );
        let answer = answer(&text);
        answer.lines().nth(2).unwrap_or(&answer).trim().to_owned()
    };
    assert_eq!(shown("addDuration(d: 6h, to: 2019-09-16T12:00:00Z)"), "2019-09-16T18:00:00Z");
    assert_eq!(shown("addDuration(d: 1mo, to: -1d)"), "2022-01-09T16:27:40Z");
    assert_eq!(shown("subDuration(from: -1h, d: 2d)"), "2021-12-08T15:27:40Z");
    // Clocks in Berlin go forward on 28 March.
    let berlin = r#"location: {zone: "Europe/Berlin", offset: 0h}"#;
    assert_eq!(
        shown(&format!("addDuration(d: 1mo, to: 2021-03-01T12:00:00Z, {berlin})")),
        "2021-04-01T11:00:00Z"
    );
    assert!(
        shown(r#"addDuration(d: 1mo, to: -1d, location: {zone: "Nowhere"})"#)
            .ends_with("unknown time zone Nowhere")
    );
}

#[test]
fn tables_begin_at_one_time() {
    check_from(
        r#"import "experimental"
           from(bucket: "b") |> range(start: 2026-01-01T00:00:10Z, stop: 2026-01-01T00:01:00Z)
               |> experimental.alignTime(alignTo: 2021-01-01T00:00:00Z)"#,
        &Points::new("m f=1 10\nm f=2 15"),
        "_result: _start=2026-01-01T00:00:10Z,_stop=2026-01-01T00:01:00Z,_field=f,_measurement=m
         _start:time _stop:time _time:time _value:float _field:string _measurement:string
         2026-01-01T00:00:10Z 2026-01-01T00:01:00Z 2021-01-01T00:00:00Z 1 f m
         2026-01-01T00:00:10Z 2026-01-01T00:01:00Z 2021-01-01T00:00:05Z 2 f m",
    );
}

const HOSTS: &str = r#"import "array"
    import "experimental"
    array.from(rows: [
        {host: "b", region: "west", _value: 1},
        {host: "a", region: "west", _value: 2},
        {host: "b", _value: 3},
        {host: "b", region: "west", _value: 4},
    ])"#;

#[test]
fn columns_join_the_key() {
    check(
        &format!(
            "{HOSTS} |> experimental.group(columns: [\"host\", \"none\"], mode: \"extend\") |> experimental.group(columns: [\"region\"], mode: \"extend\")"
        ),
        "_result: host=a,region=west
         _value:int host:string region:string
         2 a west
         _result: host=b,region=<null>
         _value:int host:string region:string
         3 b -
         _result: host=b,region=west
         _value:int host:string region:string
         1 b west
         4 b west",
    );
    let wrong = answer(&format!("{HOSTS} |> experimental.group(columns: [\"host\"], mode: \"by\")"));
    assert!(wrong.contains("mode is \"extend\", not \"by\""), "{wrong}");
}

#[test]
fn columns_are_set() {
    check(
        &format!("{HOSTS} |> experimental.set(o: {{host: \"c\", n: 5}}) |> experimental.preview(nrows: 1)"),
        "_result:
         _value:int host:string region:string n:int
         1 c west 5",
    );
    let grouped = format!("{HOSTS} |> experimental.group(columns: [\"host\"], mode: \"extend\")");
    check(
        &format!("{grouped} |> experimental.set(o: {{host: \"c\"}})"),
        "_result: host=c
         _value:int host:string region:string
         2 c west
         1 c west
         3 c -
         4 c west",
    );
    check(
        &format!("{grouped} |> experimental.preview(nrows: 1, ntables: 1)"),
        "_result: host=a
         _value:int host:string region:string
         2 a west",
    );
}

#[test]
fn keys_and_chains() {
    check(
        r#"import "array"
           import "experimental"
           one = array.from(rows: [{_value: 1}])
           two = array.from(rows: [{_value: length(arr: experimental.objectKeys(o: {first: 1, last: 2}))}])
           experimental.chain(first: one, second: two)"#,
        "_result:
         _value:int
         2",
    );
    let wrong = answer(
        r#"import "array"
           import "experimental"
           one = array.from(rows: [{_value: "x"}]) |> toInt()
           experimental.chain(first: one, second: array.from(rows: [{_value: 1}]))"#,
    );
    assert!(wrong.contains("toInt: row 0: cannot convert string \"x\" to int"), "{wrong}");
}

#[test]
fn points_are_made_up() {
    check(
        r#"import "generate"
           generate.from(
               count: 3, fn: (n) => (n + 1) * (n + 2), start: 2021-01-01T00:00:00Z, stop: 2021-01-01T12:00:00Z,
           )"#,
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T12:00:00Z
         _start:time _stop:time _time:time _value:int
         2021-01-01T00:00:00Z 2021-01-01T12:00:00Z 2021-01-01T00:00:00Z 2
         2021-01-01T00:00:00Z 2021-01-01T12:00:00Z 2021-01-01T04:00:00Z 6
         2021-01-01T00:00:00Z 2021-01-01T12:00:00Z 2021-01-01T08:00:00Z 12",
    );
    let made = |arguments: &str| answer(&format!("import \"generate\"\ngenerate.from({arguments})"));
    let wrong = made("count: 1, fn: (n) => 0.5, start: -1h, stop: now()");
    assert!(wrong.contains("from: fn has to return int, but returned float"), "{wrong}");
    let wrong = made("count: 9000000000, fn: (n) => n, start: -1h, stop: now()");
    assert!(wrong.contains("out of memory"), "{wrong}");
    let wrong = made("count: -1, fn: (n) => n, start: -1h, stop: now()");
    assert!(wrong.contains("count must not be negative, but is -1"), "{wrong}");
}

#[test]
fn rows_are_put_between_rows() {
    let days = |rows: &[(&str, f64)]| {
        let rows = rows.iter().map(|(day, value)| format!("{{_time: {day}, _value: {value:?}}}"));
        format!(
            "import \"array\"\nimport \"interpolate\"\narray.from(rows: [{}])",
            rows.collect::<Vec<_>>().join(", ")
        )
    };
    let rows =
        [("2021-01-01", 10.0), ("2021-01-02", 20.0), ("2021-01-04", 40.0), ("2021-01-07T12:00:00Z", 75.0)];
    check(
        &format!("{} |> interpolate.linear(every: 1d)", days(&rows)),
        "_result:
         _time:time _value:float
         2021-01-01T00:00:00Z 10
         2021-01-02T00:00:00Z 20
         2021-01-03T00:00:00Z 30
         2021-01-04T00:00:00Z 40
         2021-01-05T00:00:00Z 50
         2021-01-06T00:00:00Z 60
         2021-01-07T00:00:00Z 70
         2021-01-07T12:00:00Z 75",
    );
    check(
        &format!("{} |> interpolate.linear(every: 1mo)", days(&[("2021-01-31", 0.0), ("2021-03-03", 31.0)])),
        "_result:
         _time:time _value:float
         2021-01-31T00:00:00Z 0
         2021-02-01T00:00:00Z 1
         2021-03-01T00:00:00Z 29
         2021-03-03T00:00:00Z 31",
    );
    let wrong = answer(&format!("{} |> interpolate.linear(every: 1ns)", days(&rows)));
    assert!(wrong.contains("out of memory"), "{wrong}");
    let wrong = answer(&format!("{} |> interpolate.linear(every: 0s)", days(&rows)));
    assert!(wrong.contains("every has to be positive"), "{wrong}");
    let wrong = answer(
        r#"import "array"
           import "interpolate"
           array.from(rows: [{_time: 2021-01-01, _value: 1.0, host: "a"}]) |> interpolate.linear(every: 1d)"#,
    );
    assert!(wrong.contains(r#"column "host" is not part of the group key"#), "{wrong}");
}

#[test]
fn functions_of_values_are_those_that_need_no_import() {
    let shown = |call: &str| {
        let rows = "[{_value: 4.0}, {}, {_value: 1.0}, {_value: 1.0}]";
        let text = format!(
            "import \"array\"\nimport \"experimental\"\narray.from(rows: {rows}) |> experimental.{call}"
        );
        let answer = answer(&text);
        answer.lines().skip(2).map(str::trim).collect::<Vec<_>>().join(" ")
    };
    // Rows are counted with values and without.
    assert_eq!(shown("count()"), "4");
    assert_eq!(shown("sum()"), "6");
    assert_eq!(shown("mean()"), "2");
    assert_eq!(shown("max()"), "4");
    assert_eq!(shown("mode()"), "1");
    assert_eq!(shown("fill(usePrevious: true)"), "4 4 1 1");
    assert_eq!(shown("quantile(q: 0.5, method: \"exact_selector\")"), "1");
    assert_eq!(shown("histogram(bins: [1.0, 4.0]) |> experimental.histogramQuantile(quantile: 0.5)"), "0.75");
}
