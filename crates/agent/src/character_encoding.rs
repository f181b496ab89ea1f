//! Files and streams that are not UTF-8: `character_encoding`.

use std::borrow::Cow;

use crate::config::{ConfigError, Section};

/// How bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// As they are.
    #[default]
    None,
    /// UTF-8, with or without a mark at the beginning.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

impl Encoding {
    /// Takes the option out of a plugin's table.
    pub(crate) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        match section.string("character_encoding")?.as_deref() {
            None | Some("" | "none") => Ok(Self::None),
            Some("utf-8") => Ok(Self::Utf8),
            Some("utf-16le") => Ok(Self::Utf16Le),
            Some("utf-16be") => Ok(Self::Utf16Be),
            Some(other) => {
                let reason = format!("{other:?} is none of utf-8, utf-16le, utf-16be");
                Err(section.bad("character_encoding", reason))
            }
        }
    }

    /// Text in UTF-8, without a mark at its beginning; what is no character becomes U+FFFD.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let unit: fn([u8; 2]) -> u16 = match self {
            Self::None => return Cow::Borrowed(bytes),
            Self::Utf8 => return Cow::Borrowed(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
            Self::Utf16Le => u16::from_le_bytes,
            Self::Utf16Be => u16::from_be_bytes,
        };
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Cow::Owned(text.strip_prefix('\u{feff}').unwrap_or(&text).as_bytes().to_vec())
    }

    /// Bytes of the line feed.
    pub(crate) fn line_feed(self) -> &'static [u8] {
        match self {
            Self::None | Self::Utf8 => b"\n",
            Self::Utf16Le => b"\n\0",
            Self::Utf16Be => b"\0\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_pairs() {
        assert_eq!(Encoding::Utf8.decode(b"\xef\xbb\xbfa").as_ref(), b"a");
        assert_eq!(Encoding::Utf16Le.decode(b"\xff\xfea\0\x3d\xd8\x00\xde").as_ref(), "a😀".as_bytes());
        assert_eq!(Encoding::Utf16Be.decode(b"\0a\0\n").as_ref(), b"a\n");
        assert_eq!(Encoding::None.decode(b"\xff").as_ref(), b"\xff");
    }
}
