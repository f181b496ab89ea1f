//! The data: shaped as the Time Series Benchmark Suite's cpu-only and devops cases, made here, the same for the
//! same seed.
//!
//! A host sends a row of each [`Measurement`] at each step: one (cpu) or nine. Rows come by time, then by host,
//! then by measurement; tags in the suite's order, which is not sorted. What a host is called and where it stands
//! is drawn anew from the seed for every row, so that millions of hosts need no more memory than their walks.

mod host;
mod measurements;

use std::{io::Write as _, ops::Range};

pub(crate) use measurements::CPU_FIELDS;
use measurements::{CPU, DEVOPS, Measurement};

use crate::random::Random;

/// 2016-01-01T00:00:00Z, where the suite's data begins.
const START_NS: i64 = 1_451_606_400_000_000_000;

/// What the hosts send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UseCase {
    /// One row of ten values a host.
    CpuOnly,
    /// Nine rows, together 101 values, a host.
    Devops,
    /// As cpu-only, but very many hosts and few steps: what new series cost, and how long a restart takes.
    Cardinality,
}

impl UseCase {
    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CpuOnly => "cpu-only",
            Self::Devops => "devops",
            Self::Cardinality => "cardinality",
        }
    }

    /// Hosts if nothing else is asked for.
    pub(crate) const fn default_hosts(self) -> u32 {
        match self {
            Self::CpuOnly | Self::Devops => 1000,
            Self::Cardinality => 1_000_000,
        }
    }

    /// Seconds of data if nothing else is asked for.
    pub(crate) const fn default_span_s(self) -> u64 {
        match self {
            Self::CpuOnly | Self::Devops => 4 * 3600,
            Self::Cardinality => 100,
        }
    }

    fn measurements(self) -> &'static [Measurement] {
        match self {
            Self::CpuOnly | Self::Cardinality => std::slice::from_ref(&CPU),
            Self::Devops => &DEVOPS,
        }
    }
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Values {
    /// As the suite does: whole numbers, but for the percentages of mem.
    Integer,
    /// Every value with all the digits its walk has.
    Float,
}

impl Values {
    /// The name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
        }
    }
}

/// How much of what to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) use_case: UseCase,
    pub(crate) written: Values,
    pub(crate) hosts: u32,
    pub(crate) step_ns: i64,
    pub(crate) span_ns: i64,
    pub(crate) rows_per_batch: usize,
    pub(crate) seed: u64,
}

impl Shape {
    /// Times of the rows: from the first to past the last.
    pub(crate) const fn times(&self) -> Range<i64> {
        START_NS..START_NS + self.span_ns
    }

    /// How often every host sends.
    pub(crate) const fn steps(&self) -> u64 {
        (self.span_ns / self.step_ns) as u64
    }

    /// Rows in all.
    pub(crate) fn rows(&self) -> u64 {
        self.steps() * u64::from(self.hosts) * self.use_case.measurements().len() as u64
    }

    /// Values in all: fields of rows.
    pub(crate) fn values(&self) -> u64 {
        let of_host: usize =
            self.use_case.measurements().iter().map(|measurement| measurement.fields.len()).sum();
        self.steps() * u64::from(self.hosts) * of_host as u64
    }
}

/// Makes the data, a step of all hosts after the other.
#[derive(Debug)]
pub(crate) struct Generator {
    shape: Shape,
    walks: Vec<Walks>,
    step: u64,
}

/// Where the walks of a host stand, in the order of its fields.
#[derive(Debug)]
struct Walks {
    values: Box<[f64]>,
    random: Random,
}

impl Generator {
    /// At the first step.
    pub(crate) fn new(shape: &Shape) -> Self {
        let walks = (0..shape.hosts).map(|number| Walks::new(shape, number)).collect();
        Self { shape: *shape, walks, step: 0 }
    }

    /// Makes the next `steps` steps as bodies of write requests, and hands each over with the number of its rows.
    pub(crate) fn make<E>(
        &mut self,
        steps: u64,
        mut take: impl FnMut(&[u8], usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let measurements = self.shape.use_case.measurements();
        let mut batch = Vec::new();
        let mut rows = 0;
        let mut tags = Vec::new();
        for _ in 0..steps {
            let time = START_NS + self.step as i64 * self.shape.step_ns;
            for (number, walks) in self.walks.iter_mut().enumerate() {
                tags.clear();
                host::append_tags(&mut tags, self.shape.seed, number as u64);
                let mut values = &walks.values[..];
                for (at, measurement) in measurements.iter().enumerate() {
                    let (own, others) = values.split_at(measurement.fields.len());
                    values = others;
                    batch.extend_from_slice(measurement.name.as_bytes());
                    batch.extend_from_slice(&tags);
                    let mut random = host::random_of(self.shape.seed, number as u64, 1 + at as u64);
                    (measurement.append_tags)(&mut batch, &mut random);
                    measurement.append_fields(&mut batch, own, self.shape.written);
                    writeln!(batch, " {time}").unwrap_or_default();
                    rows += 1;
                    if rows == self.shape.rows_per_batch {
                        take(&batch, rows)?;
                        batch.clear();
                        rows = 0;
                    }
                }
                walks.step(measurements);
            }
            self.step += 1;
        }
        if rows > 0 { take(&batch, rows) } else { Ok(()) }
    }
}

impl Walks {
    fn new(shape: &Shape, number: u32) -> Self {
        let mut random = host::random_of(shape.seed, u64::from(number), 1000);
        let fields = shape.use_case.measurements().iter().flat_map(|measurement| measurement.fields);
        let values = fields.map(|field| field.source.start(&mut random)).collect();
        Self { values, random }
    }

    fn step(&mut self, measurements: &[Measurement]) {
        let fields = measurements.iter().flat_map(|measurement| measurement.fields);
        for (field, value) in fields.zip(&mut self.values) {
            field.source.step(value, &mut self.random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        use_case: UseCase::CpuOnly,
        written: Values::Integer,
        hosts: 3,
        step_ns: 10_000_000_000,
        span_ns: 60_000_000_000,
        rows_per_batch: 5,
        seed: 1,
    };

    fn batches(shape: &Shape) -> Vec<String> {
        let mut batches = Vec::new();
        let take = |body: &[u8], rows: usize| {
            let text = String::from_utf8(body.to_vec()).expect("text");
            assert_eq!(text.lines().count(), rows);
            batches.push(text);
            Ok::<(), ()>(())
        };
        Generator::new(shape).make(shape.steps(), take).expect("taken");
        batches
    }

    #[test]
    fn rows_come_by_time_then_by_host_in_batches() {
        let batches = batches(&SHAPE);
        assert_eq!(batches, self::batches(&SHAPE), "the same data for the same seed");
        assert_ne!(batches, self::batches(&Shape { seed: 2, ..SHAPE }));
        assert_eq!(batches.len(), 4);
        let text = batches.concat();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows.len() as u64, SHAPE.rows(), SHAPE.values()), (18, 18, 180));
        assert!(rows[0].starts_with("cpu,hostname=host_0,region="), "{}", rows[0]);
        assert!(rows[0].ends_with(" 1451606400000000000"));
        assert!(rows[2].starts_with("cpu,hostname=host_2,") && rows[3].starts_with("cpu,hostname=host_0,"));
        assert!(rows[17].ends_with(" 1451606450000000000"));
        let (key, rest) = rows[4].split_once(' ').expect("a key and fields");
        assert_eq!(rows[1].split_once(' ').expect("a key").0, key, "a host keeps its tags");
        assert_eq!(key.split(',').count(), 11);
        let fields: Vec<&str> = rest.split([' ', ',']).collect();
        assert_eq!(fields.len(), 11);
        assert!(fields[9].starts_with("usage_guest_nice=") && fields[9].ends_with('i'));
    }

    #[test]
    fn floats_have_all_their_digits() {
        let text = batches(&Shape { written: Values::Float, ..SHAPE }).concat();
        let values: Vec<&str> =
            text.lines().flat_map(|row| row.split(' ').nth(1).expect("fields").split(',')).collect();
        assert!(values.iter().all(|value| !value.ends_with('i')));
        assert!(values.iter().filter(|value| value.len() > 25).count() > values.len() / 2, "{values:?}");
    }

    #[test]
    fn devops_has_the_nine_measurements_of_every_host() {
        let shape = Shape { use_case: UseCase::Devops, hosts: 2, span_ns: 20_000_000_000, ..SHAPE };
        let text = batches(&shape).concat();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows.len() as u64, shape.rows(), shape.values()), (36, 36, 404));
        let names: Vec<&str> =
            rows[..9].iter().map(|row| row.split(',').next().expect("a measurement")).collect();
        assert_eq!(names, ["cpu", "diskio", "disk", "kernel", "mem", "net", "nginx", "postgresl", "redis"]);
        assert!(rows[9].starts_with("cpu,hostname=host_1,"));
        let values: usize =
            rows.iter().map(|row| row.split(' ').nth(1).expect("fields").split(',').count()).sum();
        assert_eq!(values as u64, shape.values());
        for (row, tags) in [(1, "serial="), (2, "path="), (2, "fstype="), (5, "interface="), (8, "port=")] {
            let key = |row: &str| row.split(' ').next().expect("a key").to_owned();
            assert!(key(rows[row]).contains(&format!(",{tags}")), "{}", rows[row]);
            assert_eq!(key(rows[row]), key(rows[row + 18]), "a host keeps its tags");
        }
        let field = |row: &str, name: &str| -> f64 {
            let (_, rest) = row.split_once(&format!("{name}=")).expect("the field");
            rest.split([',', ' ', 'i']).next().expect("a value").parse().expect("a number")
        };
        for row in rows.iter().filter(|row| row.starts_with("mem,")) {
            let (total, used) = (field(row, " total"), field(row, "used"));
            assert!((field(row, "available") - (total - used)).abs() <= 1.0, "{row}");
            assert!((field(row, "used_percent") - 100.0 * used / total).abs() < 1e-6, "{row}");
        }
    }

    #[test]
    fn walks_stay_inside_and_move_slowly() {
        let mut walks = Walks::new(&SHAPE, 0);
        for _ in 0..10_000 {
            let before = walks.values.clone();
            walks.step(UseCase::CpuOnly.measurements());
            for (before, after) in before.iter().zip(&walks.values) {
                assert!((0.0..=100.0).contains(after) && (after - before).abs() <= 6.0);
            }
        }
    }
}
