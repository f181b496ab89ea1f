//! `[[udp]]`: datagrams of line protocol.

use std::{io, sync::Arc};

use skywatch_model::line::{ParseOptions, PointBatch, Precision, PushError, parse};
use tokio::{net::UdpSocket, sync::watch};

use crate::{
    batch::{BatchConfig, Gatherer, now_ns},
    listener::{addresses, told_to_stop},
    statistics::{Counters, add},
};

/// Largest datagram there is.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 64 << 10;

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

/// Takes an address for datagrams.
pub(crate) async fn bind(bind: &str, read_buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addresses(bind).await?.as_slice()).await?;
    if read_buffer_bytes > 0 {
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, read_buffer_bytes)?;
    }
    Ok(socket)
}

/// Reads datagrams until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    precision: Precision,
    mut gatherer: Gatherer,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        tokio::select! {
            () = told_to_stop(&mut stop) => break,
            () = gatherer.due() => gatherer.flush().await,
            received = socket.recv(&mut datagram) => match received {
                Ok(length) => {
                    add(&counters.bytes_received, length as u64);
                    take(&datagram[..length], precision, gatherer.batch(), &counters);
                    gatherer.added().await;
                }
                Err(error) => {
                    add(&counters.read_failures, 1);
                    tracing::debug!(%error, "could not read a datagram");
                }
            },
        }
    }
    gatherer.flush().await;
}

/// Adds the points of a datagram. A line that cannot be parsed costs itself alone.
fn take(datagram: &[u8], precision: Precision, batch: &mut PointBatch<'static>, counters: &Counters) {
    let mut parsed = PointBatch::new();
    let options = ParseOptions { precision, default_time_ns: now_ns() };
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
