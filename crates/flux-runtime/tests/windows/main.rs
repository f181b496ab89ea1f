//! Tables are cut into windows, and what is in them becomes one row.

#[path = "../common/mod.rs"]
mod common;

mod aggregate;
mod cut;
mod times;

/// Two series of six points in a minute, grouped by their tag and the time they are of.
pub(crate) fn minute(then: &str) -> String {
    let mut rows = Vec::new();
    for (tag, values) in [("t1", [-2, 10, 7, 17, 15, 4]), ("t2", [19, 4, -3, 19, 13, 1])] {
        for (at, value) in values.into_iter().enumerate() {
            rows.push(format!(
                "{{_start: 2021-01-01T00:00:00Z, _stop: 2021-01-01T00:01:00Z, _time: 2021-01-01T00:00:{at}0Z, \
                 _value: {value}, tag: \"{tag}\"}}"
            ));
        }
    }
    let rows = rows.join(", ");
    format!(
        "import \"array\"\n array.from(rows: [{rows}]) |> group(columns: [\"_start\", \"_stop\", \"tag\"]) |> {then}"
    )
}
