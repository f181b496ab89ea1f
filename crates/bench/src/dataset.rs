//! The data: shaped as the Time Series Benchmark Suite's cpu-only case, made here, the same for the same seed.
//!
//! Each host has ten tags and ten fields. A field is a random walk with normal steps between 0 and 100, written
//! as an integer as the suite does by default. Rows come by time, then by host; tags in the suite's order,
//! which is not sorted.

use std::{io::Write as _, ops::Range};

use crate::random::Random;

/// The fields of a row.
pub(crate) const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

/// 2016-01-01T00:00:00Z, where the suite's data begins.
const START_NS: i64 = 1_451_606_400_000_000_000;

const REGIONS: [(&str, &[&str]); 9] = [
    ("us-east-1", &["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1e"]),
    ("us-west-1", &["us-west-1a", "us-west-1b"]),
    ("us-west-2", &["us-west-2a", "us-west-2b", "us-west-2c"]),
    ("eu-west-1", &["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
    ("eu-central-1", &["eu-central-1a", "eu-central-1b"]),
    ("ap-southeast-1", &["ap-southeast-1a", "ap-southeast-1b"]),
    ("ap-southeast-2", &["ap-southeast-2a", "ap-southeast-2b"]),
    ("ap-northeast-1", &["ap-northeast-1a", "ap-northeast-1c"]),
    ("sa-east-1", &["sa-east-1a", "sa-east-1b", "sa-east-1c"]),
];
const SYSTEMS: [&str; 3] = ["Ubuntu16.10", "Ubuntu16.04LTS", "Ubuntu15.10"];
const ARCHITECTURES: [&str; 2] = ["x64", "x86"];
const TEAMS: [&str; 4] = ["SF", "NYC", "LON", "CHI"];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "test"];

/// How much of it to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
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

    /// Rows in all.
    pub(crate) const fn rows(&self) -> u64 {
        (self.span_ns / self.step_ns) as u64 * self.hosts as u64
    }

    /// Values in all: fields of rows.
    pub(crate) const fn values(&self) -> u64 {
        self.rows() * FIELDS.len() as u64
    }
}

/// Makes the data as bodies of write requests.
pub(crate) fn make(shape: &Shape) -> Vec<Vec<u8>> {
    let mut hosts: Vec<Host> = (0..shape.hosts).map(|number| Host::new(number, shape.seed)).collect();
    let steps = shape.span_ns / shape.step_ns;
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    let mut rows = 0;
    for step in 0..steps {
        let time = START_NS + step * shape.step_ns;
        for host in &mut hosts {
            host.append_row(&mut batch, time);
            host.walk();
            rows += 1;
            if rows == shape.rows_per_batch {
                let capacity = batch.len() + batch.len() / 50;
                batches.push(std::mem::replace(&mut batch, Vec::with_capacity(capacity)));
                rows = 0;
            }
        }
    }
    if rows > 0 {
        batches.push(batch);
    }
    batches
}

/// A host: its key and where its walks stand.
struct Host {
    key: String,
    usage: [f64; FIELDS.len()],
    random: Random,
}

impl Host {
    fn new(number: u32, seed: u64) -> Self {
        let mut random = Random::new(seed, u64::from(number));
        let (region, datacenters) = random.choose(&REGIONS);
        let key = format!(
            "cpu,hostname=host_{number},region={region},datacenter={},rack={},os={},arch={},team={},service={},\
             service_version={},service_environment={}",
            random.choose(datacenters),
            random.below(100),
            random.choose(&SYSTEMS),
            random.choose(&ARCHITECTURES),
            random.choose(&TEAMS),
            random.below(20),
            random.below(2),
            random.choose(&ENVIRONMENTS),
        );
        let usage = std::array::from_fn(|_| random.unit() * 100.0);
        Self { key, usage, random }
    }

    fn append_row(&self, out: &mut Vec<u8>, time: i64) {
        out.extend_from_slice(self.key.as_bytes());
        let mut separator = ' ';
        let mut append = |text: std::fmt::Arguments<'_>| out.write_fmt(text).unwrap_or_default();
        for (field, usage) in FIELDS.iter().zip(self.usage) {
            append(format_args!("{separator}{field}={}i", usage as i64));
            separator = ',';
        }
        append(format_args!(" {time}\n"));
    }

    fn walk(&mut self) {
        for usage in &mut self.usage {
            *usage = (*usage + self.random.normal()).clamp(0.0, 100.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { hosts: 3, step_ns: 10_000_000_000, span_ns: 60_000_000_000, rows_per_batch: 5, seed: 1 };

    #[test]
    fn rows_come_by_time_then_by_host_in_batches() {
        let batches = make(&SHAPE);
        assert_eq!(batches, make(&SHAPE), "the same data for the same seed");
        assert_eq!(batches.len(), 4);
        let text = String::from_utf8(batches.concat()).expect("text");
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!((rows.len() as u64, SHAPE.rows(), SHAPE.values()), (18, 18, 180));
        assert!(rows[0].starts_with("cpu,hostname=host_0,region="), "{}", rows[0]);
        assert!(rows[0].ends_with(" 1451606400000000000"));
        assert!(rows[2].starts_with("cpu,hostname=host_2,") && rows[3].starts_with("cpu,hostname=host_0,"));
        assert!(rows[17].ends_with(" 1451606450000000000"));
        let (key, rest) = rows[4].split_once(' ').expect("a key and fields");
        assert_eq!(key.split(',').count(), 11);
        let fields: Vec<&str> = rest.split([' ', ',']).collect();
        assert_eq!(fields.len(), 11);
        assert!(fields[9].starts_with("usage_guest_nice=") && fields[9].ends_with('i'));
    }

    #[test]
    fn walks_stay_inside_and_move_slowly() {
        let mut host = Host::new(0, 5);
        for _ in 0..10_000 {
            let before = host.usage;
            host.walk();
            for (before, after) in before.iter().zip(host.usage) {
                assert!((0.0..=100.0).contains(&after) && (after - before).abs() <= 6.0);
            }
        }
    }
}
