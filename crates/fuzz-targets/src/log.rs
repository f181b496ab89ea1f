//! What nodes read of the log that a cluster writes through, and of how far it has been applied: others may write to the
//! topic, and a file may be damaged.

use bytes::Bytes;
use skywatch_model::line::PointBatch;
use skywatch_replication::{
    log::positions_in,
    operation::{Action, Target, decode, peek},
};

const MAGIC: &[u8] = b"SkOp";

fn lines(batch: &PointBatch<'_>) -> Vec<String> {
    let line = |point| {
        let mut line = String::new();
        batch.point(point).append_line(&mut line);
        line
    };
    (0..batch.len()).map(line).collect()
}

/// A record: what is read of it is written as it was read, and what is asked of it without reading it is the same.
pub(crate) fn record(bytes: &[u8]) {
    let Some(operation) = bytes.strip_prefix(MAGIC) else { return };
    let peeked = peek(Bytes::copy_from_slice(operation));
    let Ok(read) = decode(operation) else { return };
    let peeked = peeked.expect("all of it can be read");
    assert_eq!((peeked.shard, peeked.version), (read.shard, read.version));
    let target =
        Target { shard: read.shard, range: read.range, database: &read.database, version: read.version };
    match &read.action {
        Action::Write(batch) => {
            let points: Vec<u32> = (0..).take(batch.len()).collect();
            let written = target.write(batch, &points);
            let again = decode(&written.bytes).expect("it was written just now");
            let Action::Write(again) = again.action else { panic!("a write becomes {again:?}") };
            assert_eq!(lines(&again), lines(batch));
        }
        Action::Delete(rule, times) => {
            let written = target.delete(rule, *times);
            let again = decode(&written.bytes).expect("it was written just now");
            let Action::Delete(rule_again, times_again) = again.action else {
                panic!("a delete becomes {again:?}")
            };
            assert_eq!(format!("{rule_again:?} {times_again:?}"), format!("{rule:?} {times:?}"));
        }
    }
}

/// The file that says how far the log has been applied.
pub(crate) fn positions(bytes: &[u8]) {
    let _refused = positions_in(bytes);
}
