//! The pipeline's task: hands it metrics and the clock, and what comes out to the outputs.

use std::future::pending;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::route::Fanout;
use super::{nanos, wall_clock_ns};
use crate::metric::Metric;
use crate::pipeline::Pipeline;

/// What the pipeline is handed, in order.
#[derive(Debug)]
pub(super) enum ToPipeline {
    /// Metrics of an input.
    Metrics(Vec<Metric>),
    /// What to be from now on.
    Replace(Box<Pipeline>),
}

/// Runs until the channel is closed and all that was held back is handed on.
pub(super) async fn run(mut pipeline: Pipeline, mut inbox: mpsc::Receiver<ToPipeline>, outputs: Fanout) {
    let mut open = true;
    while open {
        let mut out = Vec::new();
        tokio::select! {
            received = inbox.recv() => match received {
                Some(ToPipeline::Metrics(metrics)) => pipeline.apply(metrics, wall_clock_ns(), &mut out),
                Some(ToPipeline::Replace(new)) => {
                    let old = std::mem::replace(&mut pipeline, *new);
                    pipeline.inherit(old, wall_clock_ns(), &mut out);
                }
                None => {
                    pipeline.finish(wall_clock_ns(), &mut out);
                    open = false;
                }
            },
            () = until(pipeline.next_end()) => pipeline.push_due(wall_clock_ns(), &mut out),
        }
        if !out.is_empty() {
            outputs.send(out).await;
        }
    }
}

/// Until the wall clock shows this. A clock set meanwhile makes it early or late; the pipeline looks at the clock again.
async fn until(end: Option<i64>) {
    match end {
        Some(end) => sleep(nanos(end.saturating_sub(wall_clock_ns()))).await,
        None => pending().await,
    }
}
