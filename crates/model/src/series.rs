//! Series keys: a measurement and its tags as one text, the identity of a series everywhere in Skywatch.
//!
//! The **canonical** form is line protocol's: `measurement,key=value,key=value`, tags sorted by the bytes of
//! their keys, with a backslash before each `,` and space of the measurement and before each `,`, `=` and space
//! of a tag key or value. Nothing else is escaped, a backslash is itself. One series has exactly one canonical
//! key, which is also the one InfluxDB computes.
//!
//! A special character counts as escaped when the byte before it is a backslash; so a name or value that ends
//! in a backslash cannot be written, and [`make_key`] drops such backslashes, as Telegraf does.

use std::borrow::Cow;

/// The longest series key, and the longest series key with a field key and InfluxDB's four-byte separator.
pub const MAX_KEY_LENGTH: usize = 65_535;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a, 64 bits: how InfluxDB's clustering assigns a series key to a shard.
pub const fn fnv1a64(bytes: &[u8]) -> u64 {
    let mut hash = FNV_OFFSET;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

/// FNV-1a of four texts at once: one hash is a chain of dependent multiplications, four chains overlap.
pub(crate) fn fnv1a64_x4(texts: [&[u8]; 4]) -> [u64; 4] {
    let shared = texts.iter().map(|text| text.len()).min().unwrap_or(0);
    let [a, b, c, d] = texts.map(|text| &text[..shared]);
    let mut hashes = [FNV_OFFSET; 4];
    for (((&a, &b), &c), &d) in a.iter().zip(b).zip(c).zip(d) {
        for (hash, byte) in hashes.iter_mut().zip([a, b, c, d]) {
            *hash = (*hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    for (hash, text) in hashes.iter_mut().zip(texts) {
        for &byte in &text[shared..] {
            *hash = (*hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    hashes
}

/// A tag's key and value, unescaped.
pub type Tag<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The measurement and the tags of a canonical key, unescaped; texts without escapes are borrowed.
/// Total: what is not a canonical key still gives its best reading.
pub fn parse_key(key: &str) -> (Cow<'_, str>, Vec<Tag<'_>>) {
    let (measurement, mut rest) = split_at_unescaped(key, b',');
    let mut tags = Vec::new();
    while let Some(text) = rest {
        let (tag, after) = split_at_unescaped(text, b',');
        let (tag_key, value) = split_at_unescaped(tag, b'=');
        if let Some(value) = value {
            tags.push((unescape(tag_key, is_special_in_tag), unescape(value, is_special_in_tag)));
        }
        rest = after;
    }
    (unescape(measurement, is_special_in_measurement), tags)
}

/// The measurement of a canonical key, unescaped.
pub fn parse_measurement(key: &str) -> Cow<'_, str> {
    unescape(split_at_unescaped(key, b',').0, is_special_in_measurement)
}

/// The canonical key of a measurement and tags given unescaped, in any order. Tags with an empty key or value
/// are left out, as in InfluxDB, where an empty tag is no tag; of tags with the same key the first stays.
pub fn make_key<K: AsRef<str>, V: AsRef<str>>(
    measurement: &str,
    tags: impl IntoIterator<Item = (K, V)>,
) -> String {
    let mut tags: Vec<(K, V)> = tags.into_iter().collect();
    tags.sort_by(|a, b| trim(a.0.as_ref()).cmp(trim(b.0.as_ref())));
    tags.dedup_by(|b, a| trim(a.0.as_ref()) == trim(b.0.as_ref()));
    let mut key = String::with_capacity(measurement.len() + 16 * tags.len());
    append_measurement(&mut key, measurement);
    for (tag_key, value) in &tags {
        let (tag_key, value) = (trim(tag_key.as_ref()), trim(value.as_ref()));
        if !tag_key.is_empty() && !value.is_empty() {
            append_tag(&mut key, tag_key, value);
        }
    }
    key
}

/// Appends a measurement, escaped.
pub fn append_measurement(key: &mut String, measurement: &str) {
    append_escaped(key, trim(measurement), is_special_in_measurement);
}

/// Appends a comma and a tag, escaped.
pub fn append_tag(key: &mut String, tag_key: &str, value: &str) {
    key.push(',');
    append_escaped(key, trim(tag_key), is_special_in_tag);
    key.push('=');
    append_escaped(key, trim(value), is_special_in_tag);
}

fn trim(text: &str) -> &str {
    text.trim_end_matches('\\')
}

/// Whether a byte is escaped in the measurement of a canonical key.
pub(crate) const fn is_special_in_measurement(byte: u8) -> bool {
    matches!(byte, b',' | b' ')
}

/// Whether a byte is escaped in a tag key or value.
pub(crate) const fn is_special_in_tag(byte: u8) -> bool {
    matches!(byte, b',' | b' ' | b'=')
}

/// Appends `text` with a backslash before each special byte.
pub(crate) fn append_escaped(out: &mut String, text: &str, is_special: fn(u8) -> bool) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if is_special(byte) {
            out.push_str(&text[copied..at]);
            out.push('\\');
            copied = at;
        }
    }
    out.push_str(&text[copied..]);
}

/// Appends `text` without the backslashes that stand directly before a special byte.
pub(crate) fn append_unescaped(out: &mut String, text: &str, is_special: fn(u8) -> bool) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for at in memchr::memchr_iter(b'\\', bytes) {
        if bytes.get(at + 1).is_some_and(|&byte| is_special(byte)) {
            out.push_str(&text[copied..at]);
            copied = at + 1;
        }
    }
    out.push_str(&text[copied..]);
}

/// `text` without its escapes, borrowed if it has none.
pub(crate) fn unescape(text: &str, is_special: fn(u8) -> bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut unescaped = String::with_capacity(text.len());
    append_unescaped(&mut unescaped, text, is_special);
    Cow::Owned(unescaped)
}

/// What comes before and after the first `stop` that has no backslash before it.
fn split_at_unescaped(text: &str, stop: u8) -> (&str, Option<&str>) {
    let bytes = text.as_bytes();
    memchr::memchr_iter(stop, bytes)
        .find(|&at| at == 0 || bytes[at - 1] != b'\\')
        .map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned((measurement, tags): (Cow<'_, str>, Vec<Tag<'_>>)) -> (String, Vec<(String, String)>) {
        (
            measurement.into_owned(),
            tags.into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect(),
        )
    }

    #[test]
    fn fnv_matches_the_published_vectors() {
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn four_hashes_at_once_are_the_same_four_hashes() {
        let texts: [&[u8]; 4] = [b"cpu,host=a", b"", b"memory,host=long-name,region=x", b"cpu"];
        assert_eq!(fnv1a64_x4(texts), texts.map(fnv1a64));
    }

    #[test]
    fn keys_are_sorted_and_escaped() {
        let key = make_key("disk, all=1", [("path", "C:\\Program Files"), ("a=b", "x,y"), ("empty", "")]);
        assert_eq!(key, "disk\\,\\ all=1,a\\=b=x\\,y,path=C:\\Program\\ Files");
        assert_eq!(
            owned(parse_key(&key)),
            (
                "disk, all=1".to_owned(),
                vec![
                    ("a=b".to_owned(), "x,y".to_owned()),
                    ("path".to_owned(), "C:\\Program Files".to_owned())
                ]
            )
        );
        assert_eq!(make_key::<&str, &str>("cpu", []), "cpu");
        assert_eq!(parse_measurement(&key), "disk, all=1");
    }

    #[test]
    fn trailing_backslashes_are_dropped_and_the_first_of_equal_keys_stays() {
        assert_eq!(make_key("m\\", [("k\\\\", "v\\")]), "m,k=v");
        assert_eq!(make_key("m", [("k", "1"), ("k\\", "2"), ("a", "\\")]), "m,k=1");
    }

    proptest! {
        #[test]
        fn any_measurement_and_tags_come_back(
            measurement in r#"[a-z ,=\\"ä]{0,6}[a-z]"#,
            tags in prop::collection::btree_map(r#"[a-z ,=\\"ä]{0,5}[a-z]"#, r#"[a-z ,=\\"ä]{0,5}[a-z]"#, 0..5),
        ) {
            let key = make_key(&measurement, &tags);
            let expected: Vec<_> = tags.into_iter().collect();
            prop_assert_eq!(owned(parse_key(&key)), (measurement, expected));
        }

        #[test]
        fn any_text_parses(key in "\\PC*") {
            let (measurement, tags) = parse_key(&key);
            prop_assert!(measurement.len() <= key.len());
            prop_assert!(tags.len() <= key.matches(',').count());
        }
    }
}
