//! Where encoded bytes collect until they are worth sending.

use std::{fmt, io::Write};

use flate2::{Compression, write::GzEncoder};
use skywatch_query::SinkClosed;

/// Bytes collected before they leave.
const FLUSH_BYTES: usize = 64 << 10;

/// A buffer in front of the client: full or flushed, it hands its bytes on, compressed if that was asked for.
pub(crate) struct Outlet<'a> {
    /// What has been encoded and has not left yet. Append only; see [`Self::mark`] for taking back.
    pub buf: Vec<u8>,
    flushes: u64,
    gzip: Option<GzEncoder<Vec<u8>>>,
    emit: Box<dyn FnMut(Vec<u8>) -> Result<(), SinkClosed> + Send + 'a>,
}

/// A position in the output that can be returned to as long as nothing has left since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    flushes: u64,
    len: usize,
}

impl fmt::Debug for Outlet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("buffered", &self.buf.len()).field("flushes", &self.flushes).finish()
    }
}

impl<'a> Outlet<'a> {
    /// An outlet into `emit`, which may block to hold the query back.
    pub(crate) fn new(gzip: bool, emit: impl FnMut(Vec<u8>) -> Result<(), SinkClosed> + Send + 'a) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { buf: Vec::new(), flushes: 0, gzip, emit: Box::new(emit) }
    }

    /// Whether anything has left yet.
    pub(crate) const fn has_sent(&self) -> bool {
        self.flushes > 0
    }

    /// The present position.
    pub(crate) fn mark(&self) -> Mark {
        Mark { flushes: self.flushes, len: self.buf.len() }
    }

    /// Takes back everything written since `mark`, if it has not left; tells whether it did.
    pub(crate) fn rewind(&mut self, mark: Mark) -> bool {
        let possible = mark.flushes == self.flushes && mark.len <= self.buf.len();
        if possible {
            self.buf.truncate(mark.len);
        }
        possible
    }

    /// Hands the bytes on once there are enough of them. Called between rows.
    #[inline]
    pub(crate) fn flush_if_full(&mut self) -> Result<(), SinkClosed> {
        if self.buf.len() < FLUSH_BYTES { Ok(()) } else { self.flush(false) }
    }

    /// Hands on what there is, so that the client sees it now.
    pub(crate) fn flush_chunk(&mut self) -> Result<(), SinkClosed> {
        self.flush(true)
    }

    /// Hands on the rest and ends the compressed stream.
    pub(crate) fn finish(mut self) -> Result<(), SinkClosed> {
        self.flush(false)?;
        match self.gzip.take() {
            // Compressing into memory cannot fail.
            Some(gzip) => (self.emit)(gzip.finish().map_err(|_| SinkClosed)?),
            None => Ok(()),
        }
    }

    fn flush(&mut self, visible: bool) -> Result<(), SinkClosed> {
        if self.buf.is_empty() {
            return Ok(());
        }
        self.flushes += 1;
        let bytes = match &mut self.gzip {
            Some(gzip) => {
                gzip.write_all(&self.buf).map_err(|_| SinkClosed)?;
                self.buf.clear();
                if visible {
                    gzip.flush().map_err(|_| SinkClosed)?;
                }
                std::mem::take(gzip.get_mut())
            }
            None => {
                // A row may overshoot the mark: leave it some room in the next buffer.
                let next = Vec::with_capacity(if visible { 0 } else { FLUSH_BYTES + (4 << 10) });
                std::mem::replace(&mut self.buf, next)
            }
        };
        if bytes.is_empty() { Ok(()) } else { (self.emit)(bytes) }
    }
}

impl Mark {
    /// Whether anything at all was written before it.
    pub(crate) fn is_after_other_bytes(self) -> bool {
        self.flushes > 0 || self.len > 0
    }
}
