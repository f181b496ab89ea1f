//! The way of metrics out of an input: into the pipeline if there is one, otherwise straight to the outputs.
//!
//! The ends may be exchanged while inputs run; a batch under way takes the way that was there when it set out.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;

use super::Gathered;
use super::pipeline_task::ToPipeline;
use crate::metric::Metric;

/// All outputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Fanout(Arc<RwLock<Arc<[mpsc::Sender<Gathered>]>>>);

impl Fanout {
    /// From now on metrics go to these.
    pub(super) fn set(&self, outputs: Vec<mpsc::Sender<Gathered>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = outputs.into();
    }

    /// Hands metrics to every output, which takes them at once even while it writes.
    pub(super) async fn send(&self, metrics: Vec<Metric>) {
        let outputs = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let shared: Gathered = metrics.into_iter().map(Arc::new).collect();
        for output in outputs.iter() {
            // One that is gone was taken out of the configuration.
            output.send(Arc::clone(&shared)).await.ok();
        }
    }
}

/// Where inputs hand their metrics in.
#[derive(Debug, Clone, Default)]
pub(super) struct Entrance {
    pipeline: Arc<RwLock<Option<mpsc::Sender<ToPipeline>>>>,
    outputs: Fanout,
}

impl Entrance {
    /// Straight to these outputs.
    pub(super) fn new(outputs: Fanout) -> Self {
        Self { pipeline: Arc::default(), outputs }
    }

    /// From now on metrics go into this pipeline, or straight to the outputs.
    pub(super) fn set_pipeline(&self, pipeline: Option<mpsc::Sender<ToPipeline>>) {
        *self.pipeline.write().unwrap_or_else(PoisonError::into_inner) = pipeline;
    }

    /// Hands metrics on, in order, waiting while there is no room.
    pub(super) async fn send(&self, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let pipeline = self.pipeline.read().unwrap_or_else(PoisonError::into_inner).clone();
        match pipeline {
            // It ends only after all inputs.
            Some(pipeline) => pipeline.send(ToPipeline::Metrics(metrics)).await.unwrap_or_default(),
            None => self.outputs.send(metrics).await,
        }
    }
}
