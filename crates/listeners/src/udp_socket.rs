//! `[[udp]]`: datagrams of line protocol.

use std::sync::Arc;

use skywatch_model::{
    line::{ParseOptions, PointBatch, Precision, PushError, parse},
    wall_clock_ns,
};
use tokio::{net::UdpSocket, sync::watch};

use crate::{
    batch::{BatchConfig, Gatherer},
    datagrams,
    statistics::{Counters, add},
};

/// One `[[udp]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpConfig {
    /// Address and port.
    pub bind: String,
    /// Where points go.
    pub batch: BatchConfig,
    /// Size of the kernel's buffer; 0 leaves it as it is.
    pub read_buffer_bytes: usize,
    /// Unit of the timestamps.
    pub precision: Precision,
}

/// Reads datagrams until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    precision: Precision,
    gatherer: Gatherer,
    counters: Arc<Counters>,
    stop: watch::Receiver<bool>,
) {
    let counting = Arc::clone(&counters);
    let take = move |datagram: &[u8], batch: &mut _| take(datagram, precision, batch, &counting);
    datagrams::read(socket, take, gatherer, counters, stop).await;
}

/// Adds the points of a datagram. A line that cannot be parsed costs itself alone.
fn take(datagram: &[u8], precision: Precision, batch: &mut PointBatch<'static>, counters: &Counters) {
    let mut parsed = PointBatch::new();
    let options = ParseOptions { precision, default_time_ns: wall_clock_ns() };
    let bad_lines = parse(datagram, options, &mut parsed);
    if let Some(first) = bad_lines.first() {
        add(&counters.parse_failures, 1);
        tracing::info!(error = %first, "failed to parse points");
    }
    add(&counters.points_received, parsed.len() as u64);
    for point in parsed.points() {
        let pushed: Result<(), PushError> = batch.push(point.series_key(), point.time(), point.fields());
        if let Err(error) = pushed {
            add(&counters.parse_failures, 1);
            tracing::info!(%error, "could not take a point");
        }
    }
}
