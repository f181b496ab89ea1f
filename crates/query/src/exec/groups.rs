//! Which series a query reads, and which of them belong together.

use std::{ops::Range, sync::Arc};

use rustc_hash::FxHashMap;
use skywatch_storage::{ReadError, SeriesRef, ShardRead, TagPredicate};

use super::{Usage, block::Layout};
use crate::{
    QueryError,
    plan::{Bound, Condition, NamedSource, SHARDS_AHEAD, SelectPlan},
};

/// Tags of a group.
pub(super) type Tags = Arc<[(Arc<str>, Arc<str>)]>;

/// Series that answer as one.
#[derive(Debug)]
pub(super) struct Group {
    /// Dimensions and their values.
    pub(super) tags: Tags,
    /// Its series, by cluster, then by series key.
    pub(super) members: Vec<Member>,
    /// Members of shards whose ranges overlap, in the order of time. Rows of different clusters never interleave.
    pub(super) clusters: Vec<Range<usize>>,
}

/// A series in one shard.
#[derive(Debug)]
pub(super) struct Member {
    /// Index into the source's shards.
    pub(super) shard: usize,
    /// The series there.
    pub(super) series: SeriesRef,
    /// Its values of the tags that the query shows, in the order of the layout.
    pub(super) shown: Box<[Option<Arc<str>>]>,
    /// Which of its rows count.
    pub(super) rows: Bound,
}

/// The groups of a source, sorted by tags (reversed when descending), cut to SLIMIT and SOFFSET.
pub(super) fn build(
    plan: &SelectPlan,
    source: &NamedSource,
    layout: &Layout,
    usage: &Usage<'_>,
) -> Result<Vec<Group>, QueryError> {
    let predicate = plan.condition.as_ref().map_or(TagPredicate::All, Condition::series_predicate);
    let binder = Binder::new(plan, source);
    // What is asked of the index for each series: the dimensions, then what is shown.
    let keys: Vec<Arc<str>> = plan.dimensions.iter().chain(&layout.tags).cloned().collect();
    let mut collected = Collected::default();
    let mut held = 0;
    let expect = |shard: &Arc<dyn ShardRead>| shard.expect_series(&source.name, &predicate);
    source.shards.iter().take(SHARDS_AHEAD).for_each(expect);
    for cluster in clusters(&source.shards) {
        let later = |shard: usize| source.shards.get(shard + SHARDS_AHEAD);
        cluster.clone().filter_map(later).for_each(expect);
        for (shard, series) in select(source, cluster.clone(), &predicate)? {
            held += MEMBER_BYTES + keys.len() * TAG_BYTES;
            if held >= HOLD_STEP_BYTES {
                usage.cancel.check()?;
                usage.hold(std::mem::take(&mut held))?;
            }
            let rows = binder.bind(shard, series);
            if matches!(rows, Bound::Nothing) {
                continue;
            }
            let mut values =
                if keys.is_empty() { Vec::new() } else { source.shards[shard].tag_values_of(series, &keys) };
            let shown = values.drain(plan.dimensions.len()..);
            // An empty tag is no tag, unless a subquery was grouped by it.
            let is_tag = |value: &Arc<str>, key: &Arc<str>| {
                !value.is_empty() || (source.is_answer && has_tag(source, shard, series, key))
            };
            let shown =
                shown.zip(&layout.tags).map(|(value, key)| is_tag(&value, key).then_some(value)).collect();
            let member = Member { shard, series, shown, rows };
            collected.group(&plan.dimensions, &values).push(member, cluster.start);
        }
    }
    let mut groups = collected.sorted();
    limit(plan, &mut groups);
    if !plan.ascending {
        groups.reverse();
    }
    usage.hold(held)?;
    Ok(groups)
}

fn has_tag(source: &NamedSource, shard: usize, series: SeriesRef, key: &str) -> bool {
    source.shards[shard].series_tags(series).iter().any(|(tag, _)| &**tag == key)
}

/// About what a member takes besides the values of its tags, and such a value; its text is the index's own.
const MEMBER_BYTES: usize = 96;
const TAG_BYTES: usize = 32;
/// Members are counted in steps of this; between two, the query looks whether it is to go on.
const HOLD_STEP_BYTES: usize = 256 << 10;

/// Groups found so far, by the values of their dimensions.
#[derive(Default)]
struct Collected {
    groups: Vec<Group>,
    by_values: FxHashMap<Box<[Arc<str>]>, usize>,
}

impl Collected {
    /// The group with these values.
    fn group(&mut self, dimensions: &[Arc<str>], values: &[Arc<str>]) -> &mut Group {
        let index = match self.by_values.get(values) {
            Some(index) => *index,
            None => {
                self.groups.push(Group {
                    tags: dimensions.iter().cloned().zip(values.iter().cloned()).collect(),
                    members: Vec::new(),
                    clusters: Vec::new(),
                });
                self.by_values.insert(values.into(), self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        &mut self.groups[index]
    }

    /// By the values of their tags.
    fn sorted(self) -> Vec<Group> {
        let mut groups = self.groups;
        // The keys are the same everywhere. Series come by key, so that groups mostly are in order already.
        groups.sort_by(|a, b| a.tags.cmp(&b.tags));
        groups
    }
}

/// Applies SLIMIT and SOFFSET. They count groups in another order than the one shown: by the keys of the tags
/// that a group has, then by their values.
fn limit(plan: &SelectPlan, groups: &mut Vec<Group>) {
    if plan.series_limit == 0 && plan.series_offset == 0 {
        return;
    }
    let key = |index: &usize| {
        let present = || groups[*index].tags.iter().filter(|(_, value)| !value.is_empty());
        let (keys, values) = (present().map(|(key, _)| &**key), present().map(|(_, value)| &**value));
        keys.chain(values).collect::<Vec<_>>().join("|")
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_cached_key(key);
    let count = if plan.series_limit == 0 { usize::MAX } else { plan.series_limit as usize };
    let mut kept: Vec<usize> = order.into_iter().skip(plan.series_offset as usize).take(count).collect();
    kept.sort_unstable();
    let mut index = 0;
    groups.retain(|_| {
        index += 1;
        kept.binary_search(&(index - 1)).is_ok()
    });
}

impl Group {
    /// Adds a member of the cluster that begins at shard `cluster_start`.
    fn push(&mut self, member: Member, cluster_start: usize) {
        let at = self.members.len();
        let same = self.clusters.last().is_some_and(|last| self.members[last.start].shard >= cluster_start);
        match self.clusters.last_mut() {
            Some(last) if same => last.end = at + 1,
            _ => self.clusters.push(at..at + 1),
        }
        self.members.push(member);
    }
}

/// Runs of shards whose ranges overlap, directly or through others. Shards are sorted by the start of their range.
fn clusters(shards: &[Arc<dyn ShardRead>]) -> Vec<Range<usize>> {
    let mut clusters: Vec<Range<usize>> = Vec::new();
    let mut end = i64::MIN;
    for (index, shard) in shards.iter().enumerate() {
        let range = shard.time_range();
        match clusters.last_mut() {
            Some(last) if range.start <= end => last.end = index + 1,
            _ => clusters.push(index..index + 1),
        }
        end = end.max(range.end);
    }
    clusters
}

/// Series of a cluster that satisfy the predicate, by series key, then by shard.
fn select(
    source: &NamedSource,
    cluster: Range<usize>,
    predicate: &TagPredicate,
) -> Result<Vec<(usize, SeriesRef)>, ReadError> {
    if let [shard] = &source.shards[cluster.clone()] {
        let series = shard.select_series(&source.name, predicate)?;
        return Ok(series.into_iter().map(|series| (cluster.start, series)).collect());
    }
    let mut keyed: Vec<(Arc<str>, usize, SeriesRef)> = Vec::new();
    for index in cluster {
        let shard = &source.shards[index];
        for series in shard.select_series(&source.name, predicate)? {
            keyed.push((shard.series_key(series), index, series));
        }
    }
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, shard, series)| (shard, series)).collect())
}

/// Applies the condition to series.
struct Binder<'a> {
    source: &'a NamedSource,
    /// Where it depends on the series.
    condition: Option<&'a Condition>,
    /// What it means where it does not.
    shared: Bound,
}

impl<'a> Binder<'a> {
    fn new(plan: &'a SelectPlan, source: &'a NamedSource) -> Self {
        match &plan.condition {
            None => Self { source, condition: None, shared: Bound::All },
            Some(condition) if !condition.needs_tags() => {
                Self { source, condition: None, shared: condition.bind(&source.name, &[]) }
            }
            Some(condition) => Self { source, condition: Some(condition), shared: Bound::Nothing },
        }
    }

    fn bind(&self, shard: usize, series: SeriesRef) -> Bound {
        match self.condition {
            None => self.shared.clone(),
            Some(condition) => {
                condition.bind(&self.source.name, &self.source.shards[shard].series_tags(series))
            }
        }
    }
}
