//! Names of what a bucket holds.

mod common;

use common::{Points, answer, answer_from};

fn points() -> Points {
    Points::new(
        "cpu,host=a,region=east usage=1 0
         cpu,host=a,region=east idle=99 0
         cpu,host=b usage=50 60
         disk,host=b,path=/ used=7i 60
         mem used=5i 60
         old,host=z used=5i -3000000",
    )
}

/// The rows of a query's only table, joined.
fn names(query: &str) -> String {
    let text = format!(
        "import \"strings\"\nimport \"influxdata/influxdb/schema\"\nimport \"influxdata/influxdb/v1\"\n\
         import \"influxdata/influxdb\"\n{query}"
    );
    let answer = answer_from(&text, &points());
    match answer.split_once(":string\n").or_else(|| answer.split_once(":int\n")) {
        Some(("_result: \n _value", rows)) => rows.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        _ => answer,
    }
}

#[test]
fn names_of_a_bucket() {
    for package in ["schema", "v1"] {
        for (call, expected) in [
            (r#"measurements(bucket: "b")"#, "cpu disk mem"),
            (r#"measurements(bucket: "b", start: -365d)"#, "cpu disk mem old"),
            (r#"measurements(bucket: "b", stop: -1h)"#, ""),
            (r#"fieldKeys(bucket: "b")"#, "idle usage used"),
            (r#"measurementFieldKeys(bucket: "b", measurement: "cpu")"#, "idle usage"),
            (r#"tagKeys(bucket: "b")"#, "_start _stop _field _measurement host path region"),
            (
                r#"measurementTagKeys(bucket: "b", measurement: "disk")"#,
                "_start _stop _field _measurement host path",
            ),
            (r#"measurementTagKeys(bucket: "b", measurement: "mem")"#, "_start _stop _field _measurement"),
            (r#"measurementTagKeys(bucket: "b", measurement: "none")"#, ""),
            (r#"tagValues(bucket: "b", tag: "host")"#, "a b"),
            (r#"tagValues(bucket: "b", tag: "_field")"#, "idle usage used"),
            (r#"tagValues(bucket: "b", tag: "_measurement", start: 2026-01-01T00:00:30Z)"#, "cpu disk mem"),
            (r#"measurementTagValues(bucket: "b", measurement: "disk", tag: "host")"#, "b"),
        ] {
            assert_eq!(names(&format!("{package}.{call}")), expected, "{call}");
        }
    }
}

#[test]
fn predicates_that_the_storage_looks_at_and_others() {
    for (predicate, expected) in [
        ("(r) => true", "a b"),
        (r#"(r) => r._measurement == "cpu" and r.region == "east""#, "a"),
        (r#"(r) => r.host =~ /[b-z]/"#, "b"),
        // Values are looked at where they are.
        ("(r) => r._value > 40.0 and r._field == \"usage\"", "b"),
        // Not for the storage: by key, tags that a series lacks are null.
        (r#"(r) => exists r.path and strings.hasPrefix(v: r.host, prefix: "b")"#, "b"),
        (r#"(r) => not exists r.path and strings.toUpper(v: r._measurement) == "CPU""#, "a b"),
        (r#"(r) => strings.toUpper(v: r._measurement) == "CPU" and exists r.region"#, "a"),
        ("(r) => r._measurement == \"cpu\" and r._value * 2.0 > 90.0", "a b"),
        ("(r) => r._measurement == \"cpu\" and r._value * 2.0 < 10.0", "a"),
        ("(r) => r._time == 2026-01-01T00:01:00Z", "b"),
        ("(r) => false", ""),
    ] {
        let query = format!("schema.tagValues(bucket: \"b\", tag: \"host\", predicate: {predicate})");
        assert_eq!(names(&query), expected, "{predicate}");
    }
    let keys =
        r#"schema.tagKeys(bucket: "b", predicate: (r) => strings.toUpper(v: r._measurement) == "CPU")"#;
    assert_eq!(names(keys), "_start _stop _field _measurement host region");
    let keys = r#"schema.tagKeys(bucket: "b", predicate: (r) => strings.toUpper(v: r._measurement) == "X")"#;
    assert_eq!(names(keys), "");
    assert_eq!(names(r#"influxdb.cardinality(bucket: "b", start: -1h)"#), "5");
    let cpu = r#"influxdb.cardinality(bucket: "b", start: -1h, predicate: (r) => r._measurement == "cpu")"#;
    assert_eq!(names(cpu), "3");
}

#[test]
fn what_cannot_be_asked_is_said() {
    for (call, message) in [
        (
            r#"schema.tagValues(bucket: "b", tag: "_value")"#,
            "tagValues: _value is a column of every table, not a tag",
        ),
        (
            r#"schema.measurements(bucket: "b", start: -1h, stop: -2h)"#,
            "measurements: cannot query an empty range",
        ),
        (
            r#"schema.tagValues(bucket: "b", tag: "host", predicate: (r) => r._measurement + 1 == 2)"#,
            "unsupported binary expression string + int",
        ),
    ] {
        let got = names(call);
        assert!(got.trim_end().ends_with(message), "{got}");
    }
}

#[test]
fn databases_are_listed() {
    let answer = answer("import \"influxdata/influxdb/v1\"\nv1.databases()");
    assert_eq!(
        answer,
        "_result: \n organizationID:string databaseName:string retentionPolicy:string retentionPeriod:int \
         default:bool bucketID:string\n  b autogen 0 true \n"
    );
}

#[test]
fn what_is_not_here_says_why() {
    for (text, message) in [
        (
            "import \"slack\"\nbuckets()",
            "compilation failed: error @1:1-1:15: package slack is not available: a query reaches no other servers\n",
        ),
        (
            "import \"experimental/http/requests\"\nbuckets()",
            "compilation failed: error @1:1-1:36: package experimental/http/requests is not available: a query \
             reaches no other servers\n",
        ),
        (
            "import \"nothing\"\nbuckets()",
            "compilation failed: error @1:1-1:17: invalid import path nothing\n",
        ),
        (
            "buckets() |> to(bucket: \"b\")",
            "runtime error @1:14-1:29: to: a query writes nothing; write points with /write, or let a continuous \
             query do it\n",
        ),
    ] {
        assert_eq!(answer(text), message);
    }
}
