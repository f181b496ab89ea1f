//! Owners of a shard hold the same.

use std::{collections::BTreeMap, fmt::Debug};

use crate::Violation;

/// Compares what owners hold, thing by thing; `what` is one of them, as "shard 3".
pub fn check<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    holdings: &[(String, BTreeMap<K, V>)],
) -> Result<(), Violation> {
    let Some(((first, expected), others)) = holdings.split_first() else { return Ok(()) };
    let Some((other, held)) = others.iter().find(|(_, held)| held != expected) else { return Ok(()) };
    let keys = expected.keys().chain(held.keys());
    let differing: Vec<String> = keys
        .filter(|key| expected.get(*key) != held.get(*key))
        .map(|key| format!("{key:?}: {:?} and {:?}", expected.get(key), held.get(key)))
        .take(5)
        .collect();
    let details = format!("{what} differs between {first} and {other}:\n{}", differing.join("\n"));
    Err(Violation::new("replicas are equal", details))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let holding = |of: &[(u8, u8)]| of.iter().copied().collect::<BTreeMap<u8, u8>>();
        let equal = [("a".to_owned(), holding(&[(1, 1)])), ("b".to_owned(), holding(&[(1, 1)]))];
        assert!(check("shard 1", &equal).is_ok());
        for other in [holding(&[(1, 2)]), holding(&[]), holding(&[(1, 1), (2, 2)])] {
            let pair = [("a".to_owned(), holding(&[(1, 1)])), ("b".to_owned(), other)];
            let violation = check("shard 1", &pair).unwrap_err();
            assert!(violation.details.contains("between a and b"), "{}", violation.details);
        }
    }
}
