//! Where messages begin and end in what a connection brings. Pure.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// How messages are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Framing {
    /// They end with these bytes.
    Delimiter(Vec<u8>),
    /// Each has this many bytes.
    Fixed(usize),
    /// Each has a header that says how many bytes follow it.
    Variable(LengthField),
}

/// Where the length of a message stands in its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LengthField {
    /// Bytes before it.
    pub(super) offset: usize,
    /// Its own: 1, 2, 4 or 8.
    pub(super) bytes: usize,
    pub(super) big_endian: bool,
    /// Bytes of the whole header, which is no part of the message.
    pub(super) header: usize,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub(super) struct Deframer {
    framing: Framing,
    message_max: usize,
    buffer: BytesMut,
    /// No delimiter is in the buffer before this place.
    searched: usize,
    /// The rest of a message that was too long is being left out.
    skipping: bool,
    /// The stream cannot be understood any more.
    lost: bool,
}

impl Deframer {
    /// Messages longer than `message_max` bytes are left out.
    pub(super) fn new(framing: Framing, message_max: usize) -> Self {
        Self { framing, message_max, buffer: BytesMut::new(), searched: 0, skipping: false, lost: false }
    }

    /// Takes what came next.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !self.lost {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole message, or why one is left out.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, String>> {
        match self.framing.clone() {
            Framing::Delimiter(delimiter) => self.until(&delimiter),
            Framing::Fixed(length) => {
                (self.buffer.len() >= length).then(|| Ok(self.buffer.split_to(length).freeze()))
            }
            Framing::Variable(field) => self.after_header(&field),
        }
    }

    /// The last message of a stream that ends without a delimiter.
    pub(super) fn finish(&mut self) -> Option<Bytes> {
        let is_delimited = matches!(self.framing, Framing::Delimiter(_));
        (is_delimited && !self.skipping && !self.buffer.is_empty()).then(|| self.buffer.split().freeze())
    }

    fn until(&mut self, delimiter: &[u8]) -> Option<Result<Bytes, String>> {
        loop {
            // A delimiter may have begun before the place that was searched last.
            let from = self.searched.saturating_sub(delimiter.len() - 1);
            match memmem::find(&self.buffer[from..], delimiter) {
                Some(at) => {
                    let message = self.buffer.split_to(from + at).freeze();
                    self.buffer.advance(delimiter.len());
                    self.searched = 0;
                    if std::mem::take(&mut self.skipping) || message.is_empty() {
                        continue;
                    }
                    return Some(Ok(message));
                }
                None if self.buffer.len() > self.message_max => {
                    let keep = self.buffer.len() - (delimiter.len() - 1);
                    self.buffer.advance(keep);
                    self.searched = 0;
                    if std::mem::replace(&mut self.skipping, true) {
                        return None;
                    }
                    return Some(Err(format!(
                        "a message of more than {} bytes is left out",
                        self.message_max
                    )));
                }
                None => {
                    self.searched = self.buffer.len();
                    return None;
                }
            }
        }
    }

    fn after_header(&mut self, field: &LengthField) -> Option<Result<Bytes, String>> {
        let digits = self.buffer.get(field.offset..field.offset + field.bytes)?;
        let fold = |length: u64, byte: &u8| (length << 8) | u64::from(*byte);
        let length = match field.big_endian {
            true => digits.iter().fold(0, fold),
            false => digits.iter().rev().fold(0, fold),
        };
        let length = match usize::try_from(length) {
            Ok(length) if length <= self.message_max => length,
            _ => {
                // Where the next header is cannot be known any more.
                self.lost = true;
                self.buffer.clear();
                return Some(Err(format!(
                    "a message says it has {length} bytes; the connection is given up"
                )));
            }
        };
        if self.buffer.len() < field.header + length {
            return None;
        }
        self.buffer.advance(field.header);
        Some(Ok(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framing: Framing, message_max: usize, chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, String>> {
        let mut deframer = Deframer::new(framing, message_max);
        let mut out = Vec::new();
        for chunk in chunks {
            deframer.add(chunk);
            while let Some(message) = deframer.next() {
                out.push(message.map(|bytes| bytes.to_vec()));
            }
        }
        out.extend(deframer.finish().map(|bytes| Ok(bytes.to_vec())));
        out
    }

    #[test]
    fn delimiters_across_chunks() {
        let framing = Framing::Delimiter(b"\r\n".to_vec());
        let found = all(framing, 100, &[b"ab\r", b"\ncd\r\n\r\ne", b"f"]);
        assert_eq!(found, [Ok(b"ab".to_vec()), Ok(b"cd".to_vec()), Ok(b"ef".to_vec())]);
    }

    #[test]
    fn a_message_too_long_is_left_out_and_the_next_is_not() {
        let framing = Framing::Delimiter(b"\n".to_vec());
        let found = all(framing, 4, &[b"abcdefgh", b"ijklmn", b"op\nqr\n"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].is_err());
        assert_eq!(found[1], Ok(b"qr".to_vec()));
    }

    #[test]
    fn lengths() {
        assert_eq!(
            all(Framing::Fixed(2), 9, &[b"abc", b"d", b"e"]),
            [Ok(b"ab".to_vec()), Ok(b"cd".to_vec())]
        );
        let field = LengthField { offset: 1, bytes: 2, big_endian: true, header: 4 };
        let found = all(Framing::Variable(field.clone()), 9, &[b"x\0\x03yabcx\0", b"\x01yd"]);
        assert_eq!(found, [Ok(b"abc".to_vec()), Ok(b"d".to_vec())]);
        let little = LengthField { big_endian: false, ..field };
        assert!(all(Framing::Variable(little), 9, &[b"x\0\x03yabc"])[0].is_err());
    }

    proptest! {
        #[test]
        fn cuts_do_not_depend_on_chunks(
            lines in prop::collection::vec("[a-c]{1,6}", 1..8), cuts in prop::collection::vec(1_usize..9, 1..20),
        ) {
            let text = lines.join("--") + "--";
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            let found: Vec<_> = all(Framing::Delimiter(b"--".to_vec()), 100, &chunks).into_iter().flatten().collect();
            let want: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(found, want);
        }
    }
}
