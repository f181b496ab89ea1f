//! The predicate of `/api/v2/delete`: `_measurement="cpu" AND host="a" AND mode!=idle`.
//!
//! Comparisons with `=` and `!=`, joined by `AND`. Keys and values are plain words or stand in quotes, single or double.

use std::sync::Arc;

use skywatch_storage::TagPredicate;

/// Key that stands for the measurement.
const MEASUREMENT: &str = "_measurement";

/// What is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeletePredicate {
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    key: String,
    is_equal: bool,
    value: String,
}

/// Why a predicate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PredicateError {
    /// Something else was expected there.
    #[error("expected {expected} at position {at}, found {found:?}")]
    Unexpected {
        /// What would have been right.
        expected: &'static str,
        /// Byte at which it was expected.
        at: usize,
        /// What is there.
        found: String,
    },
    /// The logic is not that of deletes.
    #[error("{0} is not supported in delete predicates: only comparisons with = and != joined by AND are")]
    Unsupported(&'static str),
    /// A column of 2.x that is no tag.
    #[error("{0:?} cannot be deleted by: use _measurement and tags")]
    NoTag(String),
    /// A quote without its end.
    #[error("missing closing quote of the text at position {0}")]
    OpenQuote(usize),
}

impl DeletePredicate {
    /// Reads a predicate; an empty one means everything.
    pub(crate) fn parse(text: &str) -> Result<Self, PredicateError> {
        let mut tokens = Tokens { text, at: 0 };
        let mut predicate = Self::default();
        if tokens.peek() == Token::End {
            return Ok(predicate);
        }
        loop {
            predicate.comparisons.push(tokens.comparison()?);
            let at = tokens.at;
            match tokens.next()? {
                Token::End => return Ok(predicate),
                Token::Word(word) if word.eq_ignore_ascii_case("and") => {}
                Token::Word(word) if word.eq_ignore_ascii_case("or") => {
                    return Err(PredicateError::Unsupported("OR"));
                }
                _ => return Err(tokens.unexpected("AND", at)),
            }
        }
    }

    /// Whether points of a measurement may be deleted.
    pub(crate) fn wants_measurement(&self, measurement: &str) -> bool {
        let mut names = self.comparisons.iter().filter(|comparison| comparison.key == MEASUREMENT);
        names.all(|comparison| (comparison.value == measurement) == comparison.is_equal)
    }

    /// The conditions on tags.
    pub(crate) fn tags(&self) -> TagPredicate {
        let tags = self.comparisons.iter().filter(|comparison| comparison.key != MEASUREMENT);
        let conditions: Vec<TagPredicate> = tags
            .map(|Comparison { key, is_equal, value }| {
                let equal = TagPredicate::Equal { key: Arc::from(&**key), value: Arc::from(&**value) };
                if *is_equal { equal } else { TagPredicate::Not(Box::new(equal)) }
            })
            .collect();
        if conditions.is_empty() { TagPredicate::All } else { TagPredicate::And(conditions) }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Equal,
    NotEqual,
    Other(char),
    End,
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    fn comparison(&mut self) -> Result<Comparison, PredicateError> {
        let at = self.at;
        let key = match self.next()? {
            Token::Word(key) | Token::Quoted(key) if !key.is_empty() => key,
            Token::Other('(') => return Err(PredicateError::Unsupported("a parenthesis")),
            _ => return Err(self.unexpected("the name of a tag, or _measurement", at)),
        };
        if matches!(key.as_str(), "_field" | "_time" | "_value") {
            return Err(PredicateError::NoTag(key));
        }
        let at = self.at;
        let is_equal = match self.next()? {
            Token::Equal => true,
            Token::NotEqual => false,
            Token::Other('~' | '!') => return Err(PredicateError::Unsupported("a regular expression")),
            _ => return Err(self.unexpected("= or !=", at)),
        };
        let at = self.at;
        match self.next()? {
            Token::Word(value) | Token::Quoted(value) => Ok(Comparison { key, is_equal, value }),
            Token::Other('~' | '/') => Err(PredicateError::Unsupported("a regular expression")),
            _ => Err(self.unexpected("a value", at)),
        }
    }

    fn unexpected(&self, expected: &'static str, at: usize) -> PredicateError {
        let found = self.text[at..].trim_start();
        let at = self.text.len() - found.len();
        let found = found.chars().take(20).collect();
        PredicateError::Unexpected { expected, at, found }
    }

    fn peek(&self) -> Token {
        if self.text[self.at..].trim_start().is_empty() { Token::End } else { Token::Other(' ') }
    }

    fn next(&mut self) -> Result<Token, PredicateError> {
        let rest = self.text[self.at..].trim_start();
        let begin = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            self.at = begin;
            return Ok(Token::End);
        };
        let (token, length) = match first {
            '"' | '\'' => {
                let (text, length) = unquote(rest, first).ok_or(PredicateError::OpenQuote(begin))?;
                (Token::Quoted(text), length)
            }
            '=' if rest.starts_with("==") => (Token::Equal, 2),
            '=' => (Token::Equal, 1),
            '!' if rest.starts_with("!=") => (Token::NotEqual, 2),
            _ => match rest.find(|char: char| char.is_whitespace() || "=!\"'()~/,".contains(char)) {
                Some(0) => (Token::Other(first), first.len_utf8()),
                Some(length) => (Token::Word(rest[..length].to_owned()), length),
                None => (Token::Word(rest.to_owned()), rest.len()),
            },
        };
        self.at = begin + length;
        Ok(token)
    }
}

/// The text within quotes, and the bytes it takes with them. A backslash keeps the next character.
fn unquote(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => text.push(chars.next()?.1),
            char if char == quote => return Some((text, at + 1)),
            char => text.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comparisons(text: &str) -> Vec<(String, bool, String)> {
        let predicate = DeletePredicate::parse(text).unwrap();
        predicate.comparisons.into_iter().map(|c| (c.key, c.is_equal, c.value)).collect()
    }

    fn error(text: &str) -> String {
        DeletePredicate::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn comparisons_joined_by_and() {
        let one = |key: &str, is_equal, value: &str| (key.to_owned(), is_equal, value.to_owned());
        assert_eq!(
            comparisons(r#" _measurement="cpu load" AND host='it\'s' and "my tag" != idle "#),
            [one("_measurement", true, "cpu load"), one("host", true, "it's"), one("my tag", false, "idle")]
        );
        assert_eq!(comparisons(""), []);
        assert_eq!(comparisons("a=\"\""), [one("a", true, "")]);
        assert_eq!(comparisons("a==b-1.c"), [one("a", true, "b-1.c")]);
    }

    #[test]
    fn measurements_and_tags() {
        let parse = |text| DeletePredicate::parse(text).unwrap();
        assert!(parse("").wants_measurement("m"));
        assert!(parse("_measurement=m AND t=a").wants_measurement("m"));
        assert!(!parse("_measurement=m").wants_measurement("n"));
        assert!(parse("_measurement!=m").wants_measurement("n"));
        assert!(matches!(parse("_measurement=m").tags(), TagPredicate::All));
        assert!(matches!(parse("t=a AND u!=b").tags(), TagPredicate::And(tags) if tags.len() == 2));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(error("a"), "expected = or != at position 1, found \"\"");
        assert_eq!(error("a=b c=d"), "expected AND at position 4, found \"c=d\"");
        assert_eq!(error("a=\"b"), "missing closing quote of the text at position 2");
        assert!(error("a=b OR c=d").starts_with("OR is not supported"));
        assert!(error("(a=b)").starts_with("a parenthesis is not supported"));
        assert!(error("a=~/b/").starts_with("a regular expression is not supported"));
        assert_eq!(error("_field=v"), "\"_field\" cannot be deleted by: use _measurement and tags");
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            drop(DeletePredicate::parse(&text));
        }
    }
}
