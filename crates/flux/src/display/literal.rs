//! Literals as they are written.

use std::fmt::{self, Display, Formatter, Write};

use crate::StringPart;

/// Never with an exponent, always with a point: literals are so.
pub(super) fn write_float(f: &mut Formatter<'_>, value: f64) -> fmt::Result {
    let text = value.to_string();
    write!(f, "{text}{}", if text.contains('.') { "" } else { ".0" })
}

pub(super) fn write_text(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"{}\"", Escaped(text))
}

pub(super) fn write_parts(f: &mut Formatter<'_>, parts: &[StringPart]) -> fmt::Result {
    f.write_str("\"")?;
    for part in parts {
        match part {
            StringPart::Text(text) => write!(f, "{}", Escaped(text))?,
            StringPart::Expression(expression) => write!(f, "${{{expression}}}")?,
        }
    }
    f.write_str("\"")
}

/// Text as it stands between quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars().peekable();
        while let Some(ch) = rest.next() {
            match ch {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '"' | '\\' => write!(f, "\\{ch}")?,
                '$' => match rest.peek() {
                    Some('{') => f.write_str("\\$")?,
                    // Two of them would be read at once, and a brace may come next.
                    Some('$') | None => f.write_str("\\x24")?,
                    Some(_) => f.write_char(ch)?,
                },
                ch if ch.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(ch))?,
                ch => f.write_char(ch)?,
            }
        }
        Ok(())
    }
}

pub(super) fn write_regex(f: &mut Formatter<'_>, pattern: &str) -> fmt::Result {
    f.write_str("/")?;
    let mut rest = pattern.chars().peekable();
    while let Some(ch) = rest.next() {
        match (ch, rest.peek()) {
            ('/', _) => f.write_str("\\/")?,
            // A backslash and the next character are one; these two would be read as a slash, or as a byte.
            ('\\', Some('/' | 'x') | None) => f.write_str("\\x5c")?,
            ('\\', Some(&next)) => {
                rest.next();
                write!(f, "\\{next}")?;
            }
            _ => f.write_char(ch)?,
        }
    }
    f.write_str("/")
}
