//! Who has something to tell.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::RwLock;

use crate::{Diagnostics, Statistic};

/// Which statistics are asked for. Sources look at it before work that costs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All that InfluxDB shows when no module is named.
    All,
    /// One module, `SHOW STATS FOR 'name'`.
    Module(&'a str),
}

impl Selection<'_> {
    /// Whether statistics of this name are wanted.
    pub fn includes(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Module(module) => module == name,
        }
    }

    /// Whether they were asked for by name; for those that are told only then.
    pub fn names(self, name: &str) -> bool {
        matches!(self, Self::Module(module) if module == name)
    }
}

/// A part of the server that counts.
pub trait StatisticsSource: Send + Sync {
    /// Adds what it has now; of what is not selected it may add what costs nothing, it is left out later. Must not
    /// block for long, and not call the monitor.
    fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>);
}

type Describe = Arc<dyn Fn() -> Diagnostics + Send + Sync>;

/// All that can be told, in one place. See the crate's header.
#[derive(Default)]
pub struct Monitor {
    sources: RwLock<Vec<Arc<dyn StatisticsSource>>>,
    diagnostics: RwLock<BTreeMap<&'static str, Describe>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("sources", &self.sources.read().len()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Adds a source; what it tells comes after what those before it tell.
    pub fn add(&self, source: Arc<dyn StatisticsSource>) {
        self.sources.write().push(source);
    }

    /// What everybody tells now.
    pub fn statistics(&self, selection: Selection<'_>) -> Vec<Statistic> {
        let sources = self.sources.read().clone();
        let mut statistics = Vec::new();
        for source in sources {
            source.collect(selection, &mut statistics);
        }
        statistics.retain(|statistic| selection.includes(statistic.name()));
        statistics
    }

    /// Adds a module of diagnostics, or replaces it. `describe` is called for each question.
    pub fn describe(&self, module: &'static str, describe: impl Fn() -> Diagnostics + Send + Sync + 'static) {
        self.diagnostics.write().insert(module, Arc::new(describe));
    }

    /// Modules with their rows, sorted by name.
    pub fn diagnostics(&self, selection: Selection<'_>) -> Vec<(&'static str, Diagnostics)> {
        let selected = |(module, describe): (&&'static str, &Describe)| {
            selection.includes(module).then(|| (*module, Arc::clone(describe)))
        };
        let described: Vec<_> = self.diagnostics.read().iter().filter_map(selected).collect();
        described.into_iter().map(|(module, describe)| (module, describe())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;

    impl StatisticsSource for Two {
        fn collect(&self, selection: Selection<'_>, statistics: &mut Vec<Statistic>) {
            statistics.push(Statistic::new("write").values([("req", 1)]));
            statistics.push(Statistic::new("cq").values([("queryOk", 1)]));
            if selection.names("indexes") {
                statistics.push(Statistic::new("indexes").values([("memoryBytes", 1)]));
            }
        }
    }

    #[test]
    fn a_module_is_told_alone_and_some_only_by_name() {
        let monitor = Monitor::default();
        monitor.add(Arc::new(Two));
        let names = |selection| monitor.statistics(selection).iter().map(Statistic::name).collect::<Vec<_>>();
        assert_eq!(names(Selection::All), ["write", "cq"]);
        assert_eq!(names(Selection::Module("cq")), ["cq"]);
        assert_eq!(names(Selection::Module("indexes")), ["indexes"]);
        assert!(names(Selection::Module("CQ")).is_empty());
    }

    #[test]
    fn diagnostics_come_sorted_and_are_asked_for_anew() {
        let monitor = Monitor::default();
        let asked = std::sync::atomic::AtomicU64::new(0);
        monitor.describe("system", move || {
            let asked = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Diagnostics::new().with("uptime", asked).with("PID", 7u64)
        });
        monitor.describe("build", || Diagnostics::new().with("Version", "1"));
        let all = monitor.diagnostics(Selection::All);
        assert_eq!(all.iter().map(|(module, _)| *module).collect::<Vec<_>>(), ["build", "system"]);
        let system = &monitor.diagnostics(Selection::Module("system"))[0].1;
        assert_eq!(system.cells(), [("PID", 7u64.into()), ("uptime", 1u64.into())]);
    }
}
