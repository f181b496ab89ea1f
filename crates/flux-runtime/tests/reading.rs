//! Points are read, bounded and chosen.

mod common;

use common::{Points, check, check_from};

fn cpu() -> Points {
    Points::new(
        "cpu,host=a usage=1 0
         cpu,host=a usage=2 60
         cpu,host=b usage=3 60
         cpu,host=b idle=97i 60
         mem used=5 60",
    )
}

#[test]
fn columns_are_in_the_order_of_influxdb() {
    check_from(
        r#"from(bucket: "b") |> range(start: 2026-01-01T00:00:00Z, stop: 2026-01-01T00:01:00Z)"#,
        &cpu(),
        "_result: _start=2026-01-01T00:00:00Z,_stop=2026-01-01T00:01:00Z,_field=usage,_measurement=cpu,host=a
         _start:time _stop:time _time:time _value:float _field:string _measurement:string host:string
         2026-01-01T00:00:00Z 2026-01-01T00:01:00Z 2026-01-01T00:00:00Z 1 usage cpu a",
    );
}

#[test]
fn a_read_without_a_range_is_refused() {
    check_from(
        r#"from(bucket: "b")"#,
        &cpu(),
        r#"runtime error @1:1-1:18: from: cannot submit unbounded read to "b"; try bounding 'from' with a call to 'range'"#,
    );
}

#[test]
fn what_goes_wrong_in_the_librarys_own_text_went_wrong_at_the_call() {
    check(
        "import \"array\"\narray.from(rows: [{_value: 1}]) |> highestMax(n: -1, groupColumns: [])",
        "runtime error @2:36-2:71: top: n must not be negative, but is -1",
    );
}

#[test]
fn a_text_without_a_result_is_refused() {
    let got = common::answer("x = 1");
    assert!(got.starts_with("runtime error: this Flux script returns no streaming data."), "{got}");
}
