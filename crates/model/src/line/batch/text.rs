//! Where the texts of a batch lie: in the body, or in the arena where they do not stand in the body as they are.

use std::sync::Arc;

/// Set in the start of a span that lies in the arena.
const IN_ARENA: u32 = 1 << 31;

/// A piece of the body or of the arena.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::line) struct Span {
    start: u32,
    pub(super) length: u32,
}

impl Span {
    /// `start..end` of the body. Both are below [`PointBatch::MAX_TEXT`], checked once for the whole body.
    pub(in crate::line) const fn body(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end < IN_ARENA as usize);
        Self { start: start as u32, length: (end - start) as u32 }
    }

    /// What is rewritten of a body is never twice as long as the body, so it fits too.
    pub(super) const fn arena(start: usize, end: usize) -> Self {
        assert!(start <= end && end < IN_ARENA as usize);
        Self { start: start as u32 | IN_ARENA, length: (end - start) as u32 }
    }

    /// Whether the text stands in the body as it is.
    pub(in crate::line) const fn is_in_body(self) -> bool {
        self.start & IN_ARENA == 0
    }

    /// As a value of a string field.
    pub(super) const fn to_bits(self) -> u64 {
        (self.start as u64) << 32 | self.length as u64
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self { start: (bits >> 32) as u32, length: bits as u32 }
    }
}

/// The text that body spans point into.
#[derive(Debug, Clone)]
pub(in crate::line) enum Body<'a> {
    /// The caller's, as it is.
    Borrowed(&'a str),
    /// A copy without the lines that are not UTF-8. Shared, so that the parser can read it while it fills the
    /// batch.
    Repaired(Arc<str>),
}

impl Body<'_> {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Repaired(text) => text,
        }
    }
}

/// The text of a span.
pub(super) fn resolve<'t>(body: &'t Body<'_>, arena: &'t str, span: Span) -> &'t str {
    let (text, start) =
        if span.is_in_body() { (body.text(), span.start) } else { (arena, span.start & !IN_ARENA) };
    &text[start as usize..start as usize + span.length as usize]
}
