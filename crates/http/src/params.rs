//! Parameters of a request: from the URL, from a form in the body, or from a multipart body.

mod multipart;

use std::borrow::Cow;

pub(crate) use multipart::{multipart_boundary, parse_multipart};

/// Names and values in the order in which they count: the first of a name wins.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=x+y%21`. A pair that is not properly encoded is left out, as in InfluxDB.
    ///
    /// A bare `;` is part of its value. (Go took it for another `&` once and now drops the pair; either would
    /// silently cut a query of several statements.)
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?.into_owned(), decode(value)?.into_owned()))
        });
        Self(pairs.collect())
    }

    /// Adds parameters that count only where these are silent.
    pub(crate) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Gives a parameter another value.
    pub(crate) fn replace(&mut self, name: &str, value: &str) {
        for (_, old) in self.0.iter_mut().filter(|(known, _)| known == name) {
            value.clone_into(old);
        }
    }

    /// Writes the parameters as a query string, sorted by name, as Go does.
    pub(crate) fn encode(&self) -> String {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let pairs: Vec<String> =
            sorted.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.join("&")
    }

    /// Adds one parameter.
    pub(crate) fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// The value of a parameter; empty when absent, which InfluxDB never tells apart.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether a parameter is set to `true`, the only spelling InfluxDB takes.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name) == "true"
    }
}

/// Undoes percent-encoding and `+`; `None` for a broken escape. Bytes that are not UTF-8 become U+FFFD.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            other => other,
        });
    }
    Some(Cow::Owned(match String::from_utf8(decoded) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// Percent-encodes as Go's `url.QueryEscape` does.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_query_string() {
        let params = Params::parse("q=show+databases%3B+select%20%2A&db=&db=second&flag&&x=a=b");
        assert_eq!(params.get("q"), "show databases; select *");
        assert_eq!(params.get("db"), "", "the first of a name counts");
        assert_eq!((params.get("flag"), params.get("x"), params.get("nosuch")), ("", "a=b", ""));
        assert_eq!(Params::parse("q=show databases;select").get("q"), "show databases;select");
        assert_eq!(Params::parse("epoch=%C2%B5").get("epoch"), "µ");
    }

    #[test]
    fn broken_escapes_drop_their_pair_only() {
        let params = Params::parse("a=%zz&b=%4&c=%41&d=%ff");
        assert_eq!(
            (params.get("a"), params.get("b"), params.get("c"), params.get("d")),
            ("", "", "A", "\u{fffd}")
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            Params::parse(&text);
        }

        #[test]
        fn decodes_what_was_encoded(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let params = Params::parse(&format!("q={encoded}"));
            prop_assert_eq!(params.get("q"), text);
        }
    }
}
