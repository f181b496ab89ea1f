//! The hand-written expectations here were confirmed with a real InfluxDB 1.6.7, except those in
//! `differences_from_influxdb`.

use super::*;
use crate::{FieldRef, series};
use proptest::prelude::*;

const NANOSECONDS: ParseOptions = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 42 };

type Read = (Vec<String>, Vec<(u32, String)>);

fn read_with<'a>(
    parse: fn(&'a [u8], ParseOptions, &mut PointBatch<'a>) -> Vec<LineError>,
    body: &'a [u8],
    options: ParseOptions,
) -> Read {
    let mut batch = PointBatch::new();
    let errors = parse(body, options, &mut batch);
    check(&batch);
    let points = batch.points().map(|point| format!("{}: {point:?}", point.line())).collect();
    (points, errors.iter().map(|error| (error.line, error.to_string())).collect())
}

/// What holds for every batch.
fn check(batch: &PointBatch<'_>) {
    for point in batch.points() {
        assert_eq!(point.series_hash(), series::fnv1a64(point.series_key().as_bytes()));
        let (measurement, tags) = series::parse_key(point.series_key());
        assert_eq!(measurement, point.measurement());
        assert_eq!(series::make_key(&measurement, tags), point.series_key(), "a key is canonical");
        assert_eq!(point.shape().measurement(), point.measurement());
        let names: std::collections::BTreeSet<_> = point.fields().map(|(name, _)| name).collect();
        assert!(!names.is_empty() && names.len() == point.fields().len(), "names are distinct");
        assert!((crate::MIN_TIME..=crate::MAX_TIME).contains(&point.time()));
        assert_eq!(batch.series_key(point.series_ordinal()), point.series_key());
    }
}

fn read(body: &[u8]) -> Read {
    let read = read_with(parse, body, NANOSECONDS);
    assert_eq!(read, read_with(parse_exactly, body, NANOSECONDS), "{}", String::from_utf8_lossy(body));
    read
}

/// The only point of a body without errors.
fn point(body: &str) -> String {
    let (points, errors) = read(body.as_bytes());
    assert_eq!(errors, [], "{body}");
    assert_eq!(points.len(), 1, "{body}");
    points[0].strip_prefix("1: ").expect("it is on the first line").to_owned()
}

/// Why the only line of a body is refused.
fn reason(body: &str) -> String {
    let (points, errors) = read(body.as_bytes());
    assert!(points.is_empty() && errors.len() == 1, "{body}: {points:?} {errors:?}");
    let prefix = format!("unable to parse '{}': ", body.trim_start());
    errors[0].1.strip_prefix(&prefix).expect("the error repeats the line").to_owned()
}

#[test]
fn every_type() {
    assert_eq!(
        point("m f=-1.5e3,i=-7i,u=18446744073709551615u,s=\"x\",b=true 9"),
        "m {\"f\": Float(-1500.0), \"i\": Integer(-7), \"u\": Unsigned(18446744073709551615), \
         \"s\": String(\"x\"), \"b\": Boolean(true)} 9"
    );
}

#[test]
fn escapes_in_names() {
    assert_eq!(
        point(r#"m\ e\,a\"s\=u\re,t\ a\,g\=k\ey=v\ a\,l\=u\e f\ i\,e\"l\=d\x=1i 9"#),
        r#"m\ e\,a"s=u\re,t\ a\,g\=k\ey=v\ a\,l\=u\e {"f i,e\"l=d\\x": Integer(1)} 9"#
    );
    assert_eq!(point(r"m,t=a\\,b v=1i 9"), r#"m,t=a\\,b {"v": Integer(1)} 9"#);
    assert_eq!(point("m,t=\"a\\ b\" v=1i 9"), "m,t=\"a\\ b\" {\"v\": Integer(1)} 9");
    assert_eq!(point("m,t==b v=1i 9"), "m,t=\\=b {\"v\": Integer(1)} 9", "the first byte may be `=`");
    assert_eq!(point("=,a=b v=1i 9"), "=,a=b {\"v\": Integer(1)} 9");
    assert_eq!(point("ümlaut,ñ=ü \"k\"=1i 9"), "ümlaut,ñ=ü {\"\\\"k\\\"\": Integer(1)} 9");
    assert_eq!(point("m,t=a\\\nb v=1i 9"), "m,t=a\\\nb {\"v\": Integer(1)} 9");
}

#[test]
fn escapes_in_strings() {
    assert_eq!(point(r#"m v="a\"b\\c\d, =" 9"#), r#"m {"v": String("a\"b\\c\\d, =")} 9"#);
    assert_eq!(point(r#"m v="a\\" 9"#), r#"m {"v": String("a\\")} 9"#);
    assert_eq!(point("m v=\"\" 9"), "m {\"v\": String(\"\")} 9");
    assert_eq!(
        point("m v=\"two\nlines\",w=\"\r\n\" 9"),
        "m {\"v\": String(\"two\\nlines\"), \"w\": String(\"\\r\\n\")} 9"
    );
}

#[test]
fn tags_are_sorted_and_keys_borrowed_where_they_can_be() {
    assert_eq!(point("m,b=2,a=1 v=1i"), "m,a=1,b=2 {\"v\": Integer(1)} 42");
    assert_eq!(point(r"m,a\ b=2,a!=1,a=0 v=1i"), r#"m,a=0,a\ b=2,a!=1 {"v": Integer(1)} 42"#);
    let body = "m,a=1,b=2 v=1i 9\nm,a=1,b=2 v=2i 10".to_owned();
    let mut batch = PointBatch::new();
    assert_eq!(parse(body.as_bytes(), NANOSECONDS, &mut batch), []);
    assert!(body.as_bytes().as_ptr_range().contains(&batch.point(1).series_key().as_ptr()));
    assert_eq!((batch.series_count(), batch.shape_count()), (1, 1));
}

#[test]
fn whitespace() {
    let expected = "m {\"v\": Integer(1)} 5";
    for body in [
        " m v=1i 5",
        "\t\0 m v=1i 5",
        "m  v=1i   5",
        "m \tv=1i \t5",
        "m v=1i 5   ",
        "m v=1i 5\n",
        "m v=1i 5 \n",
    ] {
        assert_eq!(point(body), expected, "{body:?}");
    }
    assert_eq!(point("m v=1i  "), "m {\"v\": Integer(1)} 42");
    assert_eq!(point("m v\t=1i 5"), "m {\"v\\t\": Integer(1)} 5", "a tab is part of a name");
    assert_eq!(read(b"\n \n\t\n  # comment\n#\n"), (vec![], vec![]));
}

#[test]
fn the_last_of_a_repeated_field_counts() {
    assert_eq!(point("m v=1,w=2,v=3 9"), "m {\"w\": Float(2.0), \"v\": Float(3.0)} 9");
    let many: Vec<_> = (0..100).map(|at| format!("f{}={at}i", at % 50)).collect();
    let (points, _) = read(format!("m {}", many.join(",")).as_bytes());
    assert!(points[0].contains("\"f0\": Integer(50)") && points[0].contains("\"f49\": Integer(99)"));
}

#[test]
fn refused_keys() {
    for (body, expected) in [
        (",host=a v=1", "missing measurement"),
        ("cpu", "missing fields"),
        ("cpu,host=a", "missing fields"),
        ("cpu\\ v=1", "missing fields"),
        ("cpu,", "missing tag key"),
        ("cpu,=a v=1", "missing tag key"),
        ("cpu, v=1", "missing tag key"),
        ("cpu,a=b, v=1", "missing tag key"),
        ("cpu,host v=1", "missing tag value"),
        ("cpu,host", "missing tag value"),
        ("cpu,host= v=1", "missing tag value"),
        ("cpu,host=,a=b v=1", "missing tag value"),
        ("cpu,a=b=c v=1", "invalid tag format"),
        ("cpu,a=1,a=2 v=1", "duplicate tags"),
        ("cpu,b=1,a=2,b=3 v=1", "duplicate tags"),
        (r"cpu,a\ b=1,a\ b=3 v=1", "duplicate tags"),
    ] {
        assert_eq!(reason(body), expected, "{body}");
    }
}

#[test]
fn refused_fields() {
    for (body, expected) in [
        ("cpu ", "invalid field format"),
        ("cpu v", "invalid field format"),
        ("cpu v=1,", "invalid field format"),
        ("cpu v=1,w", "invalid field format"),
        ("cpu v=1,,w=2", "invalid field format"),
        ("cpu a,b=1", "invalid field format"),
        ("cpu v =1", "invalid field format"),
        ("cpu =1", "missing field key"),
        ("cpu v=1,=2", "missing field key"),
        ("cpu v=", "missing field value"),
        ("cpu v=,w=1", "missing field value"),
        ("cpu v= 1", "missing field value"),
        ("cpu v=\"abc", "unbalanced quotes"),
        ("cpu v=\"abc\\\"", "unbalanced quotes"),
        ("cpu v=\"a\n1\n", "unbalanced quotes"),
        ("cpu v=NaN", "invalid number"),
        ("cpu v=-inf", "invalid number"),
        ("cpu v=1 5,w=2", "bad timestamp"),
        ("cpu v=1\t5", "invalid number"),
        ("cpu v=1e", "invalid float"),
        ("cpu v=1e400", "invalid float"),
        ("cpu v=Inf", "invalid boolean"),
        ("cpu v=+1", "invalid boolean"),
        ("cpu v=tRUE", "invalid boolean"),
        ("cpu v==1", "invalid boolean"),
    ] {
        if let Some(line) = body.strip_suffix('\n') {
            let (points, errors) = read(body.as_bytes());
            assert_eq!(
                (points, errors),
                (vec![], vec![(1, format!("unable to parse '{line}': {expected}"))])
            );
        } else {
            assert_eq!(reason(body), expected, "{body}");
        }
    }
}

#[test]
fn refused_timestamps() {
    for (body, expected) in [
        ("cpu v=1 abc", "bad timestamp"),
        ("cpu v=1 1.5", "bad timestamp"),
        ("cpu v=1 1-5", "bad timestamp"),
        ("cpu v=1 1 2", "point is invalid"),
        ("cpu v=1 1 w=2", "point is invalid"),
        ("cpu v=1 -", "strconv.ParseInt: parsing \"-\": invalid syntax"),
        (
            "cpu v=1 9223372036854775808",
            "strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
        ),
        ("cpu v=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806"),
        ("cpu v=1 -9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806"),
    ] {
        assert_eq!(reason(body), expected, "{body}");
    }
    assert_eq!(point("m v=1 9223372036854775806"), "m {\"v\": Float(1.0)} 9223372036854775806");
    assert_eq!(point("m v=1 -9223372036854775806"), "m {\"v\": Float(1.0)} -9223372036854775806");
}

#[test]
fn precisions() {
    for (precision, time, default) in [
        (Precision::Nanosecond, 3, 7_201_002_003_004),
        (Precision::Microsecond, 3_000, 7_201_002_003_000),
        (Precision::Millisecond, 3_000_000, 7_201_002_000_000),
        (Precision::Second, 3_000_000_000, 7_201_000_000_000),
        (Precision::Minute, 180_000_000_000, 7_200_000_000_000),
        (Precision::Hour, 10_800_000_000_000, 7_200_000_000_000),
    ] {
        let options = ParseOptions { precision, default_time_ns: 7_201_002_003_004 };
        let mut batch = PointBatch::new();
        assert_eq!(parse(b"m v=1 3\nm v=1", options, &mut batch), []);
        let times: Vec<_> = batch.points().map(|point| point.time()).collect();
        assert_eq!(times, [time, default]);
    }
    let options = ParseOptions { precision: Precision::Hour, default_time_ns: 0 };
    let read = read_with(parse, b"m v=1 9223372036854775806", options);
    assert!(read.1[0].1.ends_with("time outside range -9223372036854775806 - 9223372036854775806"));
}

#[test]
fn key_lengths() {
    let tag = |length: usize| format!("m,t={} v=1i", "x".repeat(length - "m,t=".len()));
    assert!(point(&tag(65_530)).starts_with("m,t=x"));
    assert_eq!(reason_of_long(&tag(65_531)), "max key length exceeded: 65536 > 65535");
    assert_eq!(reason_of_long(&tag(65_536)), "max key length exceeded: 65536 > 65535");
    let field = format!("m {}=1i", "f".repeat(65_531));
    assert_eq!(reason_of_long(&field), "max key length exceeded: 65536 > 65535");
    assert!(point(&format!("m {}=1i", "f".repeat(65_530))).starts_with("m {\"fff"));
}

fn reason_of_long(body: &str) -> String {
    let (points, errors) = read(body.as_bytes());
    assert!(points.is_empty() && errors.len() == 1);
    errors[0].1.rsplit_once("...': ").expect("the line is shortened").1.to_owned()
}

#[test]
fn good_and_bad_lines_side_by_side() {
    let body = b"cpu,host=a v=1i 10\nbad\n\ncpu,host=a v=2i\r\n\
                 mem,b=1,a=2 f=1.5,s=\"x\ny\",t=T 11\n,x v=1\r\ncpu,host=a v=3i";
    let (points, errors) = read(body);
    assert_eq!(
        points,
        [
            "1: cpu,host=a {\"v\": Integer(1)} 10",
            "4: cpu,host=a {\"v\": Integer(2)} 42",
            "5: mem,a=2,b=1 {\"f\": Float(1.5), \"s\": String(\"x\\ny\"), \"t\": Boolean(true)} 11",
            "8: cpu,host=a {\"v\": Integer(3)} 42",
        ]
    );
    assert_eq!(
        errors,
        [
            (2, "unable to parse 'bad': missing fields".to_owned()),
            (7, "unable to parse ',x v=1': missing measurement".to_owned()),
        ]
    );
}

#[test]
fn differences_from_influxdb() {
    assert_eq!(reason("m v=\"a\"b"), "invalid field format");
    assert_eq!(reason("m v=\"a\"\"b\""), "invalid field format");
    assert_eq!(reason(r"m a\\=1,b=2"), "invalid field format");
    assert_eq!(point(r"m a\\ b=1i 5"), r#"m {"a\\ b": Integer(1)} 5"#);
    assert_eq!(point("m v=1,v=\"x\" 5"), "m {\"v\": String(\"x\")} 5");
    let (points, errors) = read(b"# an odd \" quote, v=\"\nm v=1i 5\n  # and \"\nm v=2i 6");
    assert_eq!((points.len(), errors), (2, vec![]));
    let (points, errors) = read(b"a v=1i 5\nb,t=\xff v=1i 5\nb v=\"\xff\n\" 6\n# \xff\nc v=1i 5");
    assert_eq!(points, ["1: a {\"v\": Integer(1)} 5", "6: c {\"v\": Integer(1)} 5"]);
    assert_eq!(
        errors,
        [
            (2, "unable to parse 'b,t=\u{fffd} v=1i 5': invalid UTF-8 at byte 4 of the line".to_owned()),
            (3, "unable to parse 'b v=\"\u{fffd}\n\" 6': invalid UTF-8 at byte 5 of the line".to_owned()),
        ]
    );
}

#[test]
fn errors_are_described_up_to_a_limit_and_counted_beyond() {
    let body = "x\n".repeat(MAX_LINE_ERRORS + 7);
    let mut batch = PointBatch::new();
    let errors = parse(body.as_bytes(), NANOSECONDS, &mut batch);
    assert_eq!(errors.len(), MAX_LINE_ERRORS);
    assert_eq!(batch.rejected(), MAX_LINE_ERRORS as u64 + 7);
    batch.clear();
    assert_eq!(batch.rejected(), 0);
}

#[test]
fn refused_lines_leave_no_series_behind() {
    let mut batch = PointBatch::new();
    let errors =
        parse(b"a,t=1 v=x\nb,z=1,y=2 v=nan\nc,z=1,y=2 v=1i\nb,z=1,y=2 v=1i", NANOSECONDS, &mut batch);
    assert_eq!(errors.len(), 2);
    let keys: Vec<_> = (0..batch.series_count() as u32).map(|series| batch.series_key(series)).collect();
    assert_eq!(keys, ["c,y=2,z=1", "b,y=2,z=1"]);
}

#[test]
fn shapes_are_shared_between_points_and_told_apart() {
    let body = b"a,t=1 x=1i,y=2 1\na,t=2 x=1i,y=2 1\na,t=1 x=1i 2\na,t=1 x=1i,y=2 3\nb,t=1 x=1i,y=2 1\n\
                 a,t=1 x=1.0,y=2 4\na,t=1 x=1i,y=2,z=t 5\na,t=1 y=2,x=1i 6\na,t=2 x=1i,y=2 7";
    let mut batch = PointBatch::new();
    assert_eq!(parse(body, NANOSECONDS, &mut batch), []);
    let ordinals: Vec<_> = batch.points().map(|point| point.shape_ordinal()).collect();
    assert_eq!(ordinals, [0, 0, 1, 0, 2, 3, 4, 5, 0]);
    assert_eq!(batch.shape_count(), 6);
    assert_eq!(format!("{:?}", batch.shape(4)), "a {\"x\": Integer, \"y\": Float, \"z\": Boolean}");
}

/// Found by fuzzing and by thinking about what it found: an expected name is compared with text that may have
/// escapes.
#[test]
fn expected_names_with_escapes_are_not_taken_for_text_without() {
    let names = |body: &str| -> Vec<String> {
        let (points, _) = read(body.as_bytes());
        points.iter().map(|point| point.split(['{', '}']).nth(1).expect("fields").to_owned()).collect()
    };
    assert_eq!(names("m \\\\,v=1i\nm \\,v=2i"), ["\"\\\\,v\": Integer(1)", "\",v\": Integer(2)"]);
    assert_eq!(names("m a=1i,\\,v=1i\nm a=1i,,v=2i"), ["\"a\": Integer(1), \",v\": Integer(1)"]);
    assert_eq!(names("m a\\ b=1i\nm a b=2i"), ["\"a b\": Integer(1)"]);
    assert_eq!(
        names("m a=1i,\tv=2i,a=3i\nm \tv=4i,a=5i"),
        ["\"a\": Integer(3), \"\\tv\": Integer(2)", "\"v\": Integer(4), \"a\": Integer(5)"]
    );
}

#[test]
fn a_batch_is_reusable() {
    let first = "m,b=1,a=2 s=\"x\\\"\",v=1 1".to_owned();
    let mut batch = PointBatch::new();
    parse(first.as_bytes(), NANOSECONDS, &mut batch);
    let mut batch = batch.recycle();
    assert!(batch.is_empty());
    let second = "n,d=1,c=2 s=\"y\\\"\",v=2 1\nbad".to_owned();
    assert_eq!(parse(second.as_bytes(), NANOSECONDS, &mut batch).len(), 1);
    assert_eq!(format!("{batch:?}"), "[n,c=2,d=1 {\"s\": String(\"y\\\"\"), \"v\": Float(2.0)} 1]");
}

/// A line that is often right: from pieces that mean something.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "cpu",
        "m,a=1",
        ",host=a",
        ",b=x\\ y",
        " ",
        " v=1",
        ",v=1i",
        ",w=\"s\"",
        ",x=\"a\\\"b\"",
        "\"",
        "=",
        ",",
        "\\",
        "\\ ",
        "\\,",
        "\n",
        "\r\n",
        " 17",
        " -5",
        "#",
        "t",
        "True",
        "1e5",
        ".5",
        "-",
        "u",
        "i",
        "\t",
        "\0",
        "ä",
        "e",
        "9223372036854775807",
        "\"two\nlines\"",
        "cpu,host=a usage=1i,idle=2.5 100\n",
        "cpu,host=a usage=1i,idle=2.5 101\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn any_value() -> impl Strategy<Value = crate::FieldValue> {
    use crate::FieldValue;
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(FieldValue::Float),
        any::<i64>().prop_map(FieldValue::Integer),
        any::<u64>().prop_map(FieldValue::Unsigned),
        "[a-z\"\\\\ ,=\\n\\rä]{0,8}".prop_map(|text| FieldValue::String(text.into())),
        any::<bool>().prop_map(FieldValue::Boolean),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_short_path_agrees_with_the_exact_one(body in pieces()) {
        read(&body);
    }

    #[test]
    fn any_bytes_can_be_read(body: Vec<u8>) {
        read(&body);
    }

    #[test]
    fn points_come_back_from_their_text(
        measurement in "[a-z ,=\"\\\\ä]{0,6}[a-z]",
        tags in prop::collection::btree_map("[a-z ,=\"\\\\ä]{0,5}[a-z]", "[a-z ,=\"\\\\ä]{0,5}[a-z]", 0..4),
        points in prop::collection::vec(
            (prop::collection::btree_map("[a-z ,=\"\\\\ä]{0,5}[a-z]", any_value(), 1..5), crate::MIN_TIME..=crate::MAX_TIME),
            1..5,
        ),
    ) {
        let key = series::make_key(&measurement, &tags);
        let mut pushed = PointBatch::new();
        let mut text = String::new();
        for (fields, time) in &points {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
            prop_assert_eq!(pushed.push(&key, *time, fields), Ok(()));
        }
        check_pushed(&pushed, &key, &points);
        for point in pushed.points() {
            point.append_line(&mut text);
        }
        let mut batch = PointBatch::new();
        prop_assert_eq!(parse(text.as_bytes(), NANOSECONDS, &mut batch), []);
        check_pushed(&batch, &key, &points);
        read(text.as_bytes());
    }
}

fn check_pushed(
    batch: &PointBatch<'_>,
    key: &str,
    points: &[(std::collections::BTreeMap<String, crate::FieldValue>, i64)],
) {
    check(batch);
    assert_eq!(batch.len(), points.len());
    for (point, (fields, time)) in batch.points().zip(points) {
        assert_eq!((point.series_key(), point.time()), (key, *time));
        let read: Vec<(String, crate::FieldValue)> =
            point.fields().map(|(name, value)| (name.to_owned(), FieldRef::to_owned(value))).collect();
        assert_eq!(read, fields.clone().into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn no_changed_byte_breaks_the_reader() {
    let body = b"m\\ x,a=1,b=x\\,y v=1.5,i=-7i,s=\"a\\\"b\nc\",t=T 17\ncpu,host=a usage=1i,idle=2.5 100\r\n";
    for at in 0..body.len() {
        for byte in 0..=u8::MAX {
            let mut changed = body.to_vec();
            changed[at] = byte;
            read(&changed);
        }
        read(&body[..at]);
        let mut shorter = body.to_vec();
        shorter.remove(at);
        read(&shorter);
    }
}
