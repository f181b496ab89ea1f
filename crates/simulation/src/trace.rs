//! What happened in a world: told when something fails, and hashed to show that one seed has one history.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::random::{FNV_START, fnv1a};

/// Messages kept for a report.
const MESSAGES_MAX: usize = 20_000;

/// A world's record of itself. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Record>>);

#[derive(Debug)]
struct Record {
    hash: u64,
    events: u64,
    /// Faults, and what clients did and were told.
    story: Vec<(Duration, String)>,
    /// The latest messages.
    messages: VecDeque<(Duration, String)>,
}

impl Default for Record {
    fn default() -> Self {
        Self { hash: FNV_START, events: 0, story: Vec::new(), messages: VecDeque::new() }
    }
}

impl Record {
    fn hash(&mut self, at: Duration, text: &str) {
        self.events += 1;
        self.hash = fnv1a(self.hash, &at.as_nanos().to_le_bytes());
        self.hash = fnv1a(self.hash, text.as_bytes());
    }
}

impl Trace {
    /// Something worth telling.
    pub fn note(&self, at: Duration, text: impl fmt::Display) {
        let text = text.to_string();
        let mut record = self.0.lock();
        record.hash(at, &text);
        record.story.push((at, text));
    }

    /// A message on its way: one of very many.
    pub(crate) fn message(&self, at: Duration, text: String) {
        let mut record = self.0.lock();
        record.hash(at, &text);
        if record.messages.len() == MESSAGES_MAX {
            record.messages.pop_front();
        }
        record.messages.push_back((at, text));
    }

    /// A hash over all that happened, and how much that was.
    pub fn digest(&self) -> (u64, u64) {
        let record = self.0.lock();
        (record.hash, record.events)
    }

    /// Faults and clients' doings, a line each, that mention one of the words; without words all of them.
    pub fn story(&self, words: &[&str]) -> Vec<String> {
        let record = self.0.lock();
        let told = record.story.iter().filter(|(_, text)| mentions(text, words));
        told.map(|(at, text)| line(*at, text)).collect()
    }

    /// The latest messages that mention one of the words.
    pub fn messages(&self, words: &[&str]) -> Vec<String> {
        let record = self.0.lock();
        let told = record.messages.iter().filter(|(_, text)| mentions(text, words));
        told.map(|(at, text)| line(*at, text)).collect()
    }
}

fn mentions(text: &str, words: &[&str]) -> bool {
    words.is_empty() || words.iter().any(|word| text.contains(word))
}

fn line(at: Duration, text: &str) -> String {
    format!("{:>9.3} s  {text}", at.as_secs_f64())
}
