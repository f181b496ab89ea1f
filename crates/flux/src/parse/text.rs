//! What stands between quotes and between slashes.

use std::sync::Arc;

use super::{Parser, Result, Tree};
use crate::{Kind, StringPart, error::Slip, regex};

impl Parser<'_> {
    /// A text, from its first quote.
    pub(super) fn text(&mut self) -> Result<Tree> {
        let start = self.advance()?.start;
        let mut parts = Vec::new();
        let mut height = 0;
        loop {
            let piece = self.piece(start)?;
            if !piece.is_empty() {
                parts.push(StringPart::Text(Arc::from(piece)));
            }
            let open = self.lexer.at;
            if self.lexer.rest().starts_with('"') {
                self.read_over(1);
                break;
            }
            self.read_over("${".len());
            if self.peek()?.is_sign("}") {
                self.end = self.peek()?.end();
                return Err(Slip::new(
                    open,
                    self.end,
                    "an expression is missing in `${}`; for the text itself write \\${}",
                ));
            }
            parts.push(StringPart::Expression(self.child(&mut height)?));
            if !self.take_sign("}")? {
                return Err(self.unexpected("`}` behind what is put into the text")?);
            }
        }
        let kind = match parts.as_slice() {
            [] => Kind::String(Arc::from("")),
            [StringPart::Text(text)] => Kind::String(Arc::clone(text)),
            _ => Kind::Interpolated(parts),
        };
        self.grow(kind, start, height)
    }

    fn read_over(&mut self, bytes: usize) {
        self.lexer.at += bytes;
        self.end = self.lexer.at;
    }

    /// Text up to the closing quote or to `${`, of a text that began at `start`.
    fn piece(&mut self, start: usize) -> Result<String> {
        let mut bytes = Vec::new();
        let begin = self.lexer.at;
        loop {
            let rest = self.lexer.rest();
            let Some(first) = rest.chars().next() else {
                let message = "the text is never closed: expected `\"`; a `\"` within it is written \\\"";
                return Err(Slip::new(start, start + 1, message));
            };
            // As in Flux, two dollar signs are two dollar signs, whatever follows.
            let plain = if rest.starts_with("$$") { 2 } else { first.len_utf8() };
            match first {
                '"' => break,
                '$' if rest.starts_with("${") => break,
                '\\' => self.escape(&mut bytes)?,
                _ => {
                    bytes.extend_from_slice(&rest.as_bytes()[..plain]);
                    self.lexer.at += plain;
                }
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| Slip::new(begin, self.lexer.at, "the bytes written with \\x are not UTF-8"))
    }

    /// What a backslash in a text stands for.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let rest = self.lexer.rest();
        let (byte, length) = match rest.as_bytes() {
            [_, b'n', ..] => (b'\n', 2),
            [_, b'r', ..] => (b'\r', 2),
            [_, b't', ..] => (b'\t', 2),
            [_, b'"', ..] => (b'"', 2),
            [_, b'\\', ..] => (b'\\', 2),
            [_, b'$', b'{', ..] => {
                bytes.push(b'$');
                (b'{', 3)
            }
            [_, b'x', ..] => (self.hexadecimal()?, 4),
            _ => {
                let length = rest.chars().take(2).map(char::len_utf8).sum::<usize>();
                let message = format!(
                    "{} means nothing in a text: a backslash is written \\\\; there are \\n, \\r, \\t, \\\", \\${{ and \\x41",
                    &rest[..length].escape_debug().to_string().replace("\\\\", "\\")
                );
                return Err(Slip::new(self.lexer.at, self.lexer.at + length, message));
            }
        };
        bytes.push(byte);
        self.lexer.at += length;
        Ok(())
    }

    /// The byte of `\x41`, which comes next.
    fn hexadecimal(&self) -> Result<u8> {
        let at = self.lexer.at;
        let digits =
            self.lexer.rest().get(2..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| Slip::new(at, at + 2, "\\x needs two hexadecimal digits, as in \\x41"))
    }

    /// A regular expression, from its first slash.
    pub(super) fn regex(&mut self) -> Result<Tree> {
        let start = self.advance()?.start;
        let mut bytes = Vec::new();
        loop {
            // Bytes, for a step may end within a character.
            let length = match &self.lexer.text.as_bytes()[self.lexer.at..] {
                [b'/', ..] => break,
                [b'\\', b'/', ..] => {
                    bytes.push(b'/');
                    2
                }
                [b'\\', b'x', ..] => {
                    bytes.push(self.hexadecimal()?);
                    4
                }
                [b'\\', next, ..] => {
                    bytes.extend_from_slice(&[b'\\', *next]);
                    2
                }
                [byte, ..] => {
                    bytes.push(*byte);
                    1
                }
                [] => {
                    let message = "the regular expression that begins here never ends: expected `/`; a `/` within it is written \\/";
                    return Err(Slip::new(start, start + 1, message));
                }
            };
            self.lexer.at += length;
        }
        self.read_over(1);
        let refused = |message: String| Slip::new(start, self.end, message);
        let pattern = String::from_utf8(bytes)
            .map_err(|_| refused("the bytes written with \\x are not UTF-8".to_owned()))?;
        regex::compile(&pattern).map_err(|error| refused(error.to_string()))?;
        self.grow(Kind::Regex(Arc::from(pattern)), start, 0)
    }
}
