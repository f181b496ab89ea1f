//! Processors one after the other.

use std::sync::Arc;

use tracing::{debug, error};

use crate::config::{Fingerprint, PluginId, ProcessorOptions};
use crate::guard::guarded;
use crate::metric::Metric;
use crate::processor::Processor;

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
    failing: bool,
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

    /// Puts what the processors hold back, passed through those behind each, into `out`.
    pub(super) fn drain(&mut self, out: &mut Vec<Metric>, now_ns: i64) {
        let mut passing = Vec::new();
        for step in &mut self.steps {
            step.apply_all(&mut passing, now_ns);
            step.drain(&mut passing, now_ns);
        }
        passing.retain(|metric| !metric.fields().is_empty());
        out.append(&mut passing);
    }
}

impl Step {
    pub(super) fn new(
        id: PluginId,
        fingerprint: Fingerprint,
        options: Arc<ProcessorOptions>,
        processor: Box<dyn Processor>,
    ) -> Self {
        Self { id, fingerprint, options, processor, failing: false }
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
