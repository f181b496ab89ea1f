//! Reading request bodies: bounded in size, in time and, all together, in memory.
//!
//! A body is copied once, from the socket's buffer into one that is used again and again. A compressed one is
//! unpacked into a second such buffer, under the same bounds: a few kilobytes that unpack to gigabytes stop at the
//! limit.

use std::{
    io::{self, Read},
    ops::{Deref, DerefMut},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use flate2::bufread::MultiGzDecoder;
use hyper::body::{Body, Bytes, Incoming};
use parking_lot::Mutex;
use skywatch_prometheus::SnappyError;
use skywatch_storage::{Exhausted, Reservation};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{gate::BodyMemory, response::Failure};

/// Buffers kept for later, and how large they may stay: together no more than half of what bodies may take.
const MAX_POOLED: usize = 8;
const MAX_POOLED_BYTES: usize = 4 << 20;

/// Steps in which bodies of unknown length take from the budget.
const GROWTH_BYTES: usize = 1 << 20;

/// Bytes read off a client though nobody wants them, so that it gets to read its answer: a server that closes with
/// bytes unread resets the connection.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// What is allowed, and the buffers.
#[derive(Debug)]
pub(crate) struct BodyReader {
    limit_bytes: usize,
    pause: Duration,
    total: Duration,
    memory: BodyMemory,
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A body in memory. Its bytes count against the budget until it is dropped.
#[derive(Debug)]
pub(crate) struct BodyBytes {
    bytes: Vec<u8>,
    reserved: Reservation,
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
    pooled_bytes_max: usize,
}

/// Why a body could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Larger than allowed.
    #[error("Request Entity Too Large")]
    TooLarge,
    /// The client went silent, or is too slow.
    #[error("timed out reading the request body")]
    TimedOut,
    /// The client closed the connection, or its framing is wrong.
    #[error("unexpected EOF")]
    Cut,
    /// Not gzip, or damaged.
    #[error("{0}")]
    Gzip(String),
    /// Not snappy, or damaged.
    #[error(transparent)]
    Snappy(#[from] SnappyError),
    /// Too many bodies at once.
    #[error(transparent)]
    NoMemory(#[from] Exhausted),
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::too_large(),
            BodyError::TimedOut => Self::new(hyper::StatusCode::REQUEST_TIMEOUT, error.to_string()),
            BodyError::Cut | BodyError::Gzip(_) | BodyError::Snappy(_) => {
                Self::bad_request(error.to_string())
            }
            BodyError::NoMemory(full) if full.is_hopeless() => Self::too_large(),
            BodyError::NoMemory(full) => Self::unavailable(full.to_string(), 1),
        }
    }
}

impl BodyReader {
    /// A reader of bodies of up to `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize, pause: Duration, total: Duration, memory: BodyMemory) -> Self {
        Self { limit_bytes, pause, total, memory, pool: Arc::default() }
    }

    /// Reads a body to its end.
    pub(crate) async fn read(&self, body: &mut Incoming) -> Result<BodyBytes, BodyError> {
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if announced.is_some_and(|bytes| bytes > self.limit_bytes) {
            return Err(BodyError::TooLarge);
        }
        let reserved = self.memory.reserve(announced.unwrap_or(0)).await?;
        let mut read = self.buffer(reserved);
        read.bytes.reserve(announced.unwrap_or(0));
        let deadline = Instant::now() + self.total;
        while let Some(part) = self.next_part(body, deadline).await? {
            read.append(&part, self.limit_bytes)?;
        }
        Ok(read)
    }

    /// Reads what the client still sends, for a while, and forgets it.
    pub(crate) async fn discard(&self, body: &mut Incoming) {
        if body.is_end_stream() {
            return;
        }
        let deadline = Instant::now() + DISCARD_TIME;
        let mut discarded = 0;
        while discarded < MAX_DISCARDED_BYTES
            && let Ok(Some(part)) = self.next_part(body, deadline).await
        {
            discarded += part.len();
        }
    }

    /// Unpacks a gzip body; blocking.
    pub(crate) fn gunzip(&self, packed: &BodyBytes) -> Result<BodyBytes, BodyError> {
        let reserved = self.memory.empty();
        let mut unpacked = self.buffer(reserved);
        let mut decoder = MultiGzDecoder::new(&packed.bytes[..]);
        loop {
            let before = unpacked.bytes.len();
            unpacked.cover(before + (64 << 10), self.limit_bytes)?;
            // One byte over the limit tells "at the limit" from "beyond".
            let room = (self.limit_bytes + 1 - before).min(64 << 10);
            let read = (&mut decoder)
                .take(room as u64)
                .read_to_end(&mut unpacked.bytes)
                .map_err(|error| gzip_error(&error))?;
            if read == 0 {
                return Ok(unpacked);
            }
            if unpacked.bytes.len() > self.limit_bytes {
                return Err(BodyError::TooLarge);
            }
        }
    }

    /// Unpacks a snappy block of at most `bytes_max` bytes; blocking.
    pub(crate) fn unsnap(&self, packed: &[u8], bytes_max: usize) -> Result<BodyBytes, BodyError> {
        let length = skywatch_prometheus::unpacked_length(packed)?;
        let limit = self.limit_bytes.min(bytes_max);
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        let mut unpacked = self.buffer(self.memory.empty());
        unpacked.cover(length, limit)?;
        unpacked.bytes.resize(length, 0);
        skywatch_prometheus::unpack(packed, &mut unpacked.bytes)?;
        Ok(unpacked)
    }

    fn buffer(&self, reserved: Reservation) -> BodyBytes {
        let bytes = self.pool.lock().pop().unwrap_or_default();
        let half = usize::try_from(self.memory.limit_bytes() / 2).unwrap_or(usize::MAX);
        let pooled_bytes_max = MAX_POOLED_BYTES.min(half / MAX_POOLED);
        BodyBytes { bytes, reserved, pool: Arc::clone(&self.pool), pooled_bytes_max }
    }

    async fn next_part(&self, body: &mut Incoming, deadline: Instant) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
            let Ok(Ok(frame)) = timeout_at(deadline, timeout(self.pause, frame)).await else {
                return Err(BodyError::TimedOut);
            };
            let Some(frame) = frame else { return Ok(None) };
            // Trailers carry nothing for us.
            if let Ok(part) = frame.map_err(|_| BodyError::Cut)?.into_data() {
                return Ok(Some(part));
            }
        }
    }
}

impl BodyBytes {
    fn append(&mut self, part: &[u8], limit_bytes: usize) -> Result<(), BodyError> {
        let bytes = self.bytes.len() + part.len();
        if bytes > limit_bytes {
            return Err(BodyError::TooLarge);
        }
        self.cover(bytes, limit_bytes)?;
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Takes from the budget for `bytes` in all, in steps.
    fn cover(&mut self, bytes: usize, limit_bytes: usize) -> Result<(), BodyError> {
        if bytes as u64 > self.reserved.bytes() {
            let step = bytes.next_multiple_of(GROWTH_BYTES).min(limit_bytes).max(bytes);
            self.reserved.grow_to(step as u64)?;
        }
        Ok(())
    }
}

impl Deref for BodyBytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for BodyBytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for BodyBytes {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() == 0 || bytes.capacity() > self.pooled_bytes_max {
            return;
        }
        let mut pool = self.pool.lock();
        if pool.len() < MAX_POOLED {
            bytes.clear();
            pool.push(bytes);
        }
    }
}

/// The texts of Go's `compress/gzip`.
fn gzip_error(error: &io::Error) -> BodyError {
    BodyError::Gzip(match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if error.to_string().contains("header") => {
            "gzip: invalid header".to_owned()
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("gzip: {error}"),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use skywatch_storage::MemoryBudget;

    use super::*;

    fn reader(limit_bytes: usize, budget_bytes: u64) -> BodyReader {
        let second = Duration::from_secs(1);
        // Bodies have an eighth of it.
        let budget = Arc::new(MemoryBudget::new(8 * budget_bytes));
        BodyReader::new(limit_bytes, second, second, BodyMemory::new(budget, second))
    }

    fn packed(reader: &BodyReader, bytes: &[u8]) -> BodyBytes {
        let mut body = reader.buffer(reader.memory.empty());
        body.extend_from_slice(bytes);
        body
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(reader: &BodyReader, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let packed = packed(reader, bytes);
        reader.gunzip(&packed).map(|body| body.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn unpacks_up_to_the_limit() {
        let reader = reader(100_000, 1 << 20);
        let most = vec![b'x'; 100_000];
        assert_eq!(gunzip(&reader, &gzip(&most)).unwrap(), most);
        assert_eq!(gunzip(&reader, &[gzip(b"two "), gzip(b"members")].concat()).unwrap(), b"two members");
        assert_eq!(gunzip(&reader, &gzip(&vec![b'x'; 100_001])).unwrap_err(), "Request Entity Too Large");
    }

    #[test]
    fn a_bomb_takes_no_memory() {
        let reader = reader(1_000_000, 8 << 20);
        let bomb = gzip(&vec![0; 200 << 20]);
        assert_eq!(gunzip(&reader, &bomb).unwrap_err(), "Request Entity Too Large");
        assert!(reader.pool.lock().iter().all(|buffer| buffer.capacity() <= 2 << 20));
    }

    #[test]
    fn a_snappy_block_is_judged_by_its_length() {
        let reader = reader(1_000, 1 << 20);
        let unsnap = |block: &[u8]| reader.unsnap(block, 500).map(|body| body.to_vec());
        let block = skywatch_prometheus::compress(&[7; 500]).unwrap();
        assert_eq!(unsnap(&block).unwrap(), [7; 500]);
        let block = skywatch_prometheus::compress(&[7; 501]).unwrap();
        assert_eq!(unsnap(&block).unwrap_err().to_string(), "Request Entity Too Large");
        // It says 4 GiB, and nothing comes.
        let lie = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
        assert_eq!(unsnap(&lie).unwrap_err().to_string(), "Request Entity Too Large");
        assert_eq!(unsnap(b"").unwrap_err().to_string(), "snappy: corrupt input");
    }

    #[test]
    fn says_what_is_wrong_as_go_does() {
        let reader = reader(1_000, 1 << 20);
        let whole = gzip(b"cpu v=1");
        assert_eq!(gunzip(&reader, &whole[..whole.len() - 9]).unwrap_err(), "unexpected EOF");
        assert_eq!(gunzip(&reader, b"cpu v=2 7").unwrap_err(), "unexpected EOF");
        assert_eq!(gunzip(&reader, b"cpu value=2 7 long enough").unwrap_err(), "gzip: invalid header");
        assert_eq!(gunzip(&reader, b"").unwrap_err(), "unexpected EOF");
    }

    #[test]
    fn the_budget_bounds_all_bodies_together() {
        let reader = reader(4 << 20, 2 << 20);
        let body = gzip(&vec![b'x'; 3 << 20]);
        let error = gunzip(&reader, &body).unwrap_err();
        assert!(error.starts_with("memory for bodies is full"), "{error}");
    }
}
