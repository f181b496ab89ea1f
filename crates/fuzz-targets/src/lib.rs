//! What the fuzzers run: every decoder of bytes from outside or from disk, with what has to hold whatever the bytes.
//!
//! The bodies live here so that two drivers can call them: cargo-fuzz (`fuzz/`, coverage-guided, for as long as one
//! likes, on a nightly toolchain) and `tests/mutations.rs` (some seconds in every test run, on the stable one). A body
//! panics when something does not hold.

mod calls;
mod checksums;
mod files;
mod flux;
mod log;
mod mutate;
mod requests;
mod text;

pub use checksums::Checksums;
pub use mutate::{Mutator, Seed};

/// One decoder and what has to hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also that of its folder of seeds in `fuzz/seeds`.
    pub name: &'static str,
    /// Decodes the bytes.
    pub run: fn(&[u8]),
    /// Good input kept elsewhere in the repository, as paths from its root.
    pub seeds: &'static [&'static str],
    /// Which checksums keep damage from the decoder.
    pub checksums: Checksums,
}

impl Target {
    const fn of_text(name: &'static str, run: fn(&[u8])) -> Self {
        Self { name, run, seeds: &[], checksums: Checksums::None }
    }

    const fn of_file(
        name: &'static str,
        run: fn(&[u8]),
        checksums: Checksums,
        seeds: &'static [&'static str],
    ) -> Self {
        Self { name, run, seeds, checksums }
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target::of_text("influxql", text::influxql),
    Target::of_text("flux", flux::flux),
    Target::of_text("line_protocol", text::line_protocol),
    Target::of_text("snappy", requests::snappy),
    Target::of_text("prometheus_write", requests::prometheus_write),
    Target::of_text("prometheus_read", requests::prometheus_read),
    Target::of_text("graphite", requests::graphite),
    Target::of_text("collectd", requests::collectd),
    Target::of_text("opentsdb", requests::opentsdb),
    Target::of_text("parameters", requests::parameters),
    Target::of_text("multipart", requests::multipart),
    Target::of_text("bound_parameters", requests::bound_parameters),
    Target::of_text("delete_predicate", requests::delete_predicate),
    Target::of_text("authorization", requests::authorization),
    Target::of_text("calls", requests::calls),
    Target::of_file(
        "wal",
        files::wal,
        Checksums::Frames,
        &["crates/storage/tests/golden/wal-v1.wal", "crates/storage/tests/golden/wal-v2.wal"],
    ),
    Target::of_file(
        "segment",
        files::segment,
        Checksums::Behind,
        &["crates/storage/tests/golden/segment-v1.seg", "crates/storage/tests/golden/segment-v2.seg"],
    ),
    Target::of_file(
        "index",
        files::index,
        Checksums::Behind,
        &["crates/storage/tests/golden/index-v1.idx", "crates/storage/tests/golden/index-v2.idx"],
    ),
    Target::of_file(
        "manifest",
        files::manifest,
        Checksums::Behind,
        &[
            "crates/storage/tests/golden/manifest-v1.manifest",
            "crates/storage/tests/golden/manifest-v2.manifest",
        ],
    ),
    Target::of_file(
        "cells",
        calls::cells,
        Checksums::Behind,
        &["crates/storage/tests/golden/cells-v1.cells"],
    ),
    Target::of_text("log_record", log::record),
    Target::of_file("log_positions", log::positions, Checksums::Behind, &[]),
    Target::of_file(
        "catalogue",
        files::catalogue,
        Checksums::FirstLine,
        &["crates/meta/tests/golden/catalogue-v1.json", "crates/meta/tests/golden/catalogue-v2.json"],
    ),
    Target::of_file(
        "backup",
        files::backup,
        Checksums::FirstLine,
        &["crates/backup/tests/golden/backup-v1.json"],
    ),
];

/// Runs the target of that name; panics if there is none.
///
/// Also with checksums put right, where these can be found in any input.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no fuzz target is called {name}"));
    (target.run)(bytes);
    if matches!(target.checksums, Checksums::Frames | Checksums::FirstLine) {
        (target.run)(&Seed::new(bytes.to_vec(), target.checksums).sealed());
    }
}
