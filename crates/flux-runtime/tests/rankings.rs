//! Functions that compare tables of a stream with one another: the highest, the lowest, what goes together.

mod common;

use common::check;

/// The data of the examples in Flux's documentation.
const DATA: &str = r#"import "array" array.from(rows: [
    {n: 0, _value: -2, tag: "t1"}, {n: 1, _value: 10, tag: "t1"}, {n: 2, _value: 7, tag: "t1"},
    {n: 3, _value: 17, tag: "t1"}, {n: 4, _value: 15, tag: "t1"}, {n: 5, _value: 4, tag: "t1"},
    {n: 0, _value: 19, tag: "t2"}, {n: 1, _value: 4, tag: "t2"}, {n: 2, _value: -3, tag: "t2"},
    {n: 3, _value: 19, tag: "t2"}, {n: 4, _value: 13, tag: "t2"}, {n: 5, _value: 1, tag: "t2"}])
    |> group(columns: ["tag"])"#;

#[test]
fn rows_of_the_highest_and_lowest() {
    for (call, rows) in [
        (r#"highestMax(n: 2, groupColumns: ["tag"])"#, "19 0 t2\n 17 3 t1"),
        (r#"highestCurrent(n: 1, groupColumns: ["tag"])"#, "4 5 t1"),
        (r#"lowestMin(n: 1, groupColumns: ["tag"])"#, "-3 2 t2"),
        (r#"lowestCurrent(n: 1, groupColumns: ["tag"])"#, "1 5 t2"),
        (r#"highestMax(n: 1, column: "n", groupColumns: ["tag"])"#, "4 5 t1"),
        // Without columns to group by, all rows are one group.
        ("highestMax(n: 2)", "19 0 t2"),
    ] {
        check(
            &format!("{DATA} |> {call} |> keep(columns: [\"_value\", \"n\", \"tag\"])"),
            &format!("_result:\n _value:int n:int tag:string\n {rows}"),
        );
    }
}

#[test]
fn averages_of_the_highest_and_lowest() {
    for (call, row) in [("highestAverage", "t2 8.833333333333334"), ("lowestAverage", "t1 8.5")] {
        check(
            &format!("{DATA} |> {call}(n: 1, groupColumns: [\"tag\"])"),
            &format!("_result:\n tag:string _value:float\n {row}"),
        );
    }
}

#[test]
fn streams_that_go_together() {
    let streams = r#"import "array"
        x = array.from(rows: [{n: 0, _value: 0.0}, {n: 1, _value: 1.0}, {n: 2, _value: 4.0}, {n: 3, _value: 9.0}, {n: 4, _value: 16.0}])
        y = array.from(rows: [{n: 0, _value: 0.0}, {n: 1, _value: 0.5}, {n: 2, _value: 8.0}, {n: 3, _value: 40.5}, {n: 4, _value: 128.0}])"#;
    check(&format!("{streams} cov(x: x, y: y, on: [\"n\"])"), "_result:\n _value:float\n 345.75");
    check(&format!("{streams} pearsonr(x: y, y: y, on: [\"n\"])"), "_result:\n _value:float\n 1");
}
