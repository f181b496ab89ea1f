//! What the fuzzers run: every decoder of bytes from outside or from disk, with what has to hold whatever the bytes.
//!
//! The bodies live here so that two drivers can call them: cargo-fuzz (`fuzz/`, coverage-guided, for as long as one
//! likes, on a nightly toolchain) and `tests/mutations.rs` (some seconds in every test run, on the stable one). A body
//! panics when something does not hold.

mod files;
mod mutate;
mod text;

pub use mutate::Mutator;

/// One decoder and what has to hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its folder of seeds in `fuzz/seeds`.
    pub name: &'static str,
    /// Decodes the bytes.
    pub run: fn(&[u8]),
    /// Good input kept elsewhere in the repository, as paths from its root.
    pub seeds: &'static [&'static str],
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "influxql", run: text::influxql, seeds: &[] },
    Target { name: "line_protocol", run: text::line_protocol, seeds: &[] },
    Target {
        name: "wal",
        run: files::wal,
        seeds: &["crates/storage/tests/golden/wal-v1.wal", "crates/storage/tests/golden/wal-v2.wal"],
    },
    Target {
        name: "segment",
        run: files::segment,
        seeds: &["crates/storage/tests/golden/segment-v1.seg", "crates/storage/tests/golden/segment-v2.seg"],
    },
    Target {
        name: "index",
        run: files::index,
        seeds: &["crates/storage/tests/golden/index-v1.idx", "crates/storage/tests/golden/index-v2.idx"],
    },
    Target {
        name: "manifest",
        run: files::manifest,
        seeds: &[
            "crates/storage/tests/golden/manifest-v1.manifest",
            "crates/storage/tests/golden/manifest-v2.manifest",
        ],
    },
    Target {
        name: "catalogue",
        run: files::catalogue,
        seeds: &["crates/meta/tests/golden/catalogue-v1.json", "crates/meta/tests/golden/catalogue-v2.json"],
    },
];

/// Runs the target of that name; panics if there is none.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no fuzz target is called {name}")).run)(bytes);
}
