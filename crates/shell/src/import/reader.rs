//! Lines to items: what a file of an export says, one thing after the other.

use std::io::{self, BufRead, Read};

/// Lines that the text of one point may go over.
const POINT_LINES_MAX: usize = 1_000;

/// Longest text of a point or a statement: more than any server takes.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// One thing that a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'r> {
    /// `# CONTEXT-DATABASE:`
    Database(String),
    /// `# CONTEXT-RETENTION-POLICY:`
    Policy(String),
    /// A line after `# DDL`.
    Statement { line: u64, text: String },
    /// A line after `# DML`, with its line feeds.
    Point { line: u64, text: &'r [u8] },
}

/// See the module's header.
pub(super) struct Reader<'i> {
    input: &'i mut dyn BufRead,
    text: Vec<u8>,
    lines: u64,
    in_statements: bool,
}

impl<'i> Reader<'i> {
    pub(super) fn new(input: &'i mut dyn BufRead) -> Self {
        Self { input, text: Vec::new(), lines: 0, in_statements: false }
    }

    /// Lines read so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The next item; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Item<'_>>> {
        loop {
            self.text.clear();
            if !self.more()? {
                return Ok(None);
            }
            let line = self.lines;
            let trimmed = self.text.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            if let Some(comment) = trimmed.strip_prefix(b"#") {
                let comment = String::from_utf8_lossy(comment.trim_ascii()).into_owned();
                if let Some(item) = self.comment(&comment) {
                    return Ok(Some(item));
                }
            } else if self.in_statements {
                let text = String::from_utf8_lossy(trimmed).into_owned();
                return Ok(Some(Item::Statement { line, text }));
            } else {
                self.rest_of_point()?;
                return Ok(Some(Item::Point { line, text: &self.text }));
            }
        }
    }

    fn more(&mut self) -> io::Result<bool> {
        let left = (TEXT_BYTES_MAX - self.text.len()) as u64;
        let count = (&mut *self.input).take(left).read_until(b'\n', &mut self.text)?;
        self.lines += u64::from(count > 0);
        if self.text.len() >= TEXT_BYTES_MAX {
            return Err(io::Error::other("the next line has more than 64 MiB: is this line protocol?"));
        }
        Ok(count > 0)
    }

    /// A string may have line feeds in it.
    fn rest_of_point(&mut self) -> io::Result<()> {
        for _ in 0..POINT_LINES_MAX {
            if !has_open_quote(&self.text) || !self.more()? {
                break;
            }
        }
        Ok(())
    }

    fn comment(&mut self, comment: &str) -> Option<Item<'static>> {
        if comment == "DDL" || comment == "DML" {
            self.in_statements = comment == "DDL";
            return None;
        }
        let name = |prefix| Some(comment.strip_prefix(prefix)?.trim().to_owned());
        name("CONTEXT-DATABASE:")
            .map(Item::Database)
            .or_else(|| name("CONTEXT-RETENTION-POLICY:").map(Item::Policy))
    }
}

/// Whether the quotes that no backslash escapes are odd in number: then a string goes on in the next line. (In names
/// and tags a quote is a character like others; a line where that leaves one open is read together with the next,
/// and both are then found to be no point unless they are.)
pub(crate) fn has_open_quote(text: &[u8]) -> bool {
    let mut is_open = false;
    let mut is_escaped = false;
    for byte in text {
        is_open ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    is_open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_tell_where_a_point_ends() {
        for (text, is_open) in [
            ("m v=1 1", false),
            ("m v=\"a\" 1", false),
            ("m v=\"a\n", true),
            ("m v=\"a\\\"", true),
            ("m v=\"a\\\\\"", false),
            ("m v=\"a\\\" b\" 1", false),
        ] {
            assert_eq!(has_open_quote(text.as_bytes()), is_open, "{text}");
        }
    }

    #[test]
    fn an_export_is_read_item_by_item() {
        let text = "# INFLUXDB EXPORT: x\n# DDL\nCREATE DATABASE a\n\n# DML\n# CONTEXT-DATABASE: a\n\
                    # CONTEXT-RETENTION-POLICY:b\nm s=\"x\ny\" 1\r\n# a remark\nm v=2 2";
        let mut input = text.as_bytes();
        let mut reader = Reader::new(&mut input);
        let mut next = || reader.next().unwrap().map(|item| format!("{item:?}"));
        let point = |line, text: &str| Some(format!("{:?}", Item::Point { line, text: text.as_bytes() }));
        assert_eq!(
            next(),
            Some(format!("{:?}", Item::Statement { line: 3, text: "CREATE DATABASE a".into() }))
        );
        assert_eq!(next(), Some(format!("{:?}", Item::Database("a".into()))));
        assert_eq!(next(), Some(format!("{:?}", Item::Policy("b".into()))));
        assert_eq!(next(), point(8, "m s=\"x\ny\" 1\r\n"));
        assert_eq!(next(), point(11, "m v=2 2"));
        assert_eq!(next(), None);
    }
}
