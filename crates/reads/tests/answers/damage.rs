//! What a query answers where copies of shards turn out damaged while it reads them.

use std::sync::Arc;

use skywatch_meta::NodeId;
use skywatch_model::{FieldType, RowBlock, TimeRange};
use skywatch_query::{QueryRequest, Reading};
use skywatch_reads::{Asking, Damaged, Patience, RemoteShard, Unreachable, router};
use skywatch_rpc::Router;
use skywatch_storage::{
    BlockStats, BlockStream, End, Order, ReadError, ScanBlock, ScanRequest, Scanner, SeriesRef, ShardRead,
    SpanStats, TagPredicate,
};

use crate::{
    ALL_KNOWN, Bench, Fails, NOTHING_KNOWN, Node, Pair, QUERIES, Shards, StandIns, WEEK,
    shards as whole_shards,
};

/// Where a damaged copy shows that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// As soon as one of the series with an even number is looked for.
    AtOnce,
    /// When so many blocks of a series have been handed out.
    After(u64),
    /// In the rows of every block of a series whose place is a multiple of this number.
    Every(u64),
    /// In the rows of the block of a series at this place.
    In(u64),
}

/// A copy of a shard, some of which cannot be read.
#[derive(Debug)]
struct DamagedCopy {
    whole: Arc<dyn ShardRead>,
    shows: Shows,
}

fn damage() -> ReadError {
    ReadError::Corrupt { file: "7.seg".into(), offset: 42, reason: "checksum mismatch".into() }
}

const TOLD: &str = "7.seg: block at offset 42 is damaged: checksum mismatch";

impl ShardRead for DamagedCopy {
    fn time_range(&self) -> TimeRange {
        self.whole.time_range()
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.whole.measurements()
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.whole.fields(measurement)
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.whole.tag_keys(measurement)
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.whole.tag_values(measurement, key)
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        self.whole.select_series(measurement, predicate)
    }

    fn series_tags(&self, series: SeriesRef) -> Vec<(Arc<str>, Arc<str>)> {
        self.whole.series_tags(series)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.whole.series_key(series)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        Ok(Box::new(DamagedScanner { whole: self.whole.scanner(request)?, shows: self.shows }))
    }
}

struct DamagedScanner<'a> {
    whole: Box<dyn Scanner + 'a>,
    shows: Shows,
}

impl Scanner for DamagedScanner<'_> {
    fn scan(
        &self,
        series: SeriesRef,
        range: TimeRange,
        order: Order,
    ) -> Result<Box<dyn BlockStream + '_>, ReadError> {
        if self.shows == Shows::AtOnce && series.0.is_multiple_of(2) {
            return Err(damage());
        }
        let whole = self.whole.scan(series, range, order)?;
        Ok(Box::new(DamagedStream { whole, shows: self.shows, blocks: 0 }))
    }
}

struct DamagedStream<'a> {
    whole: Box<dyn BlockStream + 'a>,
    shows: Shows,
    blocks: u64,
}

impl BlockStream for DamagedStream<'_> {
    fn next_block(&mut self) -> Result<Option<Box<dyn ScanBlock + '_>>, ReadError> {
        let place = self.blocks;
        self.blocks += 1;
        let is_damaged = match self.shows {
            Shows::After(blocks) if place >= blocks => return Err(damage()),
            Shows::AtOnce | Shows::After(_) => false,
            Shows::Every(blocks) => place.is_multiple_of(blocks),
            Shows::In(block) => place == block,
        };
        let block = self.whole.next_block()?;
        Ok(block.map(|whole| Box::new(DamagedBlock { whole, is_damaged }) as _))
    }
}

struct DamagedBlock<'a> {
    whole: Box<dyn ScanBlock + 'a>,
    is_damaged: bool,
}

impl ScanBlock for DamagedBlock<'_> {
    fn time_range(&self) -> TimeRange {
        self.whole.time_range()
    }

    fn stats(&self, field_index: usize) -> Option<&BlockStats> {
        self.whole.stats(field_index)
    }

    fn spans(&self, field_index: usize) -> Option<&[SpanStats]> {
        self.whole.spans(field_index)
    }

    fn end_row(&self, end: End) -> Option<RowBlock> {
        self.whole.end_row(end)
    }

    fn decode_within(&self, range: TimeRange) -> Result<RowBlock, ReadError> {
        if self.is_damaged { Err(damage()) } else { self.whole.decode_within(range) }
    }
}

fn damaged(whole: &[Arc<dyn ShardRead>], shows: Shows) -> Vec<Arc<dyn ShardRead>> {
    let one = |whole: &Arc<dyn ShardRead>| Arc::new(DamagedCopy { whole: Arc::clone(whole), shows }) as _;
    whole.iter().map(one).collect()
}

fn answering(shards: &[Arc<dyn ShardRead>]) -> Router {
    router(Arc::new(Shards(shards.to_vec())), |work| work())
}

/// A node with copies of its own, of which these are the stand-ins.
fn own(bench: &Bench, copies: Vec<Arc<dyn ShardRead>>, stand_ins: StandIns, pair: &Arc<Pair>) -> Node {
    Node {
        shards: copies,
        is_remote: |_| false,
        stand_ins: Some(stand_ins),
        pair: Arc::clone(pair),
        remembered: Arc::default(),
        runtime: bench.runtime.handle().clone(),
    }
}

#[test]
fn what_turns_out_damaged_here_is_read_from_another_owner_wherever_it_shows() {
    for (seed, statistics) in [(7, NOTHING_KNOWN), (11, ALL_KNOWN)] {
        let bench = Bench::new(whole_shards(9, 700, statistics, seed));
        let whole = answering(&bench.shards);
        for text in QUERIES {
            let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
            let request = QueryRequest::new(*text, "db", 2 * WEEK);
            for shows in [
                Shows::AtOnce,
                Shows::After(0),
                Shows::After(3),
                Shows::Every(1),
                Shows::Every(3),
                Shows::In(6),
            ] {
                for fails in [[Fails::Never; 2], [Fails::After(2), Fails::Never]] {
                    let pair = Pair::of([whole.clone(), whole.clone()], fails);
                    let node = own(&bench, damaged(&bench.shards, shows), Ok, &pair);
                    let (answer, _) = node.ask(&request);
                    assert!(
                        answer == expected,
                        "seed {seed}, {text}, {shows:?}, {fails:?}\n{answer}\ninstead of\n{expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_more_is_read_elsewhere_than_what_is_damaged() {
    let bench = Bench::new(whole_shards(9, 700, NOTHING_KNOWN, 7));
    let whole = answering(&bench.shards);
    let pair = Pair::of([whole.clone(), whole], [Fails::Never; 2]);
    let node = own(&bench, damaged(&bench.shards, Shows::In(3)), Ok, &pair);
    node.ask(&QueryRequest::new("SELECT f FROM cpu WHERE host = 'h3'", "db", 2 * WEEK));
    // Of one series in each of two weeks.
    assert_eq!(pair.calls(), [2, 0]);
}

#[test]
fn where_nobody_stands_in_the_damage_is_what_is_told() {
    let bench = Bench::new(whole_shards(5, 700, NOTHING_KNOWN, 3));
    let whole = answering(&bench.shards);
    let broken = answering(&damaged(&bench.shards, Shows::After(0)));
    let nobody = |_| Err("no other owner holds all of the shard".to_owned());
    let cases: [(StandIns, &Router, [Fails; 2]); 4] = [
        (nobody, &whole, [Fails::Never; 2]),
        (Ok, &whole, [Fails::After(0), Fails::Incomplete]),
        (Ok, &whole, [Fails::After(3), Fails::Incomplete]),
        (Ok, &broken, [Fails::Never; 2]),
    ];
    for text in QUERIES.iter().filter(|text| text.starts_with("SELECT") && text.contains("FROM cpu")) {
        let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
        for (stand_ins, others, fails) in cases {
            for allows_partial in [false, true] {
                let pair = Pair::of([others.clone(), others.clone()], fails);
                let node = own(&bench, damaged(&bench.shards, Shows::After(0)), stand_ins, &pair);
                let request = QueryRequest { allows_partial, ..QueryRequest::new(*text, "db", 2 * WEEK) };
                let (answer, _) = node.ask(&request);
                // Three answers may have been enough.
                let is_whole = fails[0] == Fails::After(3) && answer == expected;
                assert!(
                    is_whole || answer.contains(&format!("error: {TOLD}")),
                    "{text}, {fails:?}: {answer}"
                );
            }
        }
    }
}

#[test]
fn an_owner_whose_copy_is_damaged_is_passed_over() {
    for (seed, statistics) in [(7, NOTHING_KNOWN), (11, ALL_KNOWN)] {
        let bench = Bench::new(whole_shards(9, 700, statistics, seed));
        for text in QUERIES {
            let (expected, _) = bench.ask(text, |_| false, [Fails::Never; 2]);
            for shows in [Shows::AtOnce, Shows::After(3), Shows::Every(3)] {
                let broken = answering(&damaged(&bench.shards, shows));
                let pair = Pair::of([broken, answering(&bench.shards)], [Fails::Never; 2]);
                let node = Node { is_remote: |_| true, ..own(&bench, bench.shards.clone(), Ok, &pair) };
                let (answer, _) = node.ask(&QueryRequest::new(*text, "db", 2 * WEEK));
                assert!(answer == expected, "{text}, {shows:?}\n{answer}\ninstead of\n{expected}");
            }
        }
    }
}

/// The first series of the first shard, of the node's two owners, and what comes of reading it.
fn read_twice(bench: &Bench, pair: &Arc<Pair>) -> [Result<usize, ReadError>; 2] {
    let asking = Asking {
        runtime: bench.runtime.handle().clone(),
        transport: Arc::clone(pair) as _,
        unreachable: Arc::new(Unreachable::default()),
        remembered: Arc::default(),
        patience: Patience::default(),
        reading: Reading::default(),
        shard: 0,
        owners: vec![(NodeId(1), "one".to_owned()), (NodeId(2), "two".to_owned())],
        damaged: Damaged::default(),
    };
    let range = TimeRange::new(0, WEEK - 1);
    let shard = RemoteShard::new(asking, range);
    let series = shard.select_series("cpu", &TagPredicate::All).expect("its series can be read");
    let fields = [Arc::from("f")];
    let scanner = shard.scanner(&ScanRequest::new("cpu", &fields)).expect("nothing is read yet");
    [0, 1].map(|_| {
        let mut stream = scanner.scan(series[0], range, Order::Ascending)?;
        let mut rows = 0;
        while let Some(block) = stream.next_block()? {
            rows += block.decode()?.times.len();
        }
        Ok(rows)
    })
}

#[test]
fn an_owner_whose_copy_is_damaged_is_asked_once() {
    let bench = Bench::new(whole_shards(4, 700, NOTHING_KNOWN, 3));
    let broken = answering(&damaged(&bench.shards, Shows::In(2)));
    let pair = Pair::of([broken.clone(), answering(&bench.shards)], [Fails::Never; 2]);
    assert!(matches!(read_twice(&bench, &pair), [Ok(700), Ok(700)]));
    // Series; then rows, of which only the second owner is asked again.
    assert_eq!(pair.calls(), [2, 2]);

    // Where there is no other owner, the same is told without anybody being asked again.
    let pair = Pair::of([broken.clone(), broken], [Fails::Never; 2]);
    for refused in read_twice(&bench, &pair) {
        let refused = refused.expect_err("nobody can read it").to_string();
        let told = ["node 1: one: ", "node 2: two: "].map(|node| format!("{node}{TOLD}"));
        assert!(told.iter().all(|told| refused.contains(told)), "{refused}");
    }
    assert_eq!(pair.calls(), [2, 1]);
}
