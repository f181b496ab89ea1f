//! What shards are told before their series are scanned: which series, in which order, and what suffices of them.

use std::sync::Arc;

use skywatch_model::FieldType;
use skywatch_storage::{ReadError, RegularWindows, ScanRequest, Scanner, SeriesRef, Summary, WantedStats};

use super::{
    block::Layout,
    early::Attempts,
    edge,
    groups::{Group, Member},
};
use crate::{
    plan::{Bound, CallPlan, NamedSource, SelectPlan},
    window::Windows,
};

/// Readers of a source's shards, one each.
pub(super) struct Scanners<'a> {
    /// For all that is read but the ends of series.
    pub(super) all: Vec<Box<dyn Scanner + 'a>>,
    /// For the ends of series; empty where these are not looked for.
    pub(super) edges: Vec<Box<dyn Scanner + 'a>>,
}

impl<'a> Scanners<'a> {
    pub(super) fn new(
        plan: &SelectPlan,
        source: &'a NamedSource,
        layout: &Layout,
        groups: &[Group],
    ) -> Result<Self, ReadError> {
        let ranges = if plan.is_raw() { vec![plan.range] } else { Attempts::new(plan).ranges };
        let is_edge = |call: &&CallPlan| call.argument.is_some() && edge::applies(plan, call);
        let has_edges = plan.calls.iter().any(|call| is_edge(&call));
        let scanned: Vec<&CallPlan> = plan.calls.iter().filter(|call| !is_edge(call)).collect();
        let wanted = wanted(plan, layout, groups, &scanned);
        let mut scanners = Self { all: Vec::new(), edges: Vec::new() };
        for (index, shard) in source.shards.iter().enumerate() {
            let series = || series_of(plan, groups, index);
            let request = ScanRequest {
                measurement: &source.name,
                fields: &layout.request,
                series: Some(&series),
                ranges: &ranges,
                rows: None,
                summary: None,
            };
            let summary = match &wanted {
                Some(wanted)
                    if shard.is_remote() && has_types(plan, &scanned, &shard.fields(&source.name)?) =>
                {
                    Some(Summary { windows: windows(plan), wanted })
                }
                _ => None,
            };
            let rows = rows_needed(plan, groups);
            scanners.all.push(shard.scanner(&ScanRequest { rows, summary, ..request })?);
            if has_edges {
                scanners.edges.push(shard.scanner(&ScanRequest { rows: Some(1), ..request })?);
            }
        }
        Ok(scanners)
    }
}

/// The series of a shard, in the order in which groups are answered.
fn series_of(plan: &SelectPlan, groups: &[Group], shard: usize) -> Vec<SeriesRef> {
    let mut series = Vec::new();
    for group in groups {
        let first = series.len();
        let here = group.members.iter().filter(|member| member.shard == shard);
        series.extend(here.map(|member| member.series));
        if !plan.ascending {
            series[first..].reverse();
        }
    }
    series
}

/// What suffices of each field that is read; `None` if rows are needed.
fn wanted(
    plan: &SelectPlan,
    layout: &Layout,
    groups: &[Group],
    scanned: &[&CallPlan],
) -> Option<Vec<WantedStats>> {
    let has_windows = plan.windows.as_ref().is_none_or(Windows::are_regular);
    let counts_all_rows = |member: &Member| matches!(member.rows, Bound::All);
    if scanned.is_empty()
        || plan.reads_subquery
        || !plan.references.is_empty()
        || !has_windows
        || !groups.iter().flat_map(|group| &group.members).all(counts_all_rows)
    {
        return None;
    }
    let mut wanted = vec![WantedStats::default(); layout.request.len()];
    for call in scanned {
        let Some((field, field_type)) = call.argument else { continue };
        let stats = call.function.statistics?;
        // Floats round otherwise when they are added the other way round.
        if stats.sum && field_type == FieldType::Float && !plan.ascending {
            return None;
        }
        let has_order = !matches!(field_type, FieldType::String | FieldType::Boolean);
        if (stats.sum || stats.min || stats.max) && !has_order {
            return None;
        }
        let all = wanted.get_mut(layout.index[field])?;
        *all = WantedStats {
            sum: all.sum || stats.sum,
            min: all.min || stats.min,
            max: all.max || stats.max,
            first: all.first || stats.first,
            last: all.last || stats.last,
        };
    }
    Some(wanted)
}

fn windows(plan: &SelectPlan) -> Option<RegularWindows> {
    plan.windows
        .as_ref()
        .map(|windows| RegularWindows { every: windows.interval(), offset: windows.offset() })
}

/// Whether a shard holds the fields in the types that the calls work on: statistics cannot be cast.
fn has_types(plan: &SelectPlan, scanned: &[&CallPlan], fields: &[(Arc<str>, FieldType)]) -> bool {
    scanned.iter().filter_map(|call| call.argument).all(|(field, wanted)| {
        let name = &plan.scan_fields[field].name;
        fields.iter().find(|(known, _)| known == name).is_none_or(|(_, field_type)| *field_type == wanted)
    })
}

/// How many rows of a series can be wanted, where LIMIT bounds them.
fn rows_needed(plan: &SelectPlan, groups: &[Group]) -> Option<u64> {
    let counts_all_rows = |member: &Member| matches!(member.rows, Bound::All);
    let is_bounded = plan.is_raw()
        && plan.limit > 0
        && groups.iter().flat_map(|group| &group.members).all(counts_all_rows);
    is_bounded.then(|| plan.limit.saturating_add(plan.offset))
}
