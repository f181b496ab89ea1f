//! Parsers in tests: a document in, lines out; and damaged documents, which must not do harm.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::config::{ConfigError, section_for_tests};
use crate::context::Context;
use crate::parser::{Defaults, ParseError, Parser};
use crate::processors::testing::lines;
use crate::registry::Build;

/// The time of data without one: 2001-09-09 01:46:40 UTC.
pub(super) const NOW: i64 = 1_000_000_000_000_000_000;

/// A parser of this table, which must have no keys that are left over.
pub(super) fn try_parser(build: Build<dyn Parser>, options: &str) -> Result<Box<dyn Parser>, ConfigError> {
    let mut section = section_for_tests(options);
    let parser = build(&mut section, &Context::default())?;
    assert!(section.finish().is_ok(), "options nobody asked for in {options:?}");
    Ok(parser)
}

/// A parser of a table without faults.
pub(super) fn parser(build: Build<dyn Parser>, options: &str) -> Box<dyn Parser> {
    try_parser(build, options).expect("valid options")
}

/// What a document gives, as lines with `u` for unsigned values and without the time where it is [`NOW`].
pub(super) fn parse(parser: &mut dyn Parser, data: &str) -> (Vec<String>, Result<(), ParseError>) {
    let mut out = Vec::new();
    let result = parser.parse(data.as_bytes(), &Defaults { name: "file".into(), now_ns: NOW }, &mut out);
    let now = format!(" {NOW}");
    let lines = lines(&out).into_iter().map(|line| line.strip_suffix(&now).unwrap_or(&line).to_owned());
    (lines.collect(), result)
}

/// The lines of a document without faults.
pub(super) fn parsed(build: Build<dyn Parser>, options: &str, data: &str) -> Vec<String> {
    let (lines, result) = parse(parser(build, options).as_mut(), data);
    result.expect("a good document");
    lines
}

/// The error about a document, as people see it.
pub(super) fn fault(build: Build<dyn Parser>, options: &str, data: &str) -> String {
    parse(parser(build, options).as_mut(), data).1.expect_err("a bad document").to_string()
}

/// Feeds damaged copies of a document, and bytes of no meaning: whatever comes of it, no panic.
pub(super) fn survives_damage(build: Build<dyn Parser>, options: &str, good: &str) {
    let strategy = (
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<u8>(), 0..64),
    );
    let mut runner = TestRunner::new(Config { cases: 512, failure_persistence: None, ..Config::default() });
    let result = runner.run(&strategy, |(changes, end, noise)| {
        let mut bytes = good.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        for data in [bytes.as_slice(), noise.as_slice()] {
            let mut parser = parser(build, options);
            let mut out = Vec::new();
            parser.parse(data, &Defaults { name: "file".into(), now_ns: NOW }, &mut out).ok();
        }
        Ok(())
    });
    result.expect("no panic");
}
