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

use skywatch_fuzz_targets::{Mutator, TARGETS, Target};

/// Inputs of a target in a usual run, whatever the time.
const INPUTS_MAX: u64 = 20_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// The good input of a target.
fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = target.seeds.iter().map(|path| root().join(path)).collect();
    if let Ok(folder) = fs::read_dir(root().join("fuzz/seeds").join(target.name)) {
        paths.extend(folder.map(|entry| entry.expect("can be read").path()));
    }
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .collect()
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("is a target");
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds.iter().for_each(|seed| (target.run)(seed));
    let (seed, seconds) = (number("FUZZ_SEED").unwrap_or(1), number("FUZZ_SECONDS"));
    println!("{name}: {} seeds, FUZZ_SEED={seed}", seeds.len());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(3));
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
}

#[test]
fn influxql() {
    run("influxql");
}

#[test]
fn line_protocol() {
    run("line_protocol");
}

#[test]
fn wal() {
    run("wal");
}

#[test]
fn segment() {
    run("segment");
}

#[test]
fn index() {
    run("index");
}

#[test]
fn manifest() {
    run("manifest");
}

#[test]
fn catalogue() {
    run("catalogue");
}

#[test]
fn damage_is_the_same_for_the_same_seed() {
    let seeds = [b"SELECT a FROM b".to_vec(), b"SHOW SERIES".to_vec()];
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed);
        (0..100).map(|_| mutator.mutated(&seeds)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
    assert!(inputs(1).iter().filter(|input| !seeds.contains(input)).count() > 80);
}
