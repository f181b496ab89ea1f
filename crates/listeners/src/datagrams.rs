//! Datagrams, whatever is in them: read until told to stop, their points gathered.

use std::{io, sync::Arc};

use skywatch_model::line::PointBatch;
use tokio::{net::UdpSocket, sync::watch};

use crate::{
    batch::Gatherer,
    listener::{addresses, told_to_stop},
    statistics::{Counters, add},
};

/// Largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// Takes an address; `read_buffer_bytes` is the size of the kernel's buffer, and 0 leaves it as it is.
pub(crate) async fn bind(bind: &str, read_buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addresses(bind).await?.as_slice()).await?;
    if read_buffer_bytes > 0 {
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, read_buffer_bytes)?;
    }
    Ok(socket)
}

/// Has `take` add the points of each datagram, until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    mut take: impl FnMut(&[u8], &mut PointBatch<'static>),
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
                    take(&datagram[..length], gatherer.batch());
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
