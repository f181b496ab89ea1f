//! The outputs' buffers: opened before anything runs, since metrics are promised to be kept from the first on.

use std::path::PathBuf;
use std::sync::Arc;

use skywatch_storage::fs::OsFs;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::AgentError;
use crate::config::{AgentSettings, BufferSettings, ConfiguredOutput, OutputOptions, PluginId};
use crate::delivery::disk::{DiskBuffer, DiskOptions, DiskWorker, directory_names};
use crate::delivery::{Delivery, Limits};

/// How an output's metrics wait: what decides about them, and the files they are in, if any.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) delivery: Delivery,
    pub(super) disk: Option<DiskWorker>,
}

impl Buffer {
    fn in_memory(limits: Limits) -> Self {
        Self { delivery: Delivery::new(limits), disk: None }
    }
}

/// Where one output's buffer is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) settings: BufferSettings,
    directory: PathBuf,
}

/// The places of all outputs' buffers, in their order.
pub(super) fn places(agent: &AgentSettings, outputs: &[ConfiguredOutput]) -> Vec<Place> {
    let names = directory_names(outputs.iter().map(|output| &output.id));
    let place = |(output, name): (&ConfiguredOutput, String)| {
        let settings = agent.buffer.with(&output.options.buffer);
        Place { directory: settings.directory.join(name), settings }
    };
    outputs.iter().zip(names).map(place).collect()
}

/// Opens a buffer. Blocks.
pub(super) fn open(id: &PluginId, place: &Place, limits: Limits) -> Result<Buffer, AgentError> {
    if !place.settings.on_disk {
        return Ok(Buffer::in_memory(limits));
    }
    let failed = |source| AgentError::Buffer { plugin: id.to_string(), source };
    let disk = DiskOptions {
        dir: place.directory.clone(),
        limit_bytes: place.settings.limit_bytes,
        sync: place.settings.sync,
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

/// Opens the buffer of an output that a running agent is given; one that cannot be opened is done without.
pub(super) async fn open_later(id: PluginId, place: Place, limits: Limits) -> Buffer {
    let opened = spawn_blocking(move || {
        open(&id, &place, limits).unwrap_or_else(|why| {
            error!("{why}; its metrics are kept in memory only");
            Buffer::in_memory(limits)
        })
    });
    opened.await.unwrap_or_else(|_| Buffer::in_memory(limits))
}

/// What an output's delivery keeps to.
pub(super) fn limits(agent: &AgentSettings, options: &OutputOptions) -> Limits {
    Limits {
        batch_size: options.metric_batch_size.unwrap_or(agent.metric_batch_size),
        buffer_limit: options.metric_buffer_limit.unwrap_or(agent.metric_buffer_limit),
        keep_rejected: options.rejected_file.is_some(),
    }
}
