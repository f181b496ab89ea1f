//! Why a line was refused, in InfluxDB 1.8's words.

use std::fmt;

/// One refused line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse '{text}': {reason}")]
pub struct LineError {
    /// Where it begins in the body, 1-based.
    pub line: u32,
    /// The line, shortened to [`LineError::MAX_TEXT`] bytes; bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// What is wrong with it.
    pub reason: Reason,
}

impl LineError {
    /// How many bytes of a line an error repeats.
    pub const MAX_TEXT: usize = 1000;

    /// An error about the line `text`.
    pub(super) fn new(line: u32, text: &[u8], reason: Reason) -> Self {
        if text.len() <= Self::MAX_TEXT {
            return Self { line, text: String::from_utf8_lossy(text).into_owned(), reason };
        }
        let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
        let end = (0..=Self::MAX_TEXT).rev().find(|&end| !is_continuation(text[end])).unwrap_or(0);
        Self { line, text: format!("{}...", String::from_utf8_lossy(&text[..end])), reason }
    }
}

/// What can be wrong with a line. The wording is InfluxDB 1.8's, except where InfluxDB has no such check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It begins with a comma.
    #[error("missing measurement")]
    MissingMeasurement,
    /// It ends before the fields.
    #[error("missing fields")]
    MissingFields,
    /// A comma, space or equals sign where a tag key belongs.
    #[error("missing tag key")]
    MissingTagKey,
    /// A tag without `=` or with nothing after it.
    #[error("missing tag value")]
    MissingTagValue,
    /// An unescaped equals sign inside a tag value.
    #[error("invalid tag format")]
    InvalidTagFormat,
    /// A tag key occurs twice.
    #[error("duplicate tags")]
    DuplicateTags,
    /// Measurement and tags, or those with a field key, are longer than 65535 bytes.
    #[error("max key length exceeded: {length} > {}", crate::series::MAX_KEY_LENGTH)]
    KeyTooLong {
        /// The length found, in bytes.
        length: usize,
    },
    /// Nothing before a field's `=`.
    #[error("missing field key")]
    MissingFieldKey,
    /// Nothing after a field's `=`.
    #[error("missing field value")]
    MissingFieldValue,
    /// A field without `=`, or text after a closing quote.
    #[error("invalid field format")]
    InvalidFieldFormat,
    /// A string field is not closed.
    #[error("unbalanced quotes")]
    UnbalancedQuotes,
    /// Begins as a number and is none, or is NaN, or has an unknown suffix.
    #[error("invalid number")]
    InvalidNumber,
    /// A float that is malformed or outside the range of 64 bits.
    #[error("invalid float")]
    InvalidFloat,
    /// An integer outside the range of signed 64 bits.
    #[error("unable to parse integer {digits}: strconv.ParseInt: parsing \"{digits}\": value out of range")]
    IntegerOutOfRange {
        /// The digits as written.
        digits: String,
    },
    /// An integer outside the range of unsigned 64 bits.
    #[error("unable to parse unsigned {digits}: strconv.ParseUint: parsing \"{digits}\": value out of range")]
    UnsignedOutOfRange {
        /// The digits as written.
        digits: String,
    },
    /// Neither a number, nor a string, nor one of the spellings of true and false.
    #[error("invalid boolean")]
    InvalidBoolean,
    /// The timestamp has a byte that is no digit.
    #[error("bad timestamp")]
    BadTimestamp,
    /// The timestamp is a lone minus sign, or does not fit 64 bits.
    #[error("strconv.ParseInt: parsing \"{digits}\": {problem}")]
    UnreadableTimestamp {
        /// The timestamp as written.
        digits: String,
        /// Go's words.
        problem: GoNumberProblem,
    },
    /// The timestamp fits 64 bits, but not as nanoseconds within InfluxDB's range.
    #[error("time outside range {} - {}", crate::MIN_TIME, crate::MAX_TIME)]
    TimeOutOfRange,
    /// Something follows the timestamp.
    #[error("point is invalid")]
    TrailingText,
    /// The line is not UTF-8. InfluxDB stores such bytes, and then cannot return them as JSON.
    #[error("invalid UTF-8 at byte {offset} of the line")]
    InvalidUtf8 {
        /// Offset of the first bad byte within the line, from 0.
        offset: usize,
    },
    /// The whole body is refused: positions in it do not fit the batch.
    #[error("body of {length} bytes is larger than {limit} bytes")]
    BodyTooLarge {
        /// Its size.
        length: usize,
        /// The greatest size.
        limit: usize,
    },
}

/// How Go's `strconv` words a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoNumberProblem {
    /// Not a number at all.
    InvalidSyntax,
    /// Too large for 64 bits.
    OutOfRange,
}

impl fmt::Display for GoNumberProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidSyntax => "invalid syntax",
            Self::OutOfRange => "value out of range",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        let mut text = "x".repeat(LineError::MAX_TEXT - 1);
        text.push_str("äöü");
        let error = LineError::new(3, text.as_bytes(), Reason::MissingFields);
        assert_eq!(error.text, format!("{}...", "x".repeat(LineError::MAX_TEXT - 1)));
        let stray = vec![0x80; 5000];
        assert_eq!(LineError::new(1, &stray, Reason::MissingFields).text, "...");
    }

    #[test]
    fn wording() {
        let error = LineError::new(1, b"cpu", Reason::MissingFields);
        assert_eq!(error.to_string(), "unable to parse 'cpu': missing fields");
        assert_eq!(
            Reason::TimeOutOfRange.to_string(),
            "time outside range -9223372036854775806 - 9223372036854775806"
        );
        assert_eq!(
            Reason::KeyTooLong { length: 65536 }.to_string(),
            "max key length exceeded: 65536 > 65535"
        );
    }
}
