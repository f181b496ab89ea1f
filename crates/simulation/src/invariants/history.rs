//! A replicated catalogue has one history: whoever has seen as many commands has the same catalogue.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{
    Violation,
    random::{FNV_START, fnv1a},
};

/// Catalogues by how many commands they have seen. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Histories(Arc<Mutex<BTreeMap<u64, (u64, String)>>>);

impl Histories {
    /// A node shows the bytes of its catalogue after so many commands.
    pub fn seen(&self, node: &str, index: u64, bytes: &[u8]) -> Result<(), Violation> {
        let hash = fnv1a(FNV_START, bytes);
        let mut histories = self.0.lock();
        let (known, first) = histories.entry(index).or_insert_with(|| (hash, node.to_owned()));
        if *known == hash {
            return Ok(());
        }
        let details = format!(
            "after {index} commands {node} has another catalogue than {first} had; now it is\n{}",
            String::from_utf8_lossy(bytes)
        );
        Err(Violation::new("there is one history", details))
    }

    /// How many different indexes have been seen.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_catalogues_of_one_index_are_found() {
        let histories = Histories::default();
        assert!(histories.seen("a", 1, b"x").is_ok());
        assert!(histories.seen("b", 1, b"x").is_ok());
        assert!(histories.seen("b", 2, b"y").is_ok());
        assert!(histories.seen("a", 2, b"z").is_err());
        assert_eq!(histories.len(), 2);
    }
}
