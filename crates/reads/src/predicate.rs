//! A condition on tags, on its way to an owner: only series that satisfy it are told of.
//!
//! A byte for what it is, then what belongs to it; see `docs/formats/reads.md`. Whoever gets the series looks at their tags
//! once more, so that an owner that does not know conditions may answer with all of them.

use skywatch_storage::{
    TagPredicate,
    wire::{Malformed, Reader},
};

/// Predicates that are nested more deeply are not asked for: who reads them works through them by recursion.
const DEPTH_MAX: usize = 50;
/// Bytes of one that is asked for, at most.
const BYTES_MAX: usize = 256 << 10;

/// A predicate as it travels: nothing for one that all series satisfy, or that is too large to travel.
pub(crate) fn encode(predicate: &TagPredicate) -> Vec<u8> {
    let mut out = Vec::new();
    let flat = flattened(predicate);
    if !matches!(flat, TagPredicate::All) && flat.depth() <= DEPTH_MAX {
        flat.encode(&mut out);
    }
    if out.len() <= BYTES_MAX { out } else { Vec::new() }
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<TagPredicate, Malformed> {
    if bytes.is_empty() {
        return Ok(TagPredicate::All);
    }
    let mut reader = Reader::new(bytes);
    let predicate = TagPredicate::decode(&mut reader, DEPTH_MAX)?;
    reader.finish().map(|()| predicate)
}

/// `a OR b OR c` is nested as it was written, one inside the other; here it is one list.
fn flattened(predicate: &TagPredicate) -> TagPredicate {
    let parts = |is_and: bool| {
        let mut parts = Vec::new();
        gather(predicate, is_and, &mut parts);
        parts
    };
    match predicate {
        TagPredicate::Not(inner) => TagPredicate::Not(Box::new(flattened(inner))),
        TagPredicate::And(_) => TagPredicate::And(parts(true)),
        TagPredicate::Or(_) => TagPredicate::Or(parts(false)),
        leaf => leaf.clone(),
    }
}

fn gather(predicate: &TagPredicate, is_and: bool, parts: &mut Vec<TagPredicate>) {
    match (predicate, is_and) {
        (TagPredicate::And(inner), true) | (TagPredicate::Or(inner), false) => {
            inner.iter().for_each(|part| gather(part, is_and, parts));
        }
        (part, _) => parts.push(flattened(part)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use regex::{Regex, RegexBuilder};
    use skywatch_query::tags_match;

    use super::*;

    fn equal(key: &str, value: &str) -> TagPredicate {
        TagPredicate::Equal { key: key.into(), value: value.into() }
    }

    #[test]
    fn a_predicate_means_the_same_where_it_arrives() {
        let regex = Arc::new(Regex::new("^[ab]$").expect("a pattern"));
        let matches = TagPredicate::Matches { key: "x".into(), regex };
        let both = TagPredicate::And(vec![equal("y", ""), matches.clone()]);
        let predicates = [
            TagPredicate::All,
            TagPredicate::None,
            equal("x", "a"),
            TagPredicate::Not(Box::new(equal("x", "a"))),
            matches,
            both.clone(),
            TagPredicate::And(vec![both.clone(), TagPredicate::Not(Box::new(both.clone()))]),
            TagPredicate::Or(vec![TagPredicate::Or(vec![equal("x", "c"), both]), equal("y", "b")]),
            TagPredicate::Or(Vec::new()),
        ];
        let tag = |key: &str, value: &str| (Arc::from(key), Arc::from(value));
        let series = [
            vec![],
            vec![tag("x", "a")],
            vec![tag("x", "b"), tag("y", "b")],
            vec![tag("x", "c")],
            vec![tag("y", "b")],
        ];
        for predicate in &predicates {
            let sent = encode(predicate);
            let arrived = decode(&sent).expect("it was written here");
            for tags in &series {
                assert_eq!(tags_match(&arrived, tags), tags_match(predicate, tags), "{predicate:?} {tags:?}");
            }
            for cut in 1..sent.len() {
                assert!(decode(&sent[..cut]).is_err(), "{predicate:?} cut to {cut} bytes");
            }
        }
        assert!(encode(&TagPredicate::All).is_empty());
    }

    #[test]
    fn many_alternatives_are_asked_for_and_deep_nesting_is_not() {
        let many = (0..500).fold(equal("x", "first"), |left, value| {
            TagPredicate::Or(vec![left, equal("x", &value.to_string())])
        });
        assert!(matches!(decode(&encode(&many)), Ok(TagPredicate::Or(parts)) if parts.len() == 501));
        let deep = (0..DEPTH_MAX).fold(equal("x", "a"), |inner, _| TagPredicate::Not(Box::new(inner)));
        assert!(encode(&deep).is_empty(), "all series are asked for");
        let mut nots = vec![4; 100_000];
        nots.push(0);
        assert!(decode(&nots).is_err());
        assert!(decode(&[9]).is_err());
    }

    /// A coordinator compiles patterns up to a size of its own, beyond the library's.
    #[test]
    fn a_pattern_that_was_accepted_there_is_accepted_here() {
        let pattern = r"(\p{L}{40}){1,8}";
        assert!(Regex::new(pattern).is_err(), "beyond what the library compiles unless told to");
        let regex =
            RegexBuilder::new(pattern).size_limit(16 << 20).build().expect("within the coordinator's");
        let predicate = TagPredicate::Matches { key: "x".into(), regex: Arc::new(regex) };
        let arrived = decode(&encode(&predicate)).expect("an owner compiles it too");
        assert!(matches!(arrived, TagPredicate::Matches { regex, .. } if regex.as_str() == pattern));
    }
}
