use super::*;

fn options() -> ParseOptions {
    ParseOptions { precision: Precision::Nanosecond, default_time_ns: 42 }
}

#[test]
fn good_and_bad_lines_side_by_side() {
    let body = b"cpu,host=a v=1i 10\nbad\n\n# a comment \"\ncpu,host=a v=2i\r\n\
                 mem,b=1,a=2 f=1.5,s=\"x\ny\",t=T 11\n,x v=1\n";
    let mut batch = PointBatch::new();
    let errors = parse(body, options(), &mut batch);
    assert_eq!(
        format!("{batch:?}"),
        "[cpu,host=a {\"v\": Integer(1)} 10, cpu,host=a {\"v\": Integer(2)} 42, mem,a=2,b=1 {\"f\": Float(1.5), \
         \"s\": String(\"x\\ny\"), \"t\": Boolean(true)} 11]"
    );
    assert_eq!(batch.points().map(|point| point.line()).collect::<Vec<_>>(), [1, 5, 6]);
    let said: Vec<_> = errors.iter().map(|error| (error.line, error.to_string())).collect();
    assert_eq!(
        said,
        [
            (2, "unable to parse 'bad': missing fields".to_owned()),
            (8, "unable to parse ',x v=1': missing measurement".to_owned())
        ]
    );
}
