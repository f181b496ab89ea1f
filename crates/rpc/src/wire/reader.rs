//! Frames off a stream.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};

use super::frame::{FrameError, HEADER_BYTES, Header, decode};

/// Bytes that are read at once, at most.
const READ_BYTES: usize = 128 * 1024;

/// Why no frame comes any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// It ended between two frames, or within one.
    #[error("it was closed by the other side")]
    Ended,
}

/// Reads frames, one after the other.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// Bytes of the frame handed out.
    taken: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// From a stream.
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new(), taken: 0 }
    }

    /// The next frame. May be dropped and called again: nothing gets lost.
    pub(crate) async fn next(&mut self) -> Result<Header, ReadError> {
        self.buffer.advance(std::mem::take(&mut self.taken));
        loop {
            if let Some(header) = decode(&self.buffer)? {
                self.taken = HEADER_BYTES + header.length;
                return Ok(header);
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ReadError::Ended);
            }
        }
    }

    /// The payload of the frame that came last.
    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(HEADER_BYTES..self.taken).unwrap_or_default()
    }

    /// The stream, for what is sent the other way while both sides take turns.
    pub(crate) const fn stream_mut(&mut self) -> &mut R {
        &mut self.stream
    }
}

impl<S: AsyncRead + AsyncWrite> FrameReader<S> {
    /// The two directions.
    pub(crate) fn split(self) -> (FrameReader<ReadHalf<S>>, WriteHalf<S>) {
        let (stream, write) = tokio::io::split(self.stream);
        (FrameReader { stream, buffer: self.buffer, taken: self.taken }, write)
    }
}
