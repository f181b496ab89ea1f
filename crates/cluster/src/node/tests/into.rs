//! SELECT INTO through the node's own way of writing.

use std::fmt::Write;

use skywatch_model::FieldValue;
use skywatch_query::CancelToken;

use super::*;

const ROWS: i64 = 25_000;

/// A node with [`ROWS`] points of ten series.
fn loaded(directory: &Path) -> Arc<Node> {
    let node = open(directory).unwrap();
    query(&node, "CREATE DATABASE db; CREATE RETENTION POLICY hour ON db DURATION 1h REPLICATION 1");
    let mut body = String::new();
    for time in 0..ROWS {
        writeln!(body, "m,h=h{} v={time}i,s=\"text {time}\" {time}", time % 10).unwrap();
    }
    write(&node, None, &body).unwrap();
    node
}

/// What an INTO answers: how many points it wrote, or why it failed.
fn into(node: &Node, text: &str) -> Result<i64, String> {
    let result = query(node, text).pop().unwrap();
    match result.error {
        Some(error) => Err(error.to_string()),
        None => match result.series[0].values[1].get(0) {
            Some(FieldValue::Integer(written)) => Ok(written),
            other => panic!("{other:?} is no number of points"),
        },
    }
}

#[test]
fn several_batches_are_durable() {
    let directory = tempfile::tempdir().unwrap();
    let node = loaded(directory.path());
    let before = node.statistics().writes;
    assert_eq!(into(&node, "SELECT * INTO copy FROM m GROUP BY *"), Ok(ROWS));
    let writes = node.statistics().writes;
    // Three batches: of 10,000 points, and what is left.
    assert_eq!(writes.requests - before.requests, 3);
    assert_eq!(writes.points_written - before.points_written, ROWS as u64);
    node.close();
    drop(node);
    let node = open(directory.path()).unwrap();
    assert_eq!(times(&node, "SELECT v, s FROM copy"), (0..ROWS).collect::<Vec<_>>());
    assert_eq!(times(&node, "SELECT v FROM copy WHERE h = 'h3'").len() as i64, ROWS / 10);
}

#[test]
fn a_measurement_may_be_written_into_while_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let node = loaded(directory.path());
    assert_eq!(into(&node, "SELECT v * 2 AS w INTO m FROM m GROUP BY *"), Ok(ROWS));
    assert_eq!(times(&node, "SELECT v, w FROM m WHERE w >= 0").len() as i64, ROWS);
}

#[test]
fn refused_points_are_told_and_the_others_kept() {
    let directory = tempfile::tempdir().unwrap();
    let node = loaded(directory.path());
    write(&node, None, "typed v=1.5 7\ntyped other=1 1").unwrap();
    assert_eq!(
        into(&node, "SELECT v INTO typed FROM m WHERE time < 5"),
        Err("partial write: field type conflict: input field \"v\" on measurement \"typed\" is type integer, \
             already exists as type float dropped=5"
            .to_owned())
    );
    assert_eq!(
        into(&node, "SELECT v AS fits, s AS v INTO typed FROM m WHERE time < 2; SELECT fits FROM typed"),
        Err("not executed".to_owned())
    );
    assert_eq!(
        into(&node, "SELECT v INTO hour.old FROM m WHERE time < 3"),
        Err("partial write: points beyond retention policy dropped=3".to_owned())
    );
    assert_eq!(
        into(&node, "SELECT v INTO nopolicy.x FROM m"),
        Err("retention policy not found: nopolicy".to_owned())
    );
    let odd = into(&node, "SELECT v INTO \"two\\nlines\" FROM m").unwrap_err();
    assert!(odd.starts_with("cannot write to db.autogen.") && odd.contains("line feed"), "{odd}");
    assert_eq!(times(&node, "SELECT v FROM typed"), [7]);
}

#[test]
fn values_that_cannot_be_stored_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let node = loaded(directory.path());
    assert_eq!(into(&node, "SELECT exp(v * 1000) AS p, v INTO o FROM m WHERE time > 2 AND time < 5"), Ok(2));
    assert_eq!(times(&node, "SELECT v FROM o"), [3, 4]);
    assert!(times(&node, "SELECT p FROM o").is_empty());
    assert_eq!(into(&node, "SELECT sqrt(0 - v) INTO o FROM m WHERE time = 4"), Ok(0));
}

#[test]
fn a_query_that_is_stopped_writes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let node = loaded(directory.path());
    let cancel = CancelToken::new();
    cancel.kill();
    let mut errors = Vec::new();
    let mut sink = |result: StatementResult| {
        errors.extend(result.error.map(|error| error.to_string()));
        Ok(())
    };
    let request = QueryRequest::new("SELECT v INTO copy FROM m", "db", NOW_NS);
    node.executor().execute(&request, &cancel, &mut sink).unwrap();
    assert_eq!(errors, ["query interrupted"]);
    assert!(times(&node, "SELECT v FROM copy").is_empty());
}
