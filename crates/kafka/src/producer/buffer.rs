//! Bytes that wait for the brokers, and how many may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What librdkafka keeps of a record besides its body, about.
const RECORD_BYTES: usize = 256;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Buffer {
    held: AtomicUsize,
    max: usize,
}

/// Room of one record, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    buffer: Arc<Buffer>,
    bytes: usize,
}

impl Buffer {
    pub(crate) fn of(max: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), max })
    }

    /// Room for records of these sizes, or none. One that is larger than all there is finds room in an empty buffer.
    pub(crate) fn room(self: &Arc<Self>, sizes: impl Iterator<Item = usize>) -> Option<Vec<Room>> {
        let rooms: Vec<Room> =
            sizes.map(|bytes| Room { buffer: Arc::clone(self), bytes: bytes + RECORD_BYTES }).collect();
        let wanted: usize = rooms.iter().map(|room| room.bytes).sum();
        let fits = |held: usize| (held == 0 || held + wanted <= self.max).then_some(held + wanted);
        match self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(_) => Some(rooms),
            Err(_) => {
                // They hold nothing, and give nothing back.
                rooms.into_iter().for_each(Room::void);
                None
            }
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    pub(crate) const fn max(&self) -> usize {
        self.max
    }
}

impl Room {
    fn void(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.buffer.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_all_or_none_and_comes_back() {
        let buffer = Buffer::of(10 * RECORD_BYTES);
        let rooms = buffer.room([RECORD_BYTES; 4].into_iter()).expect("room for four of two each");
        assert_eq!(buffer.held(), 8 * RECORD_BYTES);
        assert!(buffer.room([RECORD_BYTES, RECORD_BYTES].into_iter()).is_none());
        assert_eq!(buffer.held(), 8 * RECORD_BYTES, "a refusal takes nothing and gives nothing back");
        assert!(buffer.room(std::iter::once(RECORD_BYTES)).is_some());
        drop(rooms);
        assert_eq!(buffer.held(), 0);
        assert!(buffer.room(std::iter::once(99 * RECORD_BYTES)).is_some(), "else it would never be sent");
    }
}
