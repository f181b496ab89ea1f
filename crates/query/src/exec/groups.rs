//! Which series a query reads, and which of them belong together.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use skywatch_storage::{SeriesRef, ShardRead, TagPredicate};

use super::block::Layout;
use crate::plan::{Bound, Condition, NamedSource, SelectPlan};

/// Tags of a series or a group.
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
    /// Its tags, where the query shows some.
    pub(super) tags: Option<Tags>,
    /// Which of its rows count.
    pub(super) rows: Bound,
}

/// The groups of a source, sorted by tags (reversed when descending), cut to SLIMIT and SOFFSET.
pub(super) fn build(plan: &SelectPlan, source: &NamedSource, layout: &Layout) -> Vec<Group> {
    let predicate = plan.condition.as_ref().map_or(TagPredicate::All, Condition::series_predicate);
    let binder = Binder::new(plan, source, layout);
    let mut groups: BTreeMap<Box<[Arc<str>]>, Group> = BTreeMap::new();
    for cluster in clusters(&source.shards) {
        for (shard, series) in select(source, cluster.clone(), &predicate) {
            let tags = binder.needs_tags.then(|| source.shards[shard].series_tags(series));
            let tags = tags.as_deref().unwrap_or_default();
            let rows = binder.bind(tags);
            if matches!(rows, Bound::Nothing) {
                continue;
            }
            let key: Box<[Arc<str>]> = plan.dimensions.iter().map(|key| value_of(tags, key)).collect();
            let member = Member { shard, series, tags: layout.shows_tags.then(|| tags.into()), rows };
            let group = groups.entry(key).or_insert_with_key(|key| Group {
                tags: plan.dimensions.iter().cloned().zip(key.iter().cloned()).collect(),
                members: Vec::new(),
                clusters: Vec::new(),
            });
            group.push(member, cluster.start);
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    limit(plan, &mut groups);
    if !plan.ascending {
        groups.reverse();
    }
    groups
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

fn value_of(tags: &[(Arc<str>, Arc<str>)], key: &Arc<str>) -> Arc<str> {
    match tags.iter().find(|(tag, _)| tag == key) {
        Some((_, value)) => Arc::clone(value),
        None => Arc::from(""),
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
fn select(source: &NamedSource, cluster: Range<usize>, predicate: &TagPredicate) -> Vec<(usize, SeriesRef)> {
    if let [shard] = &source.shards[cluster.clone()] {
        let series = shard.select_series(&source.name, predicate);
        return series.into_iter().map(|series| (cluster.start, series)).collect();
    }
    let mut keyed: Vec<(Arc<str>, usize, SeriesRef)> = Vec::new();
    for index in cluster {
        let shard = &source.shards[index];
        for series in shard.select_series(&source.name, predicate) {
            keyed.push((shard.series_key(series), index, series));
        }
    }
    keyed.sort();
    keyed.into_iter().map(|(_, shard, series)| (shard, series)).collect()
}

/// Applies the condition to series.
struct Binder<'a> {
    plan: &'a SelectPlan,
    measurement: &'a str,
    needs_tags: bool,
    /// The condition where it means the same for every series.
    shared: Option<Bound>,
}

impl<'a> Binder<'a> {
    fn new(plan: &'a SelectPlan, source: &'a NamedSource, layout: &Layout) -> Self {
        let condition_needs_tags = plan.condition.as_ref().is_some_and(Condition::needs_tags);
        let shared = match &plan.condition {
            None => Some(Bound::All),
            Some(condition) if !condition_needs_tags => Some(condition.bind(&source.name, &[])),
            Some(_) => None,
        };
        let needs_tags = layout.shows_tags || !plan.dimensions.is_empty() || shared.is_none();
        Self { plan, measurement: &source.name, needs_tags, shared }
    }

    fn bind(&self, tags: &[(Arc<str>, Arc<str>)]) -> Bound {
        match (&self.shared, &self.plan.condition) {
            (Some(shared), _) => shared.clone(),
            (None, Some(condition)) => condition.bind(self.measurement, tags),
            (None, None) => Bound::All,
        }
    }
}
