//! Whether two tables say the same.

use std::fmt;

use sha2::{Digest, Sha256};

use super::tree::{Entry, Node, Value};

/// What a table says, in 128 bits: equal for the same keys and values, wherever in the files they stand and in whatever
/// order the keys are. Environment variables count by their values. Stable over versions: it names saved state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Fingerprint {
    /// Of a table's entries.
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut hash = Sha256::new();
        table(&mut hash, entries);
        Self::from_hash(hash)
    }

    /// Of a text that stands for settings outside of a table.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(text);
        Self::from_hash(hash)
    }

    fn from_hash(hash: Sha256) -> Self {
        let digest = hash.finalize();
        Self(digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }
}

fn table(hash: &mut Sha256, entries: &[Entry]) {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    hash.update(b"{");
    hash.update(sorted.len().to_le_bytes());
    for entry in sorted {
        text(hash, b'k', &entry.key);
        value(hash, &entry.node);
    }
}

fn value(hash: &mut Sha256, node: &Node) {
    match &node.value {
        Value::String(content) => text(hash, b's', content),
        Value::Integer(number) => text(hash, b'i', &number.to_string()),
        Value::Float(number) => text(hash, b'f', &number.to_string()),
        Value::Boolean(yes) => text(hash, b'b', &yes.to_string()),
        Value::Datetime(time) => text(hash, b'd', time),
        Value::Array(items) => {
            hash.update(b"[");
            hash.update(items.len().to_le_bytes());
            items.iter().for_each(|item| value(hash, item));
        }
        Value::Table(entries) => table(hash, entries),
    }
}

/// With its type and length, so that no two sequences of values read the same.
fn text(hash: &mut Sha256, kind: u8, content: &str) {
    hash.update([kind]);
    hash.update(content.len().to_le_bytes());
    hash.update(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree;

    fn of(text: &str) -> Fingerprint {
        Fingerprint::of(&tree::parse(text, "t.conf", &|_| Some("v".to_owned())).expect("valid"))
    }

    #[test]
    fn order_and_place_do_not_count_and_values_do() {
        let one = of("a = 1\nb = ['x', 'y']\n[t]\nc = true");
        assert_eq!(one, of("# moved\n\nb = ['x', 'y']\na = 1\n[t]\nc = true"));
        for other in [
            "a = 1.0\nb = ['x', 'y']\n[t]\nc = true",
            "a = 1\nb = ['xy']\n[t]\nc = true",
            "a = 1\nb = ['y', 'x']\n[t]\nc = true",
            "a = 1\nb = ['x', 'y']\nc = true\n[t]",
            "a = 1\nb = ['x', 'y']\n[t]\nc = true\nd = 1",
        ] {
            assert_ne!(one, of(other), "{other}");
        }
        assert_eq!(of("a = '$X'"), of("a = 'v'"), "a variable counts by its value");
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        assert_eq!(of("files = ['/var/log/syslog']").to_string(), "d5a0f401fe1f6d98f73bffc19d22e270");
    }
}
