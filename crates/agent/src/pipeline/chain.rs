//! Processors one after the other.

use std::sync::Arc;

use tracing::{debug, error};

use crate::config::{Fingerprint, PluginId, ProcessorOptions};
use crate::guard::guarded;
use crate::metric::Metric;
use crate::processor::Processor;
use crate::statistics::{Counters, Stat};

/// Processors in the order in which metrics pass them.
#[derive(Debug)]
pub(super) struct Chain {
    steps: Vec<Step>,
}

/// A processor and what it is applied to.
#[derive(Debug)]
pub(super) struct Step {
    id: PluginId,
    fingerprint: Fingerprint,
    options: Arc<ProcessorOptions>,
    processor: Box<dyn Processor>,
    counters: Arc<Counters>,
    failing: bool,
    has_inherited: bool,
}

impl Chain {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Turns metrics into what becomes of them.
    pub(super) fn apply(&mut self, metrics: &mut Vec<Metric>, now_ns: i64) {
        for step in &mut self.steps {
            if metrics.is_empty() {
                return;
            }
            step.apply_all(metrics, now_ns);
        }
        if !self.steps.is_empty() {
            metrics.retain(|metric| !metric.fields().is_empty());
        }
    }

    /// Puts what the processors meant hold back, passed through those behind each, into `out`.
    pub(super) fn drain(&mut self, out: &mut Vec<Metric>, now_ns: i64, meant: impl Fn(&Step) -> bool) {
        let mut passing = Vec::new();
        for step in &mut self.steps {
            step.apply_all(&mut passing, now_ns);
            if meant(step) {
                step.drain(&mut passing, now_ns);
            }
        }
        passing.retain(|metric| !metric.fields().is_empty());
        out.append(&mut passing);
    }

    /// Whether there is a processor that may go on for this one.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.steps.iter().any(|own| own.is_like(step))
    }

    /// Goes on with the processors of another chain, where there are the same here.
    pub(super) fn inherit(&mut self, old: Self) {
        for step in old.steps {
            if let Some(own) = self.steps.iter_mut().find(|own| !own.has_inherited && own.is_like(&step)) {
                own.processor = step.processor;
                own.failing = step.failing;
                own.has_inherited = true;
            }
        }
        self.steps.iter_mut().for_each(|step| step.has_inherited = false);
    }
}

impl Step {
    pub(super) fn new(
        id: PluginId,
        fingerprint: Fingerprint,
        options: Arc<ProcessorOptions>,
        counters: Arc<Counters>,
        processor: Box<dyn Processor>,
    ) -> Self {
        Self { id, fingerprint, options, processor, counters, failing: false, has_inherited: false }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.id == other.id && self.fingerprint == other.fingerprint
    }

    fn apply_all(&mut self, metrics: &mut Vec<Metric>, now_ns: i64) {
        let mut out = Vec::with_capacity(metrics.len());
        for mut metric in metrics.drain(..) {
            if !self.options.filter.selects(&metric) {
                out.push(metric);
                continue;
            }
            if self.options.filter.modifies() {
                self.options.filter.modify(&mut metric);
                if metric.fields().is_empty() {
                    continue;
                }
            }
            let result = guarded(|| self.processor.apply(metric, now_ns, &mut out));
            self.noticed(result);
        }
        *metrics = out;
    }

    fn drain(&mut self, out: &mut Vec<Metric>, now_ns: i64) {
        let result = guarded(|| self.processor.drain(now_ns, out));
        self.noticed(result);
    }

    /// Tells of the first panic in a row: a processor with a bug may have it with every metric.
    fn noticed(&mut self, result: Result<(), String>) {
        if result.is_err() {
            self.counters.add(Stat::Errors, 1);
        }
        match result {
            Ok(()) => self.failing = false,
            Err(panic) if self.failing => debug!("{}: failed again: {panic}", self.id),
            Err(panic) => {
                self.failing = true;
                error!("{}: failed, and the metric is lost: {panic}", self.id);
            }
        }
    }
}
