//! The outputs' buffers: opened before anything runs, since metrics are promised to be kept from the first on.

use std::sync::Arc;

use skywatch_storage::fs::OsFs;
use tracing::{info, warn};

use super::AgentError;
use crate::config::{AgentSettings, OutputOptions, PluginId};
use crate::delivery::disk::{DiskBuffer, DiskOptions, DiskWorker, directory_names};
use crate::delivery::{Delivery, Limits};

/// How an output's metrics wait: what decides about them, and the files they are in, if any.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) delivery: Delivery,
    pub(super) disk: Option<DiskWorker>,
}

/// The buffers of all outputs, in their order.
pub(super) fn open<'a>(
    agent: &AgentSettings,
    outputs: impl IntoIterator<Item = (&'a PluginId, &'a OutputOptions)>,
) -> Result<Vec<Buffer>, AgentError> {
    let outputs: Vec<_> = outputs.into_iter().collect();
    let names = directory_names(outputs.iter().map(|(id, _)| *id));
    outputs.iter().zip(&names).map(|((id, options), name)| open_one(agent, id, options, name)).collect()
}

fn open_one(
    agent: &AgentSettings,
    id: &PluginId,
    options: &OutputOptions,
    name: &str,
) -> Result<Buffer, AgentError> {
    let limits = limits(agent, options);
    let settings = agent.buffer.with(&options.buffer);
    if !settings.on_disk {
        return Ok(Buffer { delivery: Delivery::new(limits), disk: None });
    }
    let failed = |source| AgentError::Buffer { plugin: id.to_string(), source };
    let disk = DiskOptions {
        dir: settings.directory.join(name),
        limit_bytes: settings.limit_bytes,
        sync: settings.sync,
    };
    let (buffer, opened) = DiskBuffer::open(Arc::new(OsFs), disk).map_err(failed)?;
    opened.notes.iter().for_each(|note| warn!("{id}: {note}"));
    let delivery = Delivery::on_disk(limits, &opened);
    if delivery.pending() > 0 {
        info!("{id}: {} metrics wait on disk from before", delivery.pending());
    }
    let disk =
        DiskWorker::start(buffer).map_err(|source| AgentError::Thread { plugin: id.to_string(), source })?;
    Ok(Buffer { delivery, disk: Some(disk) })
}

/// What an output's delivery keeps to.
pub(super) fn limits(agent: &AgentSettings, options: &OutputOptions) -> Limits {
    Limits {
        batch_size: options.metric_batch_size.unwrap_or(agent.metric_batch_size),
        buffer_limit: options.metric_buffer_limit.unwrap_or(agent.metric_buffer_limit),
        keep_rejected: options.rejected_file.is_some(),
    }
}
