//! `[[graphite]]`: lines over TCP connections or in datagrams.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use skywatch_model::line::PointBatch;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
};

use crate::{
    batch::{BatchConfig, Gatherer, now_ns},
    graphite::{LineError, Parser},
    listener::told_to_stop,
    statistics::{Counters, add},
    udp_socket::DATAGRAM_BYTES_MAX,
};

/// Longest line; a connection that sends a longer one is closed.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Room for one read.
const READ_BYTES: usize = 16 << 10;
/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// Pieces of lines that wait for the parser, from all connections.
const PIECES_MAX: usize = 64;
/// Pause after the operating system refused a connection for want of something, mostly file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One `[[graphite]]` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteConfig {
    /// Address and port.
    pub bind: String,
    /// How lines come.
    pub protocol: Protocol,
    /// Where points go.
    pub batch: BatchConfig,
    /// Size of the kernel's buffer for datagrams; 0 leaves it as it is.
    pub read_buffer_bytes: usize,
    /// Templates, tags and separator.
    pub parser: Parser,
}

/// How lines come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One after the other on connections.
    Tcp,
    /// In datagrams, one or several in each.
    Udp,
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Accepts connections until told to stop. Connections hand on whole lines; they are parsed here.
pub(crate) async fn accept(
    listener: TcpListener,
    parser: Parser,
    mut gatherer: Gatherer,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) {
    let (lines, mut received) = mpsc::channel::<Vec<u8>>(PIECES_MAX);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stop) => break,
            () = gatherer.due() => gatherer.flush().await,
            Some(piece) = received.recv() => {
                take(&piece, &parser, gatherer.batch(), &counters);
                gatherer.added().await;
            }
            Some(_) = connections.join_next() => {}
            accepted = next_connection(&listener, &places) => match accepted {
                Ok((stream, place)) => {
                    let (lines, counters, stop) = (lines.clone(), Arc::clone(&counters), stop.clone());
                    connections.spawn(async move {
                        converse(stream, lines, &counters, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop((listener, lines));
    // What connections have read is still taken.
    while let Some(piece) = received.recv().await {
        take(&piece, &parser, gatherer.batch(), &counters);
        gatherer.added().await;
    }
    while connections.join_next().await.is_some() {}
    gatherer.flush().await;
}

/// The next connection and its place, which is taken first: connections beyond the limit wait in the kernel.
async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Option<OwnedSemaphorePermit>)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    Ok((listener.accept().await?.0, place))
}

/// Reads one connection to its end.
async fn converse(
    mut stream: TcpStream,
    lines: mpsc::Sender<Vec<u8>>,
    counters: &Counters,
    mut stop: watch::Receiver<bool>,
) {
    add(&counters.connections_handled, 1);
    add(&counters.connections_active, 1);
    let mut buffer = Vec::new();
    loop {
        // What lies there is read in large pieces, whatever the last lines have left of the buffer.
        buffer.reserve(READ_BYTES);
        let read = tokio::select! {
            () = told_to_stop(&mut stop) => break,
            read = stream.read_buf(&mut buffer) => read,
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if let Some(end) = memchr::memrchr(b'\n', &buffer) {
            let rest = buffer.split_off(end + 1);
            add(&counters.bytes_received, buffer.len() as u64);
            // The lines between, without the end of the last.
            buffer.truncate(end);
            if lines.send(std::mem::replace(&mut buffer, rest)).await.is_err() {
                break;
            }
        } else if buffer.len() > LINE_BYTES_MAX {
            add(&counters.parse_failures, 1);
            tracing::info!("a Graphite connection sent a line of more than {LINE_BYTES_MAX} bytes");
            break;
        }
    }
    // A last line without its end may have been cut anywhere, in its number too: it is no line.
    counters.connections_active.fetch_sub(1, Ordering::Relaxed);
}

/// Reads datagrams until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    parser: Parser,
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
                    take(&datagram[..length], &parser, gatherer.batch(), &counters);
                    gatherer.added().await;
                }
                Err(error) => tracing::debug!(%error, "could not read a datagram"),
            },
        }
    }
    gatherer.flush().await;
}

/// Adds the points of whole lines.
fn take(lines: &[u8], parser: &Parser, batch: &mut PointBatch<'static>, counters: &Counters) {
    for line in lines.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
        add(&counters.points_received, 1);
        if line.is_empty() {
            continue;
        }
        match parser.parse(line, now_ns(), batch) {
            Ok(()) => {}
            Err(LineError::NotANumber(_)) => add(&counters.not_a_number, 1),
            Err(error) => {
                add(&counters.parse_failures, 1);
                let line = String::from_utf8_lossy(line);
                tracing::info!(?line, %error, "unable to parse line");
            }
        }
    }
}
