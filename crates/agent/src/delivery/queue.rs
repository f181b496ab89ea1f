//! What waits for an output, in order: in memory alone, or on disk with its front in memory. Bookkeeping only.
//!
//! ```text
//! in memory:   front
//! on disk:     front  |  unloaded   |  appending  |  waiting
//!              (disk and memory)    |  (memory; the first is under way to the disk)
//!                     (disk only)
//! ```
//!
//! Metrics on disk have numbers, which follow on from the front to the last unloaded one. A disk that takes no more
//! (it is full, say) is done without: metrics that wait go to the front, unnumbered, once nothing on disk is
//! before them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::disk::{Appended, DiskRequest, Loaded, Opened};
use crate::metric::Metric;
use crate::output::Batch;

/// A metric and its number on disk.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) metric: Arc<Metric>,
    pub(super) number: Option<u64>,
}

/// A batch taken from the queue, with the numbers.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) batch: Batch,
    pub(super) numbers: Vec<Option<u64>>,
}

impl Part {
    /// Both halves; nothing to halve in a single metric.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        if self.batch.len() < 2 {
            return None;
        }
        let middle = self.batch.len() / 2;
        let part = |range: Range<usize>| Self {
            batch: self.batch[range.clone()].into(),
            numbers: self.numbers[range].to_vec(),
        };
        Some((part(0..middle), part(middle..self.batch.len())))
    }

    /// The metrics at these indices.
    pub(super) fn only(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let (batch, numbers): (Vec<_>, Vec<_>) = indices
            .into_iter()
            .filter_map(|index| Some((Arc::clone(self.batch.get(index)?), *self.numbers.get(index)?)))
            .unzip();
        Self { batch: batch.into(), numbers }
    }

    pub(super) fn first_number(&self) -> Option<u64> {
        self.numbers.iter().flatten().copied().next()
    }
}

/// Whether a batch can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// As much as is wanted, or all there is.
    Ready,
    /// More is being read from disk.
    Loading,
    /// There is nothing.
    Empty,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Queue {
    /// Most metrics waiting in memory.
    limit: usize,
    front: VecDeque<Entry>,
    disk: Option<OnDisk>,
}

#[derive(Debug, Default)]
struct OnDisk {
    /// Most metrics at the front that are on disk too.
    window: usize,
    /// Numbers of metrics that are on disk and not in memory.
    unloaded: Range<u64>,
    appending: Vec<Arc<Metric>>,
    waiting: VecDeque<Arc<Metric>>,
    loading: bool,
    /// The last append failed, or the last load: not tried again before [`Queue::retry`].
    append_failed: bool,
    load_failed: bool,
}

impl Queue {
    pub(super) fn in_memory(limit: usize) -> Self {
        Self { limit, front: VecDeque::new(), disk: None }
    }

    pub(super) fn on_disk(limit: usize, window: usize, opened: &Opened) -> Self {
        let disk = OnDisk { window, unloaded: opened.acknowledged..opened.end, ..OnDisk::default() };
        Self { limit, front: VecDeque::new(), disk: Some(disk) }
    }

    /// Other bounds; returns how many metrics no longer fit.
    pub(super) fn resize(&mut self, limit: usize, window: usize) -> usize {
        self.limit = limit;
        if let Some(disk) = &mut self.disk {
            disk.window = window;
        }
        self.trim()
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// All metrics, wherever they are.
    pub(super) fn len(&self) -> usize {
        self.available() + self.disk.as_ref().map_or(0, |disk| disk.appending.len() + disk.waiting.len())
    }

    /// Metrics that can be taken, though some may have to be read from disk first.
    pub(super) fn available(&self) -> usize {
        self.front.len() + self.disk.as_ref().map_or(0, |disk| span(&disk.unloaded))
    }

    /// Metrics that are nowhere but in memory.
    pub(super) fn volatile(&self) -> usize {
        let unnumbered = self.front.iter().filter(|entry| entry.number.is_none()).count();
        unnumbered + self.disk.as_ref().map_or(0, |disk| disk.appending.len() + disk.waiting.len())
    }

    /// The metrics that are nowhere but in memory, in order.
    pub(super) fn volatile_metrics(&self) -> impl Iterator<Item = &Arc<Metric>> {
        let front = self.front.iter().filter(|entry| entry.number.is_none()).map(|entry| &entry.metric);
        front.chain(self.disk.iter().flat_map(|disk| disk.appending.iter().chain(&disk.waiting)))
    }

    /// Whether metrics are under way to the disk, or will be.
    pub(super) fn is_appending(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| {
            !disk.appending.is_empty() || (!disk.waiting.is_empty() && !disk.append_failed)
        })
    }

    /// What the queue holds in memory.
    #[cfg(test)]
    pub(super) fn memory_len(&self) -> usize {
        self.front.len() + self.disk.as_ref().map_or(0, |disk| disk.waiting.len() + disk.appending.len())
    }

    /// Puts metrics at the end; returns how many of the oldest had to go.
    pub(super) fn push(&mut self, metrics: Vec<Arc<Metric>>) -> usize {
        match &mut self.disk {
            Some(disk) => disk.waiting.extend(metrics),
            None => self.front.extend(metrics.into_iter().map(|metric| Entry { metric, number: None })),
        }
        self.trim()
    }

    /// Returns what was taken to where it was; returns how many of the oldest had to go.
    pub(super) fn put_back(&mut self, part: &Part) -> usize {
        for (metric, &number) in part.batch.iter().zip(&part.numbers).rev() {
            self.front.push_front(Entry { metric: Arc::clone(metric), number });
        }
        self.trim()
    }

    /// Takes up to `size` metrics from the front.
    pub(super) fn take(&mut self, size: usize) -> Part {
        let size = size.min(self.front.len());
        let (batch, numbers): (Vec<_>, Vec<_>) =
            self.front.drain(..size).map(|entry| (entry.metric, entry.number)).unzip();
        Part { batch: batch.into(), numbers }
    }

    pub(super) fn readiness(&self, size: usize) -> Readiness {
        let more = self.disk.as_ref().is_some_and(|disk| !disk.unloaded.is_empty() && !disk.load_failed);
        match self.front.len() {
            len if len < size && more => Readiness::Loading,
            0 => Readiness::Empty,
            _ => Readiness::Ready,
        }
    }

    /// The oldest metric's number, or that which the next one gets; nothing in memory alone.
    pub(super) fn oldest(&self) -> Option<u64> {
        let disk = self.disk.as_ref()?;
        Some(self.front.iter().find_map(|entry| entry.number).unwrap_or(disk.unloaded.start))
    }

    /// Tries the disk again.
    pub(super) fn retry(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.append_failed = false;
            disk.load_failed = false;
        }
    }

    /// What the disk has to do now so that `batch_size` metrics can be taken and the rest is kept.
    pub(super) fn request(&mut self, batch_size: usize) -> [Option<DiskRequest>; 2] {
        let Some(disk) = &mut self.disk else { return [None, None] };
        let mut load = None;
        if self.front.len() < batch_size {
            if !disk.unloaded.is_empty() {
                if !disk.loading && !disk.load_failed {
                    disk.loading = true;
                    let most = disk.window.saturating_sub(self.front.len()).max(1);
                    load = Some(DiskRequest::Load { from: disk.unloaded.start, most });
                }
            } else if disk.append_failed && disk.appending.is_empty() {
                let count = disk.waiting.len().min(batch_size - self.front.len());
                let moved = disk.waiting.drain(..count).map(|metric| Entry { metric, number: None });
                self.front.extend(moved);
            }
        }
        let mut append = None;
        if disk.appending.is_empty() && !disk.waiting.is_empty() && !disk.append_failed {
            disk.appending = disk.waiting.drain(..).collect();
            append = Some(DiskRequest::Append(disk.appending.clone()));
        }
        [append, load]
    }

    /// Takes note of an append; returns how many of the oldest were dropped.
    pub(super) fn appended(&mut self, appended: &Appended) -> usize {
        let Some(disk) = &mut self.disk else { return 0 };
        let mut appending = std::mem::take(&mut disk.appending);
        let durable = appending.drain(..appended.durable.min(appending.len()));
        let count = durable.len() as u64;
        let first = disk.unloaded.end;
        disk.unloaded.end += count;
        if disk.unloaded.start == first && self.front.len() + durable.len() <= disk.window {
            // Those at hand need not be read back. Their source hears now that they are safe.
            self.front.extend(
                (first..).zip(durable).map(|(number, metric)| Entry {
                    metric: Metric::untracked(metric),
                    number: Some(number),
                }),
            );
            disk.unloaded.start = disk.unloaded.end;
        } else {
            drop(durable);
        }
        for metric in appending.into_iter().rev() {
            disk.waiting.push_front(metric);
        }
        disk.append_failed = appended.failed.is_some();
        self.evict(appended.evicted_below) + self.trim()
    }

    /// Takes note of what was read; returns how many metrics turned out to be lost.
    pub(super) fn loaded(&mut self, loaded: Result<Loaded, String>) -> usize {
        let Some(disk) = &mut self.disk else { return 0 };
        disk.loading = false;
        let Ok(loaded) = loaded else {
            disk.load_failed = true;
            return 0;
        };
        let next = loaded.next.min(disk.unloaded.end);
        if next <= disk.unloaded.start {
            // Dropped meanwhile to make room.
            return 0;
        }
        let mut lost = span(&(disk.unloaded.start..next));
        for (number, metric) in loaded.metrics {
            if disk.unloaded.contains(&number) {
                lost = lost.saturating_sub(1);
                self.front.push_back(Entry { metric: Arc::new(metric), number: Some(number) });
            }
        }
        disk.unloaded.start = next;
        lost
    }

    /// Forgets metrics that are no longer on disk; returns how many.
    fn evict(&mut self, below: u64) -> usize {
        let Some(disk) = &mut self.disk else { return 0 };
        let before = self.front.len();
        self.front.retain(|entry| entry.number.is_none_or(|number| number >= below));
        let mut dropped = before - self.front.len();
        if below > disk.unloaded.start {
            let start = below.min(disk.unloaded.end);
            dropped += span(&(disk.unloaded.start..start));
            disk.unloaded.start = start;
        }
        dropped
    }

    /// Drops the oldest metrics in memory beyond the limit.
    fn trim(&mut self) -> usize {
        match &mut self.disk {
            None => {
                let excess = self.front.len().saturating_sub(self.limit);
                self.front.drain(..excess);
                excess
            }
            Some(disk) => {
                let excess = (disk.waiting.len() + disk.appending.len()).saturating_sub(self.limit);
                let excess = excess.min(disk.waiting.len());
                disk.waiting.drain(..excess);
                excess
            }
        }
    }

    /// The inequalities between the parts.
    pub(super) fn check(&self) -> Result<(), String> {
        let numbers: Vec<u64> = self.front.iter().filter_map(|entry| entry.number).collect();
        if !numbers.is_sorted_by(|a, b| a < b) {
            return Err(format!("numbers out of order: {numbers:?}"));
        }
        let Some(disk) = &self.disk else {
            return match self.front.len() {
                len if len > self.limit => Err(format!("{len} metrics in a buffer of {}", self.limit)),
                _ => Ok(()),
            };
        };
        if disk.unloaded.start > disk.unloaded.end {
            return Err(format!("unloaded {:?}", disk.unloaded));
        }
        if numbers.last().is_some_and(|last| *last >= disk.unloaded.start) {
            return Err(format!("{numbers:?} both loaded and in {:?}", disk.unloaded));
        }
        let waiting = disk.waiting.len() + disk.appending.len();
        if waiting > self.limit.max(disk.appending.len()) {
            return Err(format!("{waiting} metrics wait for the disk, {} are allowed", self.limit));
        }
        Ok(())
    }
}

fn span(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}
