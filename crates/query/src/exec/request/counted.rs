//! Which rows of a source count, as far as shards elsewhere can be told.
//!
//! A tag is a constant of its series: `host = 'a' OR usage > 90` means `usage > 90` for most series, and every row for those
//! of one host. Conditions are therefore told by series, each that occurs once.

use std::{collections::HashMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::super::{
    block::Layout,
    groups::{Group, Member},
    row_filter::RowFilter,
};
use crate::plan::Bound;

/// Bytes of all conditions of a query that are told, at most. Beyond, rows come here and are looked at here.
const BYTES_MAX: usize = 1 << 20;

/// See the module's header.
#[derive(Debug)]
pub(super) enum Counted {
    /// All of them.
    All,
    /// Those that satisfy a condition.
    Where(Told),
    /// What only this node can tell.
    Other,
}

/// Conditions of series.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// As they travel.
    all: Vec<Vec<u8>>,
    /// By where they are in memory: members that share one share its place.
    places: FxHashMap<usize, u32>,
    /// Whether all members have the first one.
    is_same: bool,
}

impl Counted {
    pub(super) fn of(groups: &[Group], layout: &Layout) -> Self {
        let mut told = Told { is_same: true, ..Told::default() };
        let mut written: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut bytes = 0;
        for member in groups.iter().flat_map(|group| &group.members) {
            let Bound::Rows(condition) = &member.rows else {
                told.is_same = false;
                continue;
            };
            let known = told.places.entry(Arc::as_ptr(condition).addr());
            let std::collections::hash_map::Entry::Vacant(unknown) = known else { continue };
            let Some(encoded) = RowFilter::encode(condition, layout) else { return Self::Other };
            let next = told.all.len() as u32;
            let place = *written.entry(encoded.clone()).or_insert(next);
            unknown.insert(place);
            if place == next {
                bytes += encoded.len();
                told.all.push(encoded);
            }
            if bytes > BYTES_MAX {
                return Self::Other;
            }
        }
        told.is_same &= told.all.len() == 1;
        if told.all.is_empty() { Self::All } else { Self::Where(told) }
    }

    /// What rows have to satisfy, and whether that is the same for all series.
    pub(super) fn conditions(&self) -> Option<(&[Vec<u8>], bool)> {
        match self {
            Self::Where(told) => Some((&told.all, told.is_same)),
            Self::All | Self::Other => None,
        }
    }

    /// The place of a member's condition; nothing if all its rows count.
    pub(super) fn place(&self, member: &Member) -> Option<u32> {
        match (self, &member.rows) {
            (Self::Where(told), Bound::Rows(condition)) => {
                told.places.get(&Arc::as_ptr(condition).addr()).copied()
            }
            _ => None,
        }
    }
}
