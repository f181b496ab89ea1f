//! Values are counted by bounds, and quantiles told from the counts.

mod common;

use common::{answer, check};

const FLOATS: &str = r#"import "array" array.from(rows: [{_value: -2.18}, {_value: 10.92}, {_value: 7.35},
    {_value: 17.53}, {_value: 15.23}, {_value: 4.43}, {other: 1}])"#;

#[track_caller]
fn fails(text: &str, message: &str) {
    let got = answer(text);
    assert!(!got.starts_with("_result") && got.contains(message), "{text}\nanswers:\n{got}");
}

#[test]
fn counts_are_cumulative() {
    check(
        &format!("{FLOATS} |> histogram(bins: [20.0, 0.0, 5.0, 10.0])"),
        "_result:
         le:float _value:float
         0 1
         5 2
         10 3
         20 6",
    );
    check(
        &format!(
            r#"{FLOATS} |> histogram(bins: linearBins(start: 0.0, width: 4.0, count: 3), normalize: true, countColumn: "n")"#
        ),
        "_result:
         le:float n:float
         0 0.16666666666666666
         4 0.16666666666666666
         8 0.5
         +Inf 1",
    );
}

#[test]
fn a_value_beyond_all_bins_is_an_error() {
    fails(
        &format!("{FLOATS} |> histogram(bins: [5.0, 10.0])"),
        "greater than any bin, the last of which is 10",
    );
    fails(&format!("{FLOATS} |> histogram(bins: [])"), "bins must not be empty");
    fails(&format!("{FLOATS} |> histogram(bins: [1])"), "bins must be floats, but one is a int");
    fails(&format!("{FLOATS} |> histogram(column: \"other\", bins: [1.0])"), "is of type int, not float");
    fails(&format!("{FLOATS} |> histogram(bins: [1.0], countColumn: \"le\")"), "both \"le\"");
}

#[test]
fn bins_are_made() {
    let made = |call: &str| {
        let text = format!(
            "import \"array\" bins = {call} array.from(rows: [{{_value: 0.0}}]) |> histogram(bins: bins)"
        );
        let got = answer(&text);
        got.lines()
            .skip(2)
            .map(|row| row.trim().split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(made("linearBins(start: 0.0, width: 10.0, count: 3)"), "0 10 20 +Inf");
    assert_eq!(made("logarithmicBins(start: 1.0, factor: 2.0, count: 5, infinity: false)"), "1 2 4 8 16");
    fails("linearBins(start: 0.0, width: 1.0, count: -1)", "count must not be negative, but is -1");
    fails("linearBins(start: 0.0, width: 1.0, count: 9223372036854775807)", "out of memory");
}

#[test]
fn quantiles_of_histograms() {
    let data = |counts: [&str; 4], bounds: [&str; 4]| {
        let rows: Vec<String> = counts
            .iter()
            .zip(bounds)
            .map(|(count, bound)| format!("{{le: {bound}, _value: {count}}}"))
            .collect();
        format!("import \"array\" array.from(rows: [{}])", rows.join(", "))
    };
    let documented = data(["1.0", "2.0", "3.0", "6.0"], ["0.0", "5.0", "10.0", "20.0"]);
    let asked = |data: &str, call: &str, expected: &str| {
        check(
            &format!("{data} |> histogramQuantile({call})"),
            &format!("_result:\n _value:float\n {expected}"),
        );
    };
    asked(&documented, "quantile: 0.9", "18");
    // Rows need no order.
    let mixed = data(["6.0", "1.0", "3.0", "2.0"], ["20.0", "0.0", "10.0", "5.0"]);
    asked(&mixed, "quantile: 0.9", "18");
    asked(&documented, "quantile: 0.125, minValue: -8.0", "-2");
    asked(&documented, r#"quantile: 0.0"#, "0");
    let falling = data(["1.0", "4.0", "3.0", "6.0"], ["0.0", "5.0", "10.0", "20.0"]);
    asked(&falling, r#"quantile: 1.0, onNonmonotonic: "force""#, "20");
    check(&format!("{falling} |> histogramQuantile(quantile: 1.0, onNonmonotonic: \"drop\")"), "");
    fails(&format!("{falling} |> histogramQuantile(quantile: 1.0)"), "do not rise");
    fails(&format!("{documented} |> histogramQuantile(quantile: 2.0)"), "between 0.0 and 1.0");
    fails(
        &format!("{documented} |> histogramQuantile(quantile: 0.5, countColumn: \"n\")"),
        r#"column "n" does not exist"#,
    );
    asked(&data(["0.0"; 4], ["0.0", "5.0", "10.0", "20.0"]), "quantile: 0.5", "-");
    let gap = r#"import "array" array.from(rows: [{le: 1.0, _value: 1.0}, {le: 2.0}])"#;
    fails(&format!("{gap} |> histogramQuantile(quantile: 0.5)"), "row 1 has no value in column \"_value\"");
}

#[test]
fn an_infinite_bound_is_not_interpolated() {
    let data = format!("{FLOATS} |> histogram(bins: linearBins(start: 0.0, width: 8.0, count: 2))");
    check(&format!("{data} |> histogramQuantile(quantile: 0.9)"), "_result:\n _value:float\n 8");
}
