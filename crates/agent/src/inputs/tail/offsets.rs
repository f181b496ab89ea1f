//! How far files are delivered, and what the state file remembers of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::state::PluginState;

/// A file, whatever it is called at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// Where a file was delivered up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) id: FileId,
    pub(super) offset: u64,
}

/// The offsets of all files of one input.
#[derive(Debug, Clone)]
pub(super) struct Offsets {
    state: PluginState,
    files: Arc<Mutex<BTreeMap<String, Saved>>>,
}

impl Offsets {
    /// Those that are remembered: `{"path": {"device": 1, "inode": 2, "offset": 3}}`.
    pub(super) fn new(state: PluginState) -> Self {
        let remembered = state.load();
        let entries = remembered.as_ref().and_then(Value::as_object).into_iter().flatten();
        let files = entries
            .filter_map(|(path, entry)| {
                let number = |key: &str| entry.get(key)?.as_u64();
                let id = FileId { device: number("device")?, inode: number("inode")? };
                Some((path.clone(), Saved { id, offset: number("offset")? }))
            })
            .collect();
        Self { state, files: Arc::new(Mutex::new(files)) }
    }

    /// What is known of a path.
    pub(super) fn get(&self, path: &str) -> Option<Saved> {
        self.files.lock().get(path).copied()
    }

    /// Notes how far a file is delivered.
    pub(super) fn set(&self, path: &str, saved: Saved) {
        self.files.lock().insert(path.to_owned(), saved);
    }

    /// Forgets paths that are gone.
    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.files.lock().retain(|path, _| keep(path));
    }

    /// Hands the offsets to the state.
    pub(super) fn save(&self) {
        let entries = self.files.lock().clone();
        let object = entries.into_iter().map(|(path, Saved { id, offset })| {
            (path, json!({ "device": id.device, "inode": id.inode, "offset": offset }))
        });
        self.state.save(Value::Object(object.collect()));
    }
}

/// Parts of one file that are under way, in their order.
#[derive(Debug, Clone)]
pub(super) struct UnderWay(Arc<Mutex<Parts>>);

#[derive(Debug)]
struct Parts {
    offsets: Offsets,
    path: String,
    id: FileId,
    /// Ends of parts and whether they are delivered; the first is the oldest.
    parts: VecDeque<(u64, bool)>,
    /// The number of the first.
    first: u64,
    /// Whether the path still is this file's.
    current: bool,
}

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    under_way: UnderWay,
    number: u64,
}

impl UnderWay {
    pub(super) fn new(offsets: Offsets, path: &str, id: FileId) -> Self {
        let parts = VecDeque::new();
        Self(Arc::new(Mutex::new(Parts {
            offsets,
            path: path.to_owned(),
            id,
            parts,
            first: 0,
            current: true,
        })))
    }

    /// A part that ends at `offset` is on its way.
    pub(super) fn begin(&self, offset: u64) -> Part {
        let mut parts = self.0.lock();
        parts.parts.push_back((offset, false));
        let number = parts.first + parts.parts.len() as u64 - 1;
        Part { under_way: self.clone(), number }
    }

    /// The file was cut: what is under way of it says nothing about its offsets any more.
    pub(super) fn restart(&self) {
        let mut parts = self.0.lock();
        parts.first += parts.parts.len() as u64;
        parts.parts.clear();
    }

    /// The path belongs to another file now.
    pub(super) fn retire(&self) {
        self.0.lock().current = false;
    }
}

impl Part {
    /// It is delivered; the offset moves over all parts that are, without a gap.
    pub(super) fn done(&self) {
        let mut parts = self.under_way.0.lock();
        let Some(at) = self.number.checked_sub(parts.first) else { return };
        if let Some((_, delivered)) = usize::try_from(at).ok().and_then(|at| parts.parts.get_mut(at)) {
            *delivered = true;
        }
        let mut reached = None;
        while let Some((end, true)) = parts.parts.front() {
            reached = Some(*end);
            parts.parts.pop_front();
            parts.first += 1;
        }
        if let Some(offset) = reached.filter(|_| parts.current) {
            parts.offsets.set(&parts.path, Saved { id: parts.id, offset });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn an_offset_moves_over_no_gap() {
        let offsets = Offsets::new(Context::default().state());
        let id = FileId { device: 1, inode: 2 };
        let under_way = UnderWay::new(offsets.clone(), "p", id);
        let (first, second, third) = (under_way.begin(10), under_way.begin(20), under_way.begin(30));
        second.done();
        assert_eq!(offsets.get("p"), None);
        first.done();
        assert_eq!(offsets.get("p"), Some(Saved { id, offset: 20 }));
        under_way.restart();
        let fresh = under_way.begin(5);
        third.done();
        assert_eq!(offsets.get("p"), Some(Saved { id, offset: 20 }), "of the file before it was cut");
        fresh.done();
        assert_eq!(offsets.get("p"), Some(Saved { id, offset: 5 }));
    }
}
