//! Reading a buffer back, oldest metrics first. What is damaged is named and passed over: it costs its own frame.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use skywatch_storage::frame;
use skywatch_storage::fs::FsError;

use super::encoding;
use super::store::DiskBuffer;
use crate::metric::Metric;

/// Metrics read back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// Each with its number, ascending.
    pub metrics: Vec<(u64, Metric)>,
    /// Everything before this number has been read; what is not among the metrics is lost.
    pub next: u64,
    /// Damage met on the way.
    pub damage: Vec<String>,
}

/// Where reading stands: in a segment whose rest, as far as it was written then, is in memory.
#[derive(Debug)]
pub(super) struct Reader {
    segment_first: u64,
    /// Number of the next metric.
    next: u64,
    bytes: Vec<u8>,
    /// Bodies of frames not yet read.
    bodies: VecDeque<Range<usize>>,
    /// Bytes of the file that were taken in.
    read_to: u64,
}

impl DiskBuffer {
    /// Reads on from the metric `from`: `most` metrics or a few more, fewer at the buffer's end.
    pub(crate) fn load(&mut self, from: u64, most: usize) -> Result<Loaded, FsError> {
        let mut loaded = Loaded { next: from, ..Loaded::default() };
        while loaded.metrics.len() < most && loaded.next < self.end {
            let at = self.segments.iter().rposition(|segment| segment.first <= loaded.next).unwrap_or(0);
            let Some(segment) = self.segments.get(at) else {
                loaded.next = self.end;
                break;
            };
            let mut reader = match self.reader.take() {
                Some(reader) if reader.segment_first == segment.first && reader.next <= loaded.next => reader,
                _ => Reader::new(segment.first),
            };
            if reader.bodies.is_empty() && reader.read_to < segment.len {
                let len = usize::try_from(segment.len - reader.read_to).unwrap_or(usize::MAX);
                let bytes = self
                    .fs
                    .read_at(&segment.path, reader.read_to, len)
                    .map_err(FsError::on("read", &segment.path))?;
                reader.take_in(bytes, segment.len, &segment.path, &mut loaded.damage);
            }
            match reader.bodies.pop_front() {
                Some(body) => reader.read(body, &segment.path, &mut loaded),
                None => {
                    // The segment is at its end; numbers up to the next one's first are nowhere.
                    let following = self.segments.get(at + 1).map_or(self.end, |next| next.first);
                    loaded.next = following.max(loaded.next);
                }
            }
            reader.next = loaded.next;
            self.reader = Some(reader);
        }
        if loaded.next >= self.end {
            self.reader = self.reader.take().map(Reader::without_bytes);
        }
        Ok(loaded)
    }
}

impl Reader {
    fn new(segment_first: u64) -> Self {
        Self { segment_first, next: 0, bytes: Vec::new(), bodies: VecDeque::new(), read_to: 0 }
    }

    /// Memory is given back while there is nothing to read.
    fn without_bytes(mut self) -> Self {
        if self.bodies.is_empty() {
            self.bytes = Vec::new();
        }
        self
    }

    fn take_in(&mut self, bytes: Vec<u8>, file_len: u64, path: &Path, damage: &mut Vec<String>) {
        let frames = frame::find_frames(&bytes, 0);
        let mut tell = |range: &Range<usize>| {
            damage.push(format!(
                "{}: {} bytes from byte {} on are damaged; the metrics in them are lost",
                path.display(),
                range.len(),
                self.read_to + range.start as u64
            ));
        };
        frames.damaged.iter().for_each(&mut tell);
        if frames.end < bytes.len() {
            tell(&(frames.end..bytes.len()));
        }
        self.bodies = frames.bodies.into();
        self.bytes = bytes;
        self.read_to = file_len;
    }

    fn read(&mut self, body: Range<usize>, path: &Path, loaded: &mut Loaded) {
        let bytes = self.bytes.get(body).unwrap_or_default();
        match encoding::decode(bytes) {
            Ok(decoded) => {
                let numbered = (decoded.first..).zip(decoded.metrics);
                for (number, metric) in numbered {
                    // A frame may say again what one before it says, after a failed append.
                    if number >= loaded.next {
                        loaded.next = number + 1;
                        loaded.metrics.push((number, metric));
                    }
                }
            }
            Err(why) => {
                loaded.damage.push(format!("{}: a frame cannot be read: {why}", path.display()));
                if let Ok((first, count)) = encoding::head(bytes) {
                    loaded.next = loaded.next.max(first.saturating_add(count.into()));
                }
            }
        }
    }
}
