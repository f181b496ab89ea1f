//! Runs Flux over points in memory, and writes its tables so that a test can say what it expects.

#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "it is called by tests only")]

use std::{cmp::Ordering, collections::BTreeMap, fmt::Write as _, sync::Arc};

use skywatch_flux_runtime::{
    Bucket, Cells, Column, Comparison, Error, Kind, MemoryAccount, Names, NamesRequest, NoMemory, Predicate,
    ReadRequest, ReductionFunction, Request, Results, Series, Storage, StorageError, Subject, Table, Value,
    Values, run, show,
};

/// `now()` of every test: 2026-01-01T01:00:00Z.
pub(crate) const NOW_NS: i64 = 1_767_229_200_000_000_000;

/// What a query answers, or what is wrong with it. A table is written as its key, then its columns and rows:
///
/// ```text
/// _result: a=1
///  a:int _value:float
///  1 2.5
/// ```
pub(crate) fn answer(text: &str) -> String {
    answer_from(text, &Points::default())
}

/// The same, reading points.
pub(crate) fn answer_from(text: &str, points: &Points) -> String {
    let mut written = Written(String::new());
    let request = Request { text, now_ns: NOW_NS, names: Vec::new(), memory: Box::new(Generous) };
    match run(request, points, &mut written) {
        Ok(()) => written.0,
        Err(error) => format!("{}{error}\n", written.0),
    }
}

/// Asserts that a query, its lines free of indentation, answers as expected, the same.
#[track_caller]
pub(crate) fn check(text: &str, expected: &str) {
    check_from(text, &Points::default(), expected);
}

/// The same, reading points.
#[track_caller]
pub(crate) fn check_from(text: &str, points: &Points, expected: &str) {
    let trimmed = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    };
    let got = answer_from(text, points);
    assert_eq!(trimmed(&got), trimmed(expected), "\n{text}\nanswers:\n{got}");
}

struct Written(String);

impl Results for Written {
    fn table(&mut self, result: &str, table: &Table) -> Result<(), Error> {
        let key: Vec<String> = table
            .key()
            .members()
            .iter()
            .map(|member| format!("{}={}", member.label, show(&member.value)))
            .collect();
        writeln!(self.0, "{result}: {}", key.join(",")).unwrap();
        let columns: Vec<String> = table
            .columns()
            .iter()
            .map(|column| format!("{}:{}", column.label(), column.kind().name()))
            .collect();
        writeln!(self.0, " {}", columns.join(" ")).unwrap();
        for row in 0..table.rows() {
            let cells: Vec<String> = table
                .columns()
                .iter()
                .map(|column| match column.get(row) {
                    Value::Null => "-".to_owned(),
                    value => show(&value),
                })
                .collect();
            writeln!(self.0, " {}", cells.join(" ")).unwrap();
        }
        Ok(())
    }

    fn end(&mut self, _result: &str) -> Result<(), Error> {
        Ok(())
    }
}

struct Generous;

impl MemoryAccount for Generous {
    fn hold(&mut self, bytes: u64) -> Result<(), NoMemory> {
        if bytes > 1 << 30 {
            Err(NoMemory { message: "out of memory".to_owned(), is_hopeless: true })
        } else {
            Ok(())
        }
    }
}

/// Points in memory, read as the server would.
#[derive(Debug, Default)]
pub(crate) struct Points(BTreeMap<SeriesKey, BTreeMap<i64, Value>>);

/// Measurement, tags, field.
type SeriesKey = (String, Vec<(String, String)>, String);

impl Points {
    /// Points of bucket `b`, a line each: `m,tag=value field=1.5 seconds` with one field and its time in seconds after
    /// 2026-01-01T00:00:00Z; values are floats, integers (`1i`), texts (`"x"`) or truth values.
    pub(crate) fn new(lines: &str) -> Self {
        const START_NS: i64 = 1_767_225_600_000_000_000;
        let mut points = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let [series, field, time] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("bad line: {line}")
            };
            let mut parts = series.split(',');
            let measurement = parts.next().unwrap().to_owned();
            let tags = parts
                .map(|tag| {
                    let (key, value) = tag.split_once('=').unwrap();
                    (key.to_owned(), value.to_owned())
                })
                .collect();
            let (field, value) = field.split_once('=').unwrap();
            let value = if let Some(text) = value.strip_prefix('"') {
                Value::text(text.strip_suffix('"').unwrap())
            } else if let Some(number) = value.strip_suffix('i') {
                Value::Int(number.parse().unwrap())
            } else if let Ok(truth) = value.parse() {
                Value::Bool(truth)
            } else {
                Value::Float(value.parse().unwrap())
            };
            let seconds: i64 = time.parse().unwrap();
            let series = points.0.entry((measurement, tags, field.to_owned())).or_default();
            series.insert(START_NS + seconds * 1_000_000_000, value);
        }
        points
    }
}

impl Storage for Points {
    fn read(&self, request: &ReadRequest) -> Result<Vec<Series>, StorageError> {
        let mut all = Vec::new();
        for ((measurement, tags, field), points) in &self.0 {
            let rows: Vec<(i64, Value)> = points
                .range(request.start_ns..request.stop_ns)
                .filter(|(_, value)| holds(&request.predicate, measurement, tags, field, value))
                .map(|(time, value)| (*time, value.clone()))
                .collect();
            if rows.is_empty() {
                continue;
            }
            let rows = match request.reduction {
                None => rows,
                Some(reduction) => {
                    let window = |time: i64| match reduction.windows {
                        None => request.start_ns,
                        Some(windows) => {
                            (time - windows.offset_ns).div_euclid(windows.every_ns) * windows.every_ns
                                + windows.offset_ns
                        }
                    };
                    let mut windows: BTreeMap<i64, Vec<(i64, Value)>> = BTreeMap::new();
                    for (time, value) in rows {
                        windows.entry(window(time)).or_default().push((time, value));
                    }
                    let keeps_time = reduction.windows.is_none();
                    windows
                        .into_iter()
                        .map(|(start, rows)| {
                            let (time, value) = reduce(reduction.function, &rows);
                            (if keeps_time { time } else { start }, value)
                        })
                        .collect()
                }
            };
            let (times, values): (Vec<i64>, Vec<Value>) = rows.into_iter().unzip();
            all.push(Series {
                measurement: Arc::from(measurement.as_str()),
                field: Arc::from(field.as_str()),
                tags: tags.iter().map(|(k, v)| (Arc::from(k.as_str()), Arc::from(v.as_str()))).collect(),
                times,
                values: column(values),
            });
        }
        Ok(all)
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn buckets(&self) -> Result<Vec<Bucket>, StorageError> {
        Ok(vec![Bucket { name: "b/autogen".into(), retention_ns: 0, is_default: true }])
    }

    fn names(&self, request: &NamesRequest) -> Result<Vec<Arc<str>>, StorageError> {
        let mut found = std::collections::BTreeSet::new();
        for ((measurement, tags, field), points) in &self.0 {
            let in_time = points.range(request.start_ns..request.stop_ns).next().is_some();
            if !in_time || !holds(&request.predicate, measurement, tags, field, &Value::Null) {
                continue;
            }
            match &request.names {
                Names::Measurements => {
                    found.insert(measurement.clone());
                }
                Names::FieldKeys => {
                    found.insert(field.clone());
                }
                Names::TagKeys => found.extend(tags.iter().map(|(key, _)| key.clone())),
                Names::TagValues(wanted) => {
                    let values = tags.iter().filter(|(key, _)| **key == **wanted);
                    found.extend(values.map(|(_, value)| value.clone()));
                }
            }
        }
        Ok(found.into_iter().map(Arc::from).collect())
    }
}

fn column(values: Vec<Value>) -> Column {
    fn cells<T>(values: Vec<Value>, take: fn(Value) -> Option<T>) -> Cells<T> {
        Cells::all(values.into_iter().filter_map(take).collect())
    }
    let cells = match values.first().map(Value::kind) {
        Some(Kind::Float) => Values::Float(cells(values, |value| value.as_float())),
        Some(Kind::Int) => {
            Values::Int(cells(values, |value| if let Value::Int(v) = value { Some(v) } else { None }))
        }
        Some(Kind::Bool) => {
            Values::Bool(cells(values, |value| if let Value::Bool(v) = value { Some(v) } else { None }))
        }
        _ => Values::String(cells(values, |value| if let Value::String(v) = value { Some(v) } else { None })),
    };
    Column::new("".into(), cells)
}

fn reduce(function: ReductionFunction, rows: &[(i64, Value)]) -> (i64, Value) {
    let number = |row: &(i64, Value)| row.1.as_float().unwrap();
    let sum: f64 = if matches!(function, ReductionFunction::Sum | ReductionFunction::Mean) {
        rows.iter().map(number).sum()
    } else {
        0.0
    };
    let chosen = |keep: fn(f64, f64) -> bool| {
        rows.iter().fold(
            rows[0].clone(),
            |best, row| if keep(number(row), number(&best)) { row.clone() } else { best },
        )
    };
    let time = rows[0].0;
    match function {
        ReductionFunction::Count => (time, Value::Int(rows.len() as i64)),
        ReductionFunction::Sum if rows[0].1.kind() == Kind::Int => (time, Value::Int(sum as i64)),
        ReductionFunction::Sum => (time, Value::Float(sum)),
        ReductionFunction::Mean => (time, Value::Float(sum / rows.len() as f64)),
        ReductionFunction::Min => chosen(|new, old| new < old),
        ReductionFunction::Max => chosen(|new, old| new > old),
        ReductionFunction::First => rows[0].clone(),
        ReductionFunction::Last => rows[rows.len() - 1].clone(),
    }
}

/// Null as the value: not looked at.
fn holds(
    predicate: &Predicate,
    measurement: &str,
    tags: &[(String, String)],
    field: &str,
    value: &Value,
) -> bool {
    match predicate {
        Predicate::All => true,
        Predicate::And(all) => all.iter().all(|one| holds(one, measurement, tags, field, value)),
        Predicate::Or(any) => any.iter().any(|one| holds(one, measurement, tags, field, value)),
        Predicate::Compare(Subject::Value, _) if value.is_null() => true,
        Predicate::Compare(subject, comparison) => {
            let tag = |key: &str| tags.iter().find(|tag| tag.0 == key).map_or("", |tag| tag.1.as_str());
            let subject = match subject {
                Subject::Measurement => Value::text(measurement),
                Subject::Field => Value::text(field),
                Subject::Tag(key) => Value::text(tag(key)),
                Subject::Value => value.clone(),
            };
            let is_absent = matches!(&subject, Value::String(text) if text.is_empty());
            if is_absent { matches!(comparison, Comparison::Missing) } else { compare(&subject, comparison) }
        }
    }
}

fn compare(subject: &Value, comparison: &Comparison) -> bool {
    let order = |value: &Value| match (subject, value) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (left, right) => left.as_float()?.partial_cmp(&right.as_float()?),
    };
    let text = match subject {
        Value::String(text) => text,
        _ => "",
    };
    match comparison {
        Comparison::Equal(value) => order(value).is_some_and(Ordering::is_eq),
        Comparison::NotEqual(value) => order(value).is_some_and(Ordering::is_ne),
        Comparison::Less(value) => order(value).is_some_and(Ordering::is_lt),
        Comparison::LessEqual(value) => order(value).is_some_and(Ordering::is_le),
        Comparison::Greater(value) => order(value).is_some_and(Ordering::is_gt),
        Comparison::GreaterEqual(value) => order(value).is_some_and(Ordering::is_ge),
        Comparison::Matches(regex) => regex.is_match(text),
        Comparison::NotMatches(regex) => !regex.is_match(text),
        Comparison::Exists => !text.is_empty(),
        Comparison::Missing => text.is_empty(),
    }
}
