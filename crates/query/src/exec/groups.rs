//! Which series a query reads, and which of them belong together.

use std::{ops::Range, sync::Arc};

use rustc_hash::FxHashMap;
use skywatch_storage::{SeriesRef, ShardRead, TagPredicate};

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
    let reader = MemberReader::new(plan, source, layout);
    let mut collected = Collected::default();
    let mut held = 0;
    let expect = |shard: &Arc<dyn ShardRead>| shard.expect_series(&source.name, &predicate);
    source.shards.iter().take(SHARDS_AHEAD).for_each(expect);
    for cluster in clusters(&source.shards) {
        let later = |shard: usize| source.shards.get(shard + SHARDS_AHEAD);
        cluster.clone().filter_map(later).for_each(expect);
        for shard in cluster.clone() {
            for series in source.shards[shard].select_series(&source.name, &predicate)? {
                held += MEMBER_BYTES + reader.keys.len() * TAG_BYTES;
                if held >= HOLD_STEP_BYTES {
                    usage.cancel.check()?;
                    usage.hold(std::mem::take(&mut held))?;
                }
                if let Some((values, member)) = reader.read(shard, series) {
                    collected.group(&plan.dimensions, &values).push(member, cluster.start);
                }
            }
        }
        if cluster.len() > 1 {
            collected.groups.iter_mut().for_each(|group| group.order(source, cluster.start));
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

    /// Brings members of the cluster that begins at shard `cluster_start`, which come by shard, into the order of their keys.
    fn order(&mut self, source: &NamedSource, cluster_start: usize) {
        let Some(range) = self.clusters.last().filter(|range| range.len() > 1) else { return };
        let members = &mut self.members[range.clone()];
        let is_of_one = members.iter().all(|member| member.shard == members[0].shard);
        if members[0].shard >= cluster_start && !is_of_one {
            // Stable: the same series of an earlier shard stays before that of a later one.
            members.sort_by_cached_key(|member| source.shards[member.shard].series_key(member.series));
        }
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

/// Applies the condition to series, and reads their tags.
struct MemberReader<'a> {
    source: &'a NamedSource,
    layout: &'a Layout,
    /// What is asked of the index for each series: the dimensions, then what is shown.
    keys: Vec<Arc<str>>,
    dimensions: usize,
    /// Where it depends on the series.
    condition: Option<&'a Condition>,
    /// What it means where it does not.
    shared: Bound,
}

impl<'a> MemberReader<'a> {
    fn new(plan: &'a SelectPlan, source: &'a NamedSource, layout: &'a Layout) -> Self {
        let (condition, shared) = match &plan.condition {
            None => (None, Bound::All),
            Some(condition) if !condition.needs_tags() => (None, condition.bind(&source.name, &[])),
            Some(condition) => (Some(condition), Bound::Nothing),
        };
        let keys = plan.dimensions.iter().chain(&layout.tags).cloned().collect();
        Self { source, layout, keys, dimensions: plan.dimensions.len(), condition, shared }
    }

    /// A series as a member of the group with these values of the dimensions; `None` if none of its rows counts.
    fn read(&self, shard: usize, series: SeriesRef) -> Option<(Vec<Arc<str>>, Member)> {
        let rows = match self.condition {
            None => self.shared.clone(),
            Some(condition) => condition.bind(&self.source.name, &self.shard(shard).series_tags(series)),
        };
        if matches!(rows, Bound::Nothing) {
            return None;
        }
        let mut values = match self.keys.as_slice() {
            [] => Vec::new(),
            keys => self.shard(shard).tag_values_of(series, keys),
        };
        let shown = values.drain(self.dimensions..).zip(&self.layout.tags);
        let shown = shown.map(|(value, key)| self.is_tag(shard, series, (key, &value)).then_some(value));
        let member = Member { shard, series, shown: shown.collect(), rows };
        Some((values, member))
    }

    /// An empty tag is no tag, unless a subquery was grouped by it.
    fn is_tag(&self, shard: usize, series: SeriesRef, (key, value): (&str, &str)) -> bool {
        let has_tag = || self.shard(shard).series_tags(series).iter().any(|(tag, _)| &**tag == key);
        !value.is_empty() || (self.source.is_answer && has_tag())
    }

    fn shard(&self, shard: usize) -> &dyn ShardRead {
        &*self.source.shards[shard]
    }
}
