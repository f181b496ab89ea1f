use skywatch_query::{MemoryShard, MemoryStatistics};

use super::*;

/// A host, times, and by field the values at these times.
type Series<'a> = (&'a str, &'a [i64], &'a [(&'a str, Values)]);

fn shard(range: TimeRange, series: &[Series<'_>]) -> Arc<dyn ShardRead> {
    let mut shard = MemoryShard::new(range, 3, MemoryStatistics::default());
    for (host, times, fields) in series {
        let column = |values: &Values| Column { values: values.clone(), valid: None };
        let columns = fields.iter().map(|(name, values)| (Arc::from(*name), column(values))).collect();
        let tags: [(Arc<str>, Arc<str>); 1] = [("host".into(), (*host).into())];
        shard.add_series(&Arc::from("m"), tags.into(), times.to_vec(), columns);
    }
    Arc::new(shard)
}

fn ints(values: &[i64]) -> Values {
    Values::Integer(values.to_vec())
}

/// A group that was cut at 50 with points beyond it, and one that came after it.
fn groups() -> Vec<GroupShards> {
    let (whole, rest) = (TimeRange::new(0, 99), TimeRange::new(50, 99));
    let old = shard(
        whole,
        &[
            (
                "a",
                &[10, 20, 60, 70, 80, 90],
                &[("v", ints(&[1, 2, 3, 4, 5, 6])), ("w", ints(&[11, 12, 13, 14, 15, 16]))],
            ),
            ("b", &[10, 20], &[("v", ints(&[1, 2]))]),
        ],
    );
    let new =
        shard(rest, &[("a", &[55, 70, 95], &[("v", ints(&[7, 8, 9]))]), ("b", &[60], &[("v", ints(&[3]))])]);
    vec![
        GroupShards { id: 1, range: whole, cut_ns: Some(50), shards: vec![old] },
        GroupShards { id: 2, range: rest, cut_ns: None, shards: vec![new] },
    ]
}

/// All rows of a host, in the order of the blocks; those of a block ascend.
fn rows(
    shards: &[Arc<dyn ShardRead>],
    host: &str,
    range: TimeRange,
    order: Order,
) -> Vec<(i64, Vec<Option<FieldValue>>)> {
    let fields: [Arc<str>; 2] = ["v".into(), "w".into()];
    let mut found = Vec::new();
    for shard in shards {
        let predicate = TagPredicate::Equal { key: "host".into(), value: host.into() };
        let series = shard.select_series("m", &predicate).unwrap();
        let scanner = shard.scanner(&ScanRequest::new("m", &fields)).unwrap();
        for series in series {
            assert_eq!(&*shard.series_key(series), format!("m,host={host}"));
            let mut stream = scanner.scan(series, range, order).unwrap();
            while let Some(block) = stream.next_block().unwrap() {
                assert!(range.covers(block.time_range()));
                let block = block.decode().unwrap();
                let row = |row: usize| {
                    block.columns.iter().map(|column| column.as_ref().and_then(|it| it.get(row))).collect()
                };
                found.extend((0..block.times.len()).map(|place| (block.times[place], row(place))));
            }
        }
    }
    found
}

fn int(value: i64) -> Option<FieldValue> {
    Some(FieldValue::Integer(value))
}

#[test]
fn a_point_on_both_sides_of_a_cut_is_there_once() {
    let shards = apart(groups());
    assert_eq!(
        shards.iter().map(|shard| shard.time_range()).collect::<Vec<_>>(),
        [TimeRange::new(0, 49), TimeRange::new(50, 99)]
    );
    let expected = vec![
        (10, vec![int(1), int(11)]),
        (20, vec![int(2), int(12)]),
        (55, vec![int(7), None]),
        (60, vec![int(3), int(13)]),
        // What was written again counts, and what was not stays.
        (70, vec![int(8), int(14)]),
        (80, vec![int(5), int(15)]),
        (90, vec![int(6), int(16)]),
        (95, vec![int(9), None]),
    ];
    assert_eq!(rows(&shards, "a", TimeRange::ALL, Order::Ascending), expected);
    let mut descending = rows(&shards[1..], "a", TimeRange::ALL, Order::Descending);
    descending.sort_by_key(|(time, _)| *time);
    assert_eq!(descending, expected[2..]);
    let narrow = rows(&shards, "a", TimeRange::new(20, 70), Order::Ascending);
    assert_eq!(narrow, expected[1..5]);
    // A series that the cut group has nothing of beyond the cut is read where it is.
    let others: Vec<i64> =
        rows(&shards, "b", TimeRange::ALL, Order::Ascending).iter().map(|(time, _)| *time).collect();
    assert_eq!(others, [10, 20, 60]);
    assert_eq!(shards[1].select_series("m", &TagPredicate::All).unwrap().len(), 2);
    assert_eq!(shards[1].tag_values("m", "host").unwrap().len(), 2);
}

#[test]
fn a_field_whose_type_has_changed_since_keeps_both() {
    let mut groups = groups();
    let floats = Values::Float(vec![0.5, 1.5]);
    groups[1].shards = vec![shard(TimeRange::new(50, 99), &[("a", &[70, 85], &[("v", floats)])])];
    let shards = apart(groups);
    let found: Vec<_> = rows(&shards, "a", TimeRange::new(60, 90), Order::Ascending)
        .into_iter()
        .map(|(time, row)| (time, row[0].clone()))
        .collect();
    let float = |value| Some(FieldValue::Float(value));
    assert_eq!(found, [(60, int(3)), (70, float(0.5)), (80, int(5)), (85, float(1.5)), (90, int(6))]);
    assert_eq!(shards[1].fields("m").unwrap().len(), 3);
}

#[test]
fn groups_that_do_not_overlap_are_left_alone() {
    let mut separate = groups();
    separate[0].range = TimeRange::new(0, 49);
    separate[0].cut_ns = None;
    let shards = apart(separate);
    assert_eq!(shards.len(), 2);
    assert!(!format!("{shards:?}").contains("Joined"));
    // One that was cut, and after which nothing was written, neither.
    let mut alone = groups();
    alone[1].shards.clear();
    assert!(!format!("{:?}", apart(alone)).contains("Clipped"));
}

/// A shard that keeps what it was told before it was scanned: whether of a condition, and how many rows suffice.
#[derive(Debug)]
struct Told {
    shard: Arc<dyn ShardRead>,
    requests: Mutex<Vec<(bool, Option<u64>)>>,
}

impl ShardRead for Told {
    fn time_range(&self) -> TimeRange {
        self.shard.time_range()
    }

    fn measurements(&self) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.measurements()
    }

    fn fields(&self, measurement: &str) -> Result<Vec<(Arc<str>, FieldType)>, ReadError> {
        self.shard.fields(measurement)
    }

    fn tag_keys(&self, measurement: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_keys(measurement)
    }

    fn tag_values(&self, measurement: &str, key: &str) -> Result<Vec<Arc<str>>, ReadError> {
        self.shard.tag_values(measurement, key)
    }

    fn select_series(
        &self,
        measurement: &str,
        predicate: &TagPredicate,
    ) -> Result<Vec<SeriesRef>, ReadError> {
        self.shard.select_series(measurement, predicate)
    }

    fn series_tags(&self, series: SeriesRef) -> Tags {
        self.shard.series_tags(series)
    }

    fn series_key(&self, series: SeriesRef) -> Arc<str> {
        self.shard.series_key(series)
    }

    fn scanner<'a>(&'a self, request: &ScanRequest<'_>) -> Result<Box<dyn Scanner + 'a>, ReadError> {
        let is_told = request.conditions.is_some() || request.summary.is_some();
        self.requests.lock().push((is_told, request.rows));
        self.shard.scanner(request)
    }
}

/// A row of which one part holds `v` and another `w` satisfies a condition on both, which neither of them could tell.
#[test]
fn parts_of_rows_are_not_held_against_a_condition() {
    let told: Vec<Arc<Told>> = groups()
        .iter()
        .flat_map(|group| &group.shards)
        .map(|shard| Arc::new(Told { shard: Arc::clone(shard), requests: Mutex::default() }))
        .collect();
    let mut groups = groups();
    for (group, told) in groups.iter_mut().zip(&told) {
        group.shards = vec![Arc::clone(told) as _];
    }
    let shards = apart(groups);
    assert_eq!(shards.len(), 2, "what precedes the cut, and what follows it");
    let fields: [Arc<str>; 1] = ["v".into()];
    let wanted = [skywatch_storage::WantedStats::default()];
    let conditions = [vec![0]];
    let request = ScanRequest {
        rows: Some(3),
        conditions: Some(skywatch_storage::Conditions { all: &conditions, of: None }),
        summary: Some(skywatch_storage::Summary { windows: None, wanted: &wanted }),
        ..ScanRequest::new("m", &fields)
    };
    let requests = || told.iter().map(|told| std::mem::take(&mut *told.requests.lock())).collect::<Vec<_>>();
    drop(shards[0].scanner(&request).unwrap());
    assert_eq!(requests(), [vec![(true, Some(3))], vec![]]);
    drop(shards[1].scanner(&request).unwrap());
    assert_eq!(requests(), [[(false, None)], [(false, None)]]);
    // Without a condition what suffices of the whole suffices of each part.
    drop(shards[1].scanner(&ScanRequest { conditions: None, ..request }).unwrap());
    assert_eq!(requests(), [[(true, Some(3))], [(true, Some(3))]]);
}
