//! Tombstones for tests of formats.

use std::sync::Arc;

use regex::Regex;
use skywatch_model::{TimeRange, Version};

use super::{Rule, Tombstone};
use crate::TagPredicate;

pub(crate) fn plain() -> Tombstone {
    Tombstone {
        id: 5,
        version: Version(70),
        range: TimeRange::new(-3, 1 << 40),
        barrier: 6,
        log: 3,
        series: [0, 2, 4, 100_000].into(),
        resolved: 100_001,
        rule: None,
    }
}

pub(crate) fn with_rule() -> Tombstone {
    let equal = |key: &str, value: &str| TagPredicate::Equal { key: key.into(), value: value.into() };
    let matches =
        TagPredicate::Matches { key: "rack".into(), regex: Arc::new(Regex::new("^r[0-9]+$").unwrap()) };
    let any =
        TagPredicate::Or(vec![matches, TagPredicate::Not(Box::new(equal("dc", ""))), TagPredicate::None]);
    let predicate = TagPredicate::And(vec![equal("host", "a b"), any, TagPredicate::All]);
    let rule = Rule { measurements: vec!["cpu".into(), "disk io".into()], predicate };
    Tombstone { id: 6, series: [7].into(), rule: Some(rule), ..plain() }
}
