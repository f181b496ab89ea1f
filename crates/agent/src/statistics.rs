//! What every plugin did: counters that cost an atomic addition, read by the `internal` input.
//!
//! Counters belong to a plugin of a configuration and live as long as the agent. A plugin that a reload replaces leaves
//! its counts to the next of its name and alias, so that sums only ever grow.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::{Fingerprint, PluginId};

/// Something counted. The order is that of [`Stat::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stat {
    /// Metrics an input brought, before filters of other plugins.
    MetricsGathered,
    /// Collections that were not done when the next was due.
    GatherTimeouts,
    /// Errors of collections.
    GatherErrors,
    /// Failures to start or to connect.
    StartupErrors,
    /// Errors that were told of or would have been.
    Errors,
    /// Metrics handed to an output.
    MetricsAdded,
    /// Metrics an output's destination stored.
    MetricsWritten,
    /// Metrics an output's destination refused for good.
    MetricsRejected,
    /// Metrics lost: to a full buffer, or to the wrong time for an aggregator's window.
    MetricsDropped,
    /// Metrics that a plugin's filters left nothing of.
    MetricsFiltered,
    /// Writes that failed.
    WriteErrors,
    /// Metrics an aggregator said.
    MetricsPushed,
    /// Time spent saying them.
    PushTimeNs,
    /// Metrics in an output's buffer.
    BufferSize,
    /// Room in an output's buffer.
    BufferLimit,
}

impl Stat {
    const ALL: [Self; 15] = [
        Self::MetricsGathered,
        Self::GatherTimeouts,
        Self::GatherErrors,
        Self::StartupErrors,
        Self::Errors,
        Self::MetricsAdded,
        Self::MetricsWritten,
        Self::MetricsRejected,
        Self::MetricsDropped,
        Self::MetricsFiltered,
        Self::WriteErrors,
        Self::MetricsPushed,
        Self::PushTimeNs,
        Self::BufferSize,
        Self::BufferLimit,
    ];

    /// The name of its field.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MetricsGathered => "metrics_gathered",
            Self::GatherTimeouts => "gather_timeouts",
            Self::GatherErrors => "gather_errors",
            Self::StartupErrors => "startup_errors",
            Self::Errors => "errors",
            Self::MetricsAdded => "metrics_added",
            Self::MetricsWritten => "metrics_written",
            Self::MetricsRejected => "metrics_rejected",
            Self::MetricsDropped => "metrics_dropped",
            Self::MetricsFiltered => "metrics_filtered",
            Self::WriteErrors => "write_errors",
            Self::MetricsPushed => "metrics_pushed",
            Self::PushTimeNs => "push_time_ns",
            Self::BufferSize => "buffer_size",
            Self::BufferLimit => "buffer_limit",
        }
    }

    /// Whether it is how things are rather than a count of what happened.
    fn is_gauge(self) -> bool {
        matches!(self, Self::BufferSize | Self::BufferLimit)
    }
}

/// One plugin's counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    values: [AtomicU64; Stat::ALL.len()],
    timing: Mutex<Timing>,
}

/// Durations since they were last asked for.
#[derive(Debug, Default, Clone, Copy)]
struct Timing {
    sum_ns: u64,
    count: u64,
    mean_ns: u64,
}

impl Counters {
    fn slot(&self, stat: Stat) -> &AtomicU64 {
        &self.values[stat as usize]
    }

    /// Counts.
    pub(crate) fn add(&self, stat: Stat, count: u64) {
        self.slot(stat).fetch_add(count, Ordering::Relaxed);
    }

    /// Says how something is now.
    pub(crate) fn set(&self, stat: Stat, value: u64) {
        self.slot(stat).store(value, Ordering::Relaxed);
    }

    /// The value so far.
    pub(crate) fn get(&self, stat: Stat) -> u64 {
        self.slot(stat).load(Ordering::Relaxed)
    }

    /// A gather or a write took this long.
    pub(crate) fn took(&self, time: Duration) {
        let mut timing = self.timing.lock().unwrap_or_else(PoisonError::into_inner);
        timing.sum_ns = timing.sum_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        timing.count += 1;
    }

    /// The mean of the times since this was last asked; the last mean if there were none.
    pub(crate) fn mean_time_ns(&self) -> u64 {
        let mut timing = self.timing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mean_ns) = timing.sum_ns.checked_div(timing.count) {
            *timing = Timing { mean_ns, ..Timing::default() };
        }
        timing.mean_ns
    }

    fn inherit(&self, from: &Self) {
        for stat in Stat::ALL {
            if !stat.is_gauge() {
                self.add(stat, from.get(stat));
            }
        }
    }
}

/// A plugin's counters and whose they are.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The plugin.
    pub(crate) id: PluginId,
    /// Which of those of that name and alias.
    pub(crate) fingerprint: Fingerprint,
    /// What it did.
    pub(crate) counters: Arc<Counters>,
}

/// A number that a plugin itself keeps: a field of `internal_NAME`.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    /// Behind `internal_`.
    pub(crate) name: &'static str,
    /// Whose it is.
    pub(crate) tags: Vec<(&'static str, String)>,
    /// The field.
    pub(crate) field: &'static str,
    /// The number.
    pub(crate) value: Arc<AtomicI64>,
}

/// The counters of all plugins.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    plugins: Mutex<Vec<Entry>>,
    own: Mutex<Vec<Own>>,
}

impl Statistics {
    /// The counters of a plugin: those it had, or new ones with the counts of its predecessors that are gone.
    pub(crate) fn register(&self, id: &PluginId, fingerprint: Fingerprint) -> Arc<Counters> {
        let mut plugins = lock(&self.plugins);
        if let Some(known) = plugins.iter().find(|one| one.id == *id && one.fingerprint == fingerprint) {
            return Arc::clone(&known.counters);
        }
        let counters = Arc::new(Counters::default());
        plugins.retain(|one| {
            // Only this list holds it: nobody counts any more.
            let is_gone = one.id == *id && Arc::strong_count(&one.counters) == 1;
            if is_gone {
                counters.inherit(&one.counters);
            }
            !is_gone
        });
        plugins.push(Entry { id: id.clone(), fingerprint, counters: Arc::clone(&counters) });
        counters
    }

    /// A number of a plugin's own, which appears as `field` of `internal_NAME` with these tags. Asked for again, it is
    /// the same.
    pub(crate) fn own(
        &self,
        name: &'static str,
        tags: Vec<(&'static str, String)>,
        field: &'static str,
    ) -> Arc<AtomicI64> {
        let mut all = lock(&self.own);
        if let Some(known) = all.iter().find(|one| one.name == name && one.tags == tags && one.field == field)
        {
            return Arc::clone(&known.value);
        }
        let value = Arc::new(AtomicI64::new(0));
        all.push(Own { name, tags, field, value: Arc::clone(&value) });
        value
    }

    /// All plugins' counters, in the order in which the plugins came.
    pub(crate) fn plugins(&self) -> Vec<Entry> {
        lock(&self.plugins).clone()
    }

    /// All numbers of the plugins' own.
    pub(crate) fn own_all(&self) -> Vec<Own> {
        lock(&self.own).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> PluginId {
        PluginId { kind: "outputs", name: "file", alias: None }
    }

    #[test]
    fn slots_are_where_the_names_are() {
        for (at, stat) in Stat::ALL.iter().enumerate() {
            assert_eq!(*stat as usize, at, "{}", stat.name());
        }
    }

    #[test]
    fn a_successor_goes_on_counting_and_a_gauge_is_not_inherited() {
        let statistics = Statistics::default();
        let old = statistics.register(&id(), Fingerprint::of_text("old"));
        old.add(Stat::MetricsWritten, 5);
        old.set(Stat::BufferSize, 3);
        let beside = statistics.register(&id(), Fingerprint::of_text("beside"));
        assert_eq!(beside.get(Stat::MetricsWritten), 0, "the old one still runs");
        drop(old);
        let new = statistics.register(&id(), Fingerprint::of_text("new"));
        assert_eq!((new.get(Stat::MetricsWritten), new.get(Stat::BufferSize)), (5, 0));
        assert_eq!(statistics.plugins().len(), 2);
        let same = statistics.register(&id(), Fingerprint::of_text("new"));
        assert!(Arc::ptr_eq(&new, &same));
    }

    #[test]
    fn times_are_means_since_the_last_look() {
        let counters = Counters::default();
        assert_eq!(counters.mean_time_ns(), 0);
        counters.took(Duration::from_nanos(10));
        counters.took(Duration::from_nanos(30));
        assert_eq!(counters.mean_time_ns(), 20);
        assert_eq!(counters.mean_time_ns(), 20, "nothing new");
        counters.took(Duration::from_nanos(7));
        assert_eq!(counters.mean_time_ns(), 7);
    }
}
