//! What shards are told before their series are scanned: which series, in which order, and what suffices of them.

mod counted;

use std::sync::Arc;

use skywatch_model::FieldType;
use skywatch_storage::{
    Conditions, Order, ReadError, RegularWindows, ScanRequest, Scanner, Summary, WantedStats,
};

use super::{
    block::Layout,
    early::Attempts,
    edge,
    groups::{Group, Member},
};
use crate::{
    kernel::PointTime,
    plan::{CallPlan, NamedSource, SHARDS_AHEAD, SelectPlan},
    window::Windows,
};
use counted::Counted;

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
        let is_told = source.shards.iter().any(|shard| shard.is_remote());
        let counted = if is_told { Counted::of(groups, layout) } else { Counted::Other };
        let wanted = wanted(plan, layout, &counted, &scanned);
        let order = if plan.ascending { Order::Ascending } else { Order::Descending };
        let mut scanners = Self { all: Vec::new(), edges: Vec::new() };
        // Where the ends of series suffice, nothing else is read.
        let reads_all = plan.is_raw() || scanned.iter().any(|call| call.argument.is_some());
        let mut ahead = 0;
        for (index, shard) in source.shards.iter().enumerate() {
            ahead += usize::from(shard.is_remote());
            let members = || members_of(plan, groups, index).into_iter();
            let series = || members().map(|member| member.series).collect();
            let of = || members().map(|member| counted.place(member)).collect();
            let conditions = counted.conditions().filter(|_| shard.is_remote());
            let request = ScanRequest {
                measurement: &source.name,
                fields: &layout.request,
                series: Some(&series),
                ranges: &ranges,
                order: None,
                rows: None,
                summary: None,
                conditions: conditions.map(|(all, is_same)| match is_same {
                    true => Conditions { all, of: None },
                    false => Conditions { all, of: Some(&of) },
                }),
            };
            let summary = match &wanted {
                Some(wanted)
                    if shard.is_remote() && has_types(plan, &scanned, &shard.fields(&source.name)?) =>
                {
                    Some(Summary { windows: windows(plan), wanted })
                }
                _ => None,
            };
            let rows = rows_needed(plan, &counted);
            // The others are asked when it comes to them, so that a query over very many is not very many calls at once.
            let order = (reads_all && ahead <= SHARDS_AHEAD).then_some(order);
            scanners.all.push(shard.scanner(&ScanRequest { order, rows, summary, ..request })?);
            if has_edges {
                scanners.edges.push(shard.scanner(&ScanRequest { rows: Some(1), ..request })?);
            }
        }
        Ok(scanners)
    }
}

/// The members of a shard, in the order in which groups are answered.
fn members_of<'a>(plan: &SelectPlan, groups: &'a [Group], shard: usize) -> Vec<&'a Member> {
    let mut members = Vec::new();
    for group in groups {
        let first = members.len();
        members.extend(group.members.iter().filter(|member| member.shard == shard));
        if !plan.ascending {
            members[first..].reverse();
        }
    }
    members
}

/// What suffices of each field that is read; `None` if rows are needed.
fn wanted(
    plan: &SelectPlan,
    layout: &Layout,
    counted: &Counted,
    scanned: &[&CallPlan],
) -> Option<Vec<WantedStats>> {
    let has_windows = plan.windows.as_ref().is_none_or(Windows::are_regular);
    if scanned.is_empty()
        || plan.reads_subquery
        || !plan.references.is_empty()
        || !has_windows
        || matches!(counted, Counted::Other)
    {
        return None;
    }
    let mut wanted = vec![WantedStats { untimed: true, ..WantedStats::default() }; layout.request.len()];
    for call in scanned {
        let Some((field, field_type)) = call.argument else { continue };
        let stats = call.function.statistics?;
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
            untimed: all.untimed && call.config.selector.time == PointTime::Window,
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
fn rows_needed(plan: &SelectPlan, counted: &Counted) -> Option<u64> {
    let is_bounded = plan.is_raw() && plan.limit > 0 && !matches!(counted, Counted::Other);
    is_bounded.then(|| plan.limit.saturating_add(plan.offset))
}
