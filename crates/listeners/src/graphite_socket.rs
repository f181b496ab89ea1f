//! `[[graphite]]`: lines over TCP connections or in datagrams.

use std::sync::{Arc, atomic::Ordering};

use skywatch_model::{line::PointBatch, wall_clock_ns};
use tokio::{
    net::{TcpStream, UdpSocket},
    sync::{mpsc, watch},
};

use crate::{
    batch::{BatchConfig, Gatherer},
    connections::{Conversation, LINE_BYTES_MAX, LineReader, Piece},
    datagrams,
    graphite::{LineError, Parser},
    statistics::{Counters, add},
};

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

/// Lines of one section, over connections.
#[derive(Debug, Clone)]
pub(crate) struct GraphiteLines {
    parser: Arc<Parser>,
    counters: Arc<Counters>,
}

impl GraphiteLines {
    pub(crate) fn new(parser: Parser, counters: Arc<Counters>) -> Self {
        Self { parser: Arc::new(parser), counters }
    }
}

impl Conversation for GraphiteLines {
    async fn converse(
        &self,
        mut stream: TcpStream,
        pieces: mpsc::Sender<Vec<u8>>,
        mut stop: watch::Receiver<bool>,
    ) {
        add(&self.counters.connections_handled, 1);
        add(&self.counters.connections_active, 1);
        let mut reader = LineReader::default();
        loop {
            match reader.next(&mut stream, &mut stop).await {
                Piece::Lines(lines) => {
                    add(&self.counters.bytes_received, lines.len() as u64 + 1);
                    if pieces.send(lines).await.is_err() {
                        break;
                    }
                }
                Piece::TooLong => {
                    add(&self.counters.parse_failures, 1);
                    tracing::info!("a Graphite connection sent a line of more than {LINE_BYTES_MAX} bytes");
                    break;
                }
                // A last line without its end may have been cut anywhere, in its number too: it is no line.
                Piece::End => break,
            }
        }
        self.counters.connections_active.fetch_sub(1, Ordering::Relaxed);
    }

    fn take(&self, lines: &[u8], batch: &mut PointBatch<'static>) {
        take(lines, &self.parser, batch, &self.counters);
    }
}

/// Reads datagrams until told to stop.
pub(crate) async fn read(
    socket: UdpSocket,
    parser: Parser,
    gatherer: Gatherer,
    counters: Arc<Counters>,
    stop: watch::Receiver<bool>,
) {
    let counting = Arc::clone(&counters);
    let take = move |lines: &[u8], batch: &mut _| take(lines, &parser, batch, &counting);
    datagrams::read(socket, take, gatherer, counters, stop).await;
}

/// Adds the points of whole lines.
fn take(lines: &[u8], parser: &Parser, batch: &mut PointBatch<'static>, counters: &Counters) {
    for line in lines.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
        add(&counters.points_received, 1);
        if line.is_empty() {
            continue;
        }
        match parser.parse(line, wall_clock_ns(), batch) {
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
