//! How fast bodies of line protocol are read. `cargo bench -p skywatch-model`; bytes and values (fields) per
//! second are printed. The same shapes run once, small, under `cargo test --benches`.

use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use skywatch_model::line::{ParseOptions, PointBatch, Precision, parse};

fn main() {
    divan::main();
}

const OPTIONS: ParseOptions = ParseOptions { precision: Precision::Nanosecond, default_time_ns: 0 };

/// A small linear congruential generator: deterministic, no dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const CPU_FIELDS: [&str; 10] = [
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

/// The Time Series Benchmark Suite's cpu-only rows: 10 tags in the suite's order, 10 integers.
fn tsbs_cpu(rows: usize, hosts: usize) -> String {
    let mut random = Random(1);
    let mut text = String::new();
    for row in 0..rows {
        let host = row % hosts;
        text += &format!(
            "cpu,hostname=host_{host},region=eu-west-1,datacenter=eu-west-1{},rack={},os=Ubuntu16.10,arch=x86,\
             team=NYC,service={},service_version={},service_environment=production ",
            ['a', 'b', 'c'][host % 3],
            host % 100,
            host % 20,
            host % 2,
        );
        for (at, field) in CPU_FIELDS.iter().enumerate() {
            text += &format!("{}{field}={}i", if at > 0 { "," } else { "" }, random.below(101));
        }
        text += &format!(" {}\n", 1_451_606_400_000_000_000 + row / hosts * 10_000_000_000);
    }
    text
}

/// What Telegraf sends for one host: sorted tags, several measurements, floats and integers.
fn telegraf(rows: usize) -> String {
    let mut random = Random(2);
    let mut text = String::new();
    for row in 0..rows {
        let host = row / 8;
        text += &match row % 8 {
            at @ 0..5 => format!(
                "cpu,cpu=cpu{at},datacenter=fra1,host=node-{host},rack=r{} usage_user={}.{:09},usage_system=\
                 {}.5,usage_idle=91.{:012},usage_iowait=0 1700000000000000000\n",
                host % 40,
                random.below(100),
                random.below(1_000_000_000),
                random.below(100),
                random.below(1_000_000_000_000),
            ),
            5 => format!(
                "mem,datacenter=fra1,host=node-{host},rack=r{} total=33567891456i,available={}i,used={}i,\
                 used_percent=41.{:013} 1700000000000000000\n",
                host % 40,
                random.below(33_567_891_456),
                random.below(33_567_891_456),
                random.below(10_000_000_000_000),
            ),
            6 => format!(
                "disk,datacenter=fra1,device=sda1,fstype=ext4,host=node-{host},mode=rw,path=/,rack=r{} \
                 total=105089261568i,free={}i,used_percent=7.{:014} 1700000000000000000\n",
                host % 40,
                random.below(105_089_261_568),
                random.below(100_000_000_000_000),
            ),
            _ => format!(
                "system,datacenter=fra1,host=node-{host},rack=r{} load1={}.{:02},uptime_format=\"10 days, \
                 {}:11\",n_cpus=8i,up=true 1700000000000000000\n",
                host % 40,
                random.below(8),
                random.below(100),
                random.below(24),
            ),
        };
    }
    text
}

fn bench(bencher: Bencher<'_, '_>, text: &str) {
    let mut batch = PointBatch::new();
    assert!(parse(text.as_bytes(), OPTIONS, &mut batch).is_empty());
    let values: usize = batch.points().map(|point| point.fields().len()).sum();
    bencher
        .counter(BytesCount::of_str(text))
        .counter(ItemsCount::new(values))
        .bench_local(move || parse(black_box(text.as_bytes()), OPTIONS, &mut batch).len());
}

/// 5,000 rows of 1,000 hosts: each series occurs five times.
#[divan::bench]
fn tsbs_cpu_5_times_1000_hosts(bencher: Bencher<'_, '_>) {
    bench(bencher, &tsbs_cpu(5000, 1000));
}

/// 5,000 rows of 5,000 hosts: every key is new to the batch.
#[divan::bench]
fn tsbs_cpu_5000_hosts(bencher: Bencher<'_, '_>) {
    bench(bencher, &tsbs_cpu(5000, 5000));
}

/// 5,000 rows of five measurements of 625 hosts: every key is new, shapes alternate.
#[divan::bench]
fn telegraf_625_hosts(bencher: Bencher<'_, '_>) {
    bench(bencher, &telegraf(5000));
}
