//! Functions of a row and those before it.

mod common;

use common::{Points, answer, answer_from, check, check_from};

/// A table with a row every ten seconds; `-` is no value.
fn sample(values: &str) -> String {
    let row = |(row, value): (usize, &str)| {
        let value = if value == "-" { String::new() } else { format!(", _value: {value}") };
        format!("{{_time: 2021-01-01T00:00:{row}0Z{value}}}")
    };
    let rows: Vec<String> = values.split_whitespace().enumerate().map(row).collect();
    format!("import \"array\"\narray.from(rows: [{}])", rows.join(", "))
}

/// The cells of a column of the answer, `-` for none.
fn column(answer: &str, label: &str) -> String {
    let mut lines = answer.lines().skip(1);
    let Some(at) = lines.next().and_then(|header| {
        header.split_whitespace().position(|column| column.split(':').next() == Some(label))
    }) else {
        return answer.trim().to_owned();
    };
    let cells: Vec<&str> = lines.filter_map(|line| line.split_whitespace().nth(at)).collect();
    cells.join(" ")
}

#[track_caller]
fn gives(values: &str, call: &str, label: &str, expected: &str) {
    let text = format!("{} |> {call}", sample(values));
    let answer = answer(&text);
    assert_eq!(column(&answer, label), expected, "{text}\n{answer}");
}

const ONE: &str = "-2 10 7 17 15 4";
const TWO: &str = "19 4 -3 19 13 1";
const GAPS: &str = "-2 - 7 - - 4";
const GAP_FIRST: &str = "- 4 -3 19 - 1";

#[test]
fn difference_of_neighbours() {
    gives(ONE, "difference()", "_value", "12 -3 10 -2 -11");
    gives(
        ONE,
        "difference()",
        "_time",
        "2021-01-01T00:00:10Z 2021-01-01T00:00:20Z 2021-01-01T00:00:30Z 2021-01-01T00:00:40Z 2021-01-01T00:00:50Z",
    );
    gives(TWO, "difference(nonNegative: true)", "_value", "- - 22 - -");
    gives(TWO, "difference(nonNegative: true, initialZero: true)", "_value", "4 - 22 13 1");
    gives(GAPS, "difference()", "_value", "- 9 - - -3");
    gives(GAP_FIRST, "difference()", "_value", "- -7 22 - -18");
    gives(ONE, "difference(keepFirst: true)", "_value", "- 12 -3 10 -2 -11");
    gives("1.5 4.0", "difference()", "_value", "2.5");
    gives("1", "difference()", "_value", "");
}

#[test]
fn difference_of_unsigned_integers_has_a_sign() {
    check(
        r#"import "array"
           array.from(rows: [{v: uint(v: 5)}, {v: uint(v: 2)}]) |> difference(columns: ["v"])"#,
        "_result:
         v:int
         -3",
    );
}

#[test]
fn difference_needs_columns_of_numbers_outside_the_key() {
    let wrong = |call: &str, reason: &str| {
        let text = format!("{} |> {call}", sample(ONE));
        let answer = answer(&text);
        assert!(answer.trim().ends_with(reason), "{text}\n{answer}");
    };
    wrong(r#"difference(columns: ["x"])"#, r#"difference: column "x" does not exist"#);
    wrong(
        r#"difference(columns: ["_time"])"#,
        r#"difference: column "_time" is of type time, not of numbers"#,
    );
    wrong(r#"difference(columns: [])"#, "difference: columns is empty: name at least one");
    let points = Points::new("m,t=1 f=1 0");
    let text = r#"from(bucket: "b") |> range(start: 2026-01-01T00:00:00Z) |> difference(columns: ["t"])"#;
    let answer = answer_from(text, &points);
    assert!(answer.contains(r#"column "t" is part of the group key"#), "{answer}");
}

#[test]
fn every_table_begins_anew() {
    check_from(
        r#"from(bucket: "b") |> range(start: 2026-01-01T00:00:00Z, stop: 2026-01-02T00:00:00Z) |> difference()"#,
        &Points::new(
            "m,t=a f=1i 0
             m,t=a f=4i 1
             m,t=b f=10i 1
             m,t=b f=8i 3",
        ),
        "_result: _start=2026-01-01T00:00:00Z,_stop=2026-01-02T00:00:00Z,_field=f,_measurement=m,t=a
         _start:time _stop:time _time:time _value:int _field:string _measurement:string t:string
         2026-01-01T00:00:00Z 2026-01-02T00:00:00Z 2026-01-01T00:00:01Z 3 f m a
         _result: _start=2026-01-01T00:00:00Z,_stop=2026-01-02T00:00:00Z,_field=f,_measurement=m,t=b
         _start:time _stop:time _time:time _value:int _field:string _measurement:string t:string
         2026-01-01T00:00:00Z 2026-01-02T00:00:00Z 2026-01-01T00:00:03Z -2 f m b",
    );
}

#[test]
fn derivative_is_a_change_in_time() {
    gives(ONE, "derivative(nonNegative: true)", "_value", "1.2 - 1 - -");
    gives(TWO, "derivative(nonNegative: true)", "_value", "- - 2.2 - -");
    gives(TWO, "derivative(nonNegative: true, initialZero: true)", "_value", "0.4 - 2.2 1.3 0.1");
    gives(GAPS, "derivative()", "_value", "- 0.45 - - -0.1");
    gives(GAP_FIRST, "derivative()", "_value", "- -0.7 2.2 - -0.9");
    gives(ONE, "derivative(unit: 1m)", "_value", "72 -18 60 -12 -66");
    gives("9007199254740992 9007199254740993", "derivative(unit: 10s)", "_value", "1");
}

#[test]
fn derivative_needs_times_that_ascend() {
    gives(
        "1 2",
        "derivative(unit: 1mo)",
        "_value",
        "runtime error @2:107-2:128: derivative: unit has to be positive and without months, but is 1mo",
    );
    let rows = |times: [u8; 3]| {
        let row =
            |(value, time): (usize, u8)| format!("{{_time: 2021-01-01T00:00:0{time}Z, _value: {value}}}");
        let rows: Vec<String> = times.into_iter().enumerate().map(row).collect();
        answer(&format!("import \"array\"\narray.from(rows: [{}]) |> derivative()", rows.join(", ")))
    };
    assert_eq!(column(&rows([0, 0, 4]), "_value"), "0.5");
    assert!(rows([0, 2, 1]).contains("derivative: times of column \"_time\" do not ascend"));
}

#[test]
fn sums_grow_row_by_row() {
    gives(ONE, "cumulativeSum()", "_value", "-2 8 15 32 47 51");
    gives(GAPS, "cumulativeSum()", "_value", "-2 -2 5 5 5 9");
    gives(ONE, "increase()", "_value", "0 12 19 29 44 48");
    gives(TWO, "increase()", "_value", "0 4 4 26 39 40");
}

#[test]
fn moving_averages() {
    gives(ONE, "movingAverage(n: 3)", "_value", "5 11.333333333333334 13 12");
    gives(GAPS, "movingAverage(n: 3)", "_value", "2.5 7 7 4");
    gives(GAP_FIRST, "movingAverage(n: 3)", "_value", "0.5 6.666666666666667 8 10");
    gives(ONE, "movingAverage(n: 100)", "_value", "8.5");
    gives("- 1 - - 2", "movingAverage(n: 2)", "_value", "1 1 - 2");
    gives(
        "1 2",
        "movingAverage(n: 0)",
        "_value",
        "runtime error @2:107-2:126: movingAverage: n has to be greater than 0, but is 0",
    );
}

#[test]
fn exponential_moving_averages() {
    gives(ONE, "exponentialMovingAverage(n: 3)", "_value", "5 11 13 8.5");
    gives(GAPS, "exponentialMovingAverage(n: 3)", "_value", "2.5 2.5 2.5 3.25");
    gives(GAP_FIRST, "exponentialMovingAverage(n: 3)", "_value", "0.5 9.75 9.75 5.375");
    gives(ONE, "exponentialMovingAverage(n: 9)", "_value", "8.5");
    gives("- - 4 8", "exponentialMovingAverage(n: 1)", "_value", "- - 4 8");
    gives(ONE, "doubleEMA(n: 3)", "_value", "16.333333333333336 7.916666666666668");
    gives(TWO, "doubleEMA(n: 3)", "_value", "15.027777777777779 5.034722222222221");
    gives(ONE, "doubleEMA(n: 4)", "_value", "7.199999999999999");
    gives(ONE, "doubleEMA(n: 4)", "_time", "2021-01-01T00:00:50Z");
    gives(ONE, "tripleEMA(n: 3)", "_value", "7.6250000000000036");
    gives(TWO, "tripleEMA(n: 3)", "_value", "4.0729166666666625");
    gives(ONE, "tripleEMA(n: 2)", "_time", "2021-01-01T00:00:30Z 2021-01-01T00:00:40Z 2021-01-01T00:00:50Z");
    gives("1 1 1 1 2", "tripleExponentialDerivative(n: 2)", "_value", "29.629629629629626");
    gives("1 1 1", "tripleExponentialDerivative(n: 2)", "_value", "NaN");
}

#[test]
fn elapsed_time() {
    gives(ONE, "elapsed()", "elapsed", "10 10 10 10 10");
    gives(ONE, r#"elapsed(unit: 4s, columnName: "t")"#, "t", "2 2 2 2 2");
    gives(ONE, "elapsed()", "_value", "10 7 17 15 4");
    gives("1", "elapsed()", "elapsed", "");
}

#[test]
fn states_are_counted_and_timed() {
    gives(ONE, "stateCount(fn: (r) => r._value < 10)", "stateCount", "1 -1 1 -1 -1 1");
    gives(TWO, "stateCount(fn: (r) => r._value < 10)", "stateCount", "-1 1 2 -1 -1 1");
    gives(ONE, "stateDuration(fn: (r) => r._value < 15)", "stateDuration", "0 10 20 -1 -1 0");
    gives(TWO, "stateDuration(fn: (r) => r._value < 15)", "stateDuration", "-1 0 10 -1 0 10");
    let both =
        r#"stateTracking(fn: (r) => r._value > 5, countColumn: "n", durationColumn: "d", durationUnit: 1ms)"#;
    gives(ONE, both, "n", "-1 1 2 3 4 -1");
    gives(ONE, both, "d", "-1 0 10000 20000 30000 -1");
}

#[test]
fn rows_without_an_answer_leave_the_state_as_it_is() {
    // What is null does not hold.
    gives("1 - 1", "stateCount(fn: (r) => r._value < 2)", "stateCount", "1 -1 1");
    // A row that the function fails on is left out.
    gives("1 0 1", "stateCount(fn: (r) => 5 / r._value > 2)", "stateCount", "1 2");
    // Unless it fails on all.
    gives(
        "0 0",
        "stateCount(fn: (r) => 5 / r._value > 2)",
        "x",
        "runtime error @2:129-2:141: cannot divide by zero",
    );
}

#[test]
fn indicators_drop_the_first_rows() {
    gives(ONE, "relativeStrengthIndex(n: 3)", "_value", "84.375 73.97260273972603 36.672325976230894");
    gives(TWO, "relativeStrengthIndex(n: 3)", "_value", "70.27027027027026 59.42857142857142 40.625");
    gives(ONE, "kaufmansER(n: 3)", "_value", "0.76 0.33333333333333337 0.13043478260869565");
    gives(TWO, "kaufmansER(n: 3)", "_value", "0 0.2571428571428572 0.1");
    gives(ONE, "kaufmansAMA(n: 3)", "_value", "9.72641183951902 10.097401019601417 9.972614968115325");
    gives(TWO, "kaufmansAMA(n: 3)", "_value", "-2.9084287200832466 -2.142970089472789 -2.0940721758134693");
    gives(ONE, "chandeMomentumOscillator(n: 2)", "_value", "60 53.84615384615385 66.66666666666667 -100");
    gives(ONE, "kaufmansER(n: 30)", "_value", "");
}
