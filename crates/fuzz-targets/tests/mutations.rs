//! Every target over its seeds and damaged copies of them, for some seconds on a stable toolchain.
//!
//! `FUZZ_SECONDS=300 cargo test -p skywatch-fuzz-targets` runs each for longer, `FUZZ_SEED=7` with other damage.

#![expect(clippy::print_stdout, reason = "a test that uses a seed prints it")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use skywatch_fuzz_targets::{Checksums, Mutator, Seed, TARGETS, Target};

/// Inputs of a target in a usual run, whatever the time.
const INPUTS_MAX: u64 = 20_000;

/// Most memory that all targets of a process may take: inputs are short, so what they make is too.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// The most this process has had so far; 0 where the system does not tell.
fn peak_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    peak.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// The good input of a target.
fn seeds(target: &Target) -> Vec<Seed> {
    let mut paths: Vec<PathBuf> = target.seeds.iter().map(|path| root().join(path)).collect();
    if let Ok(folder) = fs::read_dir(root().join("fuzz/seeds").join(target.name)) {
        paths.extend(folder.map(|entry| entry.expect("can be read").path()));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .map(|bytes| Seed::new(bytes, target.checksums))
        .collect()
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("is a target");
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds.iter().for_each(|seed| (target.run)(seed.bytes()));
    let (seed, seconds) = (number("FUZZ_SEED").unwrap_or(1), number("FUZZ_SECONDS"));
    println!("{name}: {} seeds, FUZZ_SEED={seed}", seeds.len());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mut mutator = Mutator::new(seed);
    let mut inputs = 0;
    while Instant::now() < deadline && (seconds.is_some() || inputs < INPUTS_MAX) {
        let input = mutator.mutated(&seeds);
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            let kept = std::env::temp_dir().join(format!("skywatch-fuzz-{name}-{seed}-{inputs}"));
            fs::write(&kept, &input).expect("can be written");
            panic!("{name} with FUZZ_SEED={seed} failed at input {inputs}, kept in {}", kept.display());
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs");
    assert!(inputs > 0);
    let peak = peak_memory_bytes();
    assert!(peak <= MEMORY_BYTES_MAX, "{name} took {peak} bytes of memory");
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets! {
    influxql
    flux
    line_protocol
    snappy
    prometheus_write
    prometheus_read
    graphite
    collectd
    opentsdb
    parameters
    multipart
    bound_parameters
    delete_predicate
    authorization
    calls
    wal
    segment
    index
    manifest
    cells
    log_record
    log_positions
    catalogue
    backup
}

/// Were one overlooked, nothing behind it would be reached.
#[test]
fn the_checksums_of_good_files_are_known() {
    for target in TARGETS.iter().filter(|target| target.checksums != Checksums::None) {
        for seed in seeds(target) {
            assert_eq!(seed.sealed(), seed.bytes(), "{}", target.name);
            if target.checksums == Checksums::Behind {
                for at in 0..seed.bytes().len() {
                    let mut input = seed.clone();
                    input.flip(at);
                    assert_ne!(input.sealed(), input.bytes(), "{} at {at} is under no checksum", target.name);
                }
            }
        }
    }
}

#[test]
fn damage_is_the_same_for_the_same_seed() {
    let texts = [b"SELECT a FROM b".to_vec(), b"SHOW SERIES".to_vec()];
    let seeds = texts.clone().map(|text| Seed::new(text, Checksums::None));
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed);
        (0..100).map(|_| mutator.mutated(&seeds)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
    assert!(inputs(1).iter().filter(|input| !texts.contains(input)).count() > 80);
}
