//! Tables are made one row of.

mod common;

use common::{answer, check};

/// A table of numbers, ten seconds apart, with `null` where there is none.
fn table(numbers: &str) -> String {
    let rows: Vec<String> = numbers
        .split_whitespace()
        .enumerate()
        .map(|(row, number)| {
            let value = if number == "null" { String::new() } else { format!("_value: {number}, ") };
            format!("{{{value}_time: 2021-01-01T00:00:{:02}Z}}", row * 10)
        })
        .collect();
    format!("import \"array\" array.from(rows: [{}]) ", rows.join(", "))
}

/// The last cell of each row of an answer of one table.
fn last_cells(answer: &str) -> Vec<String> {
    answer.lines().skip(2).map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
}

/// What a function makes of the numbers, as one table.
#[track_caller]
fn made(numbers: &str, call: &str) -> String {
    let text = format!("{}|> {call}", table(numbers));
    let got = answer(&text);
    assert!(!got.contains("error"), "{text}\nanswers:\n{got}");
    last_cells(&got).join(" ")
}

#[track_caller]
fn fails(text: &str, message: &str) {
    let got = answer(text);
    assert!(got.contains("error") && got.contains(message), "{text}\nanswers:\n{got}");
}

/// The data of the examples in Flux's documentation.
const INTS: [&str; 2] = ["-2 10 7 17 15 4", "19 4 -3 19 13 1"];
const FLOATS: [&str; 2] = ["-2.18 10.92 7.35 17.53 15.23 4.43", "19.85 4.97 -3.75 19.77 13.86 1.86"];
const GAPS: [&str; 2] = ["-2 null 7 null null 4", "null 4 -3 19 null 1"];

#[track_caller]
fn each(data: [&str; 2], call: &str, expected: [&str; 2]) {
    for (numbers, expected) in data.iter().zip(expected) {
        assert_eq!(made(numbers, call), expected, "{call} of {numbers}");
    }
}

#[test]
fn totals_of_the_documented_examples() {
    each(INTS, "count()", ["6", "6"]);
    each(GAPS, "count()", ["6", "6"]);
    each(INTS, "sum()", ["51", "53"]);
    each(GAPS, "sum()", ["9", "21"]);
    each(INTS, "mean()", ["8.5", "8.833333333333334"]);
    each(GAPS, "mean()", ["3", "5.25"]);
    each(INTS, "spread()", ["19", "22"]);
    each(FLOATS, "spread()", ["19.71", "23.6"]);
}

#[test]
fn moments_of_the_documented_examples() {
    each(INTS, "stddev()", ["7.063993204979744", "9.474527252938094"]);
    each(INTS, "skew()", ["-0.22375476930534782", "-0.01972080701262574"]);
    assert_eq!(made("2.0 4.0", r#"stddev(mode: "population")"#), "1");
    assert_eq!(made("2.0", "stddev()"), "NaN");
    assert_eq!(made("2.0", r#"stddev(mode: "population")"#), "0");
    fails(&format!("{}|> stddev(mode: \"all\")", table("1")), r#"not "all""#);
}

#[test]
fn the_type_of_the_column_stays_where_it_can() {
    check(
        r#"import "array" array.from(rows: [{a: 3, b: 1.5}, {a: 1, b: 2.0}]) |> spread(column: "b")"#,
        "_result:
         b:float
         0.5",
    );
    fails(
        r#"import "array" array.from(rows: [{_value: "x"}]) |> sum()"#,
        "sum: column \"_value\" is of type string, not int, uint or float",
    );
    fails(
        r#"import "array" array.from(rows: [{a: 1}]) |> mean()"#,
        r#"mean: column "_value" does not exist"#,
    );
    fails(r#"import "array" array.from(rows: [{a: 1}]) |> count(column: 1)"#, "count: keyword argument");
}

#[test]
fn integers_wrap_around() {
    assert_eq!(made("9223372036854775807 1", "sum()"), "-9223372036854775808");
    assert_eq!(made("9223372036854775807 -1", "spread()"), "-9223372036854775808");
}

const EMPTY: &str = r#"import "array" array.from(rows: [{_value: 1.5, a: "x"}]) |> filter(fn: (r) => false, onEmpty: "keep")"#;

#[test]
fn of_an_empty_table_there_is_a_count_and_otherwise_null() {
    check(&format!("{EMPTY} |> count()"), "_result:\n _value:int\n 0");
    for call in
        ["sum()", "mean()", "spread()", "stddev()", "skew()", "median()", r#"median(method: "exact_mean")"#]
    {
        check(&format!("{EMPTY} |> {call}"), "_result:\n _value:float\n -");
    }
    check(&format!("{EMPTY} |> mode()"), "");
    check(&format!("{EMPTY} |> median(method: \"exact_selector\")"), "");
    check(
        &format!("{EMPTY} |> reduce(fn: (r, accumulator) => ({{n: accumulator.n + 1}}), identity: {{n: 0}})"),
        "_result:\n n:int\n 0",
    );
}

#[test]
fn quantiles_of_the_documented_examples() {
    each(FLOATS, "median()", ["9.135", "9.415"]);
    each(FLOATS, "quantile(q: 0.99)", ["17.53", "19.85"]);
    each(FLOATS, "quantile(q: 0.0)", ["-2.18", "-3.75"]);
    each(FLOATS, r#"median(method: "exact_mean")"#, ["9.135", "9.415"]);
    each(FLOATS, r#"median(method: "exact_mean", compression: 0.0)"#, ["9.135", "9.415"]);
    assert_eq!(made("1.0 2.0 3.0 4.0 5.0", r#"quantile(q: 0.3, method: "exact_mean")"#), "2.2");
    assert_eq!(made("1.0 null 3.0", r#"quantile(q: 1.0, method: "exact_mean")"#), "3");
    let text = format!("{}|> quantile(q: 0.5, method: \"exact_selector\")", table(FLOATS[1]));
    check(
        &text,
        "_result:
         _time:time _value:float
         2021-01-01T00:00:10Z 4.97",
    );
}

#[test]
fn quantiles_do_without_what_is_no_number() {
    let infinite = r#"import "array"
        inf = linearBins(start: 0.0, width: 1.0, count: 0)[0]
        array.from(rows: [{_value: inf}, {_value: 1.0}, {_value: inf - inf}])"#;
    check(&format!("{infinite} |> median()"), "_result:\n _value:float\n +Inf");
    fails(&format!("{}|> quantile(q: 1.5)", table("1.0")), "q must be between 0.0 and 1.0, but is 1.5");
    fails(&format!("{}|> median(compression: -1.0)", table("1.0")), "compression must not be negative");
    fails(&format!("{}|> median(method: \"x\")", table("1.0")), r#"not "x""#);
    fails(&format!("{}|> median()", table("1")), "is of type int, not float");
}

#[test]
fn a_digest_is_near_the_truth() {
    let numbers: Vec<String> = (0..5000_u32).map(|n| format!("{{_value: {}.0}}", n * 7919 % 5000)).collect();
    let text = format!(
        "import \"array\" array.from(rows: [{}]) |> quantile(q: 0.9, compression: 200.0)",
        numbers.join(", ")
    );
    let found: f64 = last_cells(&answer(&text))[0].parse().unwrap();
    assert!((found - 4500.0).abs() < 25.0, "{found}");
}

#[test]
fn modes() {
    each(INTS, "mode()", ["-", "19"]);
    assert_eq!(made("3 1 3 1 2", "mode()"), "1 3");
    assert_eq!(made("3 1 3 1", "mode()"), "1 3");
    assert_eq!(made("7", "mode()"), "7");
    assert_eq!(made("null null 7", "mode()"), "7");
    check(
        r#"import "array" array.from(rows: [{a: "x"}, {a: "y"}, {a: "y"}]) |> mode(column: "a")"#,
        "_result:\n _value:string\n y",
    );
}

const BOUNDED: &str = "|> range(start: 2021-01-01T00:00:00Z, stop: 2021-01-01T00:01:00Z)";

#[test]
fn integrals_of_the_documented_examples() {
    each(INTS, "integral(unit: 10s)", ["50", "43"]);
    for (numbers, integral, average) in
        [(GAPS[0], "25", "4.166666666666667"), (GAPS[1], "32.5", "5.416666666666667")]
    {
        let call = format!("range(start: 2021-01-01T00:00:00Z, stop: 2021-01-01T00:01:00Z) {}", "|> ");
        assert_eq!(made(numbers, &format!("{call} integral(unit: 10s, interpolate: \"linear\")")), integral);
        assert_eq!(made(numbers, &format!("{call} timeWeightedAvg(unit: 1s)")), average);
    }
    let one = table("null 4.5");
    check(
        &format!("{one} {BOUNDED} |> timeWeightedAvg(unit: 1s)"),
        "_result: _start=2021-01-01T00:00:00Z,_stop=2021-01-01T00:01:00Z
         _start:time _stop:time _value:float
         2021-01-01T00:00:00Z 2021-01-01T00:01:00Z 4.5",
    );
    assert_eq!(made("4", "integral()"), "0");
}

#[test]
fn integrals_that_cannot_be_made() {
    let data = table("1 2");
    fails(&format!("{data} |> integral(unit: 1mo)"), "unit must be of a fixed length");
    fails(&format!("{data} |> integral(unit: 0s)"), "unit must be positive");
    fails(&format!("{data} |> integral(interpolate: \"cubic\")"), r#"not "cubic""#);
    fails(&format!("{data} |> integral(interpolate: \"linear\")"), "have to be grouped by \"_start\"");
    fails(&format!("{data} |> integral(timeColumn: \"x\")"), r#"column "x" does not exist"#);
    fails(&format!("{data} |> sort(columns: [\"_time\"], desc: true) |> integral()"), "not in the order");
    let timeless = r#"import "array" array.from(rows: [{_value: 1, _time: now()}, {_value: 1}])"#;
    fails(&format!("{timeless} |> integral()"), "row 1 has no time");
}

#[test]
fn records_are_reduced() {
    let data = table(INTS[0]);
    check(
        &format!(
            "{data} |> reduce(fn: (r, accumulator) => ({{sum: r._value + accumulator.sum, count: accumulator.count + 1}}),
             identity: {{sum: 0, count: 0}})"
        ),
        "_result:\n count:int sum:int\n 6 51",
    );
    fails(
        &format!("{data} |> reduce(fn: (r, a) => a, identity: {{n: 0}})"),
        "fn has to take r and accumulator, but takes a, r",
    );
    fails(&format!("{data} |> reduce(fn: (r, accumulator) => 1, identity: {{n: 0}})"), "returned a int");
    fails(
        &format!("{data} |> reduce(fn: (r, accumulator) => ({{}}), identity: {{n: 0}})"),
        "missing label n",
    );
    fails(
        &format!("{data} |> reduce(fn: (r, accumulator) => ({{n: 1, m: 1}}), identity: {{n: 0}})"),
        "label m, which identity lacks",
    );
    fails(
        &format!("{data} |> reduce(fn: (r, accumulator) => ({{n: 1.0}}), identity: {{n: 0}})"),
        "type float, but in identity it is of type int",
    );
    fails(
        &format!("{data} |> reduce(fn: (r, accumulator) => accumulator, identity: {{n: [1]}})"),
        "is a array, which no column holds",
    );
}

#[test]
fn a_reduced_record_overwrites_the_key() {
    let data = table(INTS[0]);
    check(
        &format!(
            "{data} {BOUNDED} |> reduce(fn: (r, accumulator) => ({{_start: r._time, n: accumulator.n + 1}}),
             identity: {{n: 0, _start: 2000-01-01T00:00:00Z}})"
        ),
        "_result: _start=2021-01-01T00:00:50Z,_stop=2021-01-01T00:01:00Z
         _start:time _stop:time n:int
         2021-01-01T00:00:50Z 2021-01-01T00:01:00Z 6",
    );
}

#[test]
fn columns_that_go_together() {
    let data = r#"import "array" array.from(rows: [{x: 0, y: 0.0}, {x: 1, y: 0.5}, {x: 4, y: 8.0}, {x: 5}, {x: 9, y: 40.5}, {x: 16, y: 128.0}])"#;
    check(&format!("{data} |> covariance(columns: [\"x\", \"y\"])"), "_result:\n _value:float\n 345.75");
    let r =
        answer(&format!("{data} |> covariance(columns: [\"x\", \"y\"], pearsonr: true, valueDst: \"r\")"));
    assert!(r.contains("r:float") && last_cells(&r)[0].starts_with("0.96"), "{r}");
    fails(&format!("{data} |> covariance(columns: [\"x\"])"), "columns must be two, not 1");
    fails(&format!("{data} |> covariance(columns: [\"x\", \"z\"])"), r#"column "z" does not exist"#);
}

#[test]
fn tables_of_one_key_cannot_be_aggregated_by_it() {
    let data = table("1.0 2.0");
    for (call, message) in [
        (r#"count(column: "_start")"#, "cannot aggregate column \"_start\": the tables are grouped by it"),
        (r#"median(column: "_start")"#, "cannot aggregate"),
        (r#"histogram(bins: [5.0], countColumn: "_stop")"#, "cannot write to column \"_stop\""),
        (
            r#"covariance(columns: ["_value", "_value"], valueDst: "_stop")"#,
            "cannot write to column \"_stop\"",
        ),
    ] {
        fails(&format!("{data} {BOUNDED} |> {call}"), message);
    }
}
