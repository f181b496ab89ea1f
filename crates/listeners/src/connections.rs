//! Lines over TCP connections: whoever connects is talked with by a task of its own, which hands on whole lines; these are
//! parsed in one place, which gathers the points.

use std::{future::Future, io, sync::Arc, time::Duration};

use skywatch_model::line::PointBatch;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
};

use crate::{batch::Gatherer, listener::told_to_stop};

/// Longest line; a connection that sends a longer one is closed.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;
/// Room for one read.
const READ_BYTES: usize = 16 << 10;
/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// Pieces of lines that wait for the parser, from all connections.
const PIECES_MAX: usize = 64;
/// Pause after the operating system refused a connection for want of something, mostly file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How one protocol is spoken.
pub(crate) trait Conversation: Clone + Send + Sync + 'static {
    /// Talks with whoever has connected, to the end, and hands on whole lines.
    fn converse(
        &self,
        stream: TcpStream,
        pieces: mpsc::Sender<Vec<u8>>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send;

    /// Adds the points of whole lines.
    fn take(&self, lines: &[u8], batch: &mut PointBatch<'static>);
}

/// Accepts connections until told to stop.
pub(crate) async fn accept(
    listener: TcpListener,
    conversation: impl Conversation,
    mut gatherer: Gatherer,
    mut stop: watch::Receiver<bool>,
) {
    let (pieces, mut received) = mpsc::channel::<Vec<u8>>(PIECES_MAX);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stop) => break,
            () = gatherer.due() => gatherer.flush().await,
            Some(piece) = received.recv() => {
                conversation.take(&piece, gatherer.batch());
                gatherer.added().await;
            }
            Some(_) = connections.join_next() => {}
            accepted = next_connection(&listener, &places) => match accepted {
                Ok((stream, place)) => {
                    let (conversation, pieces, stop) = (conversation.clone(), pieces.clone(), stop.clone());
                    connections.spawn(async move {
                        conversation.converse(stream, pieces, stop).await;
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
    drop((listener, pieces));
    // What connections have read is still taken.
    while let Some(piece) = received.recv().await {
        conversation.take(&piece, gatherer.batch());
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

/// What came next on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Whole lines, without the end of the last.
    Lines(Vec<u8>),
    /// The beginning of a line of more than [`LINE_BYTES_MAX`] bytes.
    TooLong,
    /// Nothing more, or the listener is to stop.
    End,
}

/// Reads whole lines of one connection.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    buffer: Vec<u8>,
}

impl LineReader {
    pub(crate) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        stop: &mut watch::Receiver<bool>,
    ) -> Piece {
        loop {
            // What lies there is read in large pieces, whatever the last lines have left of the buffer.
            self.buffer.reserve(READ_BYTES);
            let read = tokio::select! {
                () = told_to_stop(stop) => return Piece::End,
                read = stream.read_buf(&mut self.buffer) => read,
            };
            match read {
                Ok(0) | Err(_) => return Piece::End,
                Ok(_) => {}
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.buffer) {
                let rest = self.buffer.split_off(end + 1);
                // The lines between, without the end of the last.
                self.buffer.truncate(end);
                return Piece::Lines(std::mem::replace(&mut self.buffer, rest));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Piece::TooLong;
            }
        }
    }
}
