//! Repeating strings, written once.
//!
//! Columns that repeat together, as the tags of merged series do, share their codes: the texts that stand side by side
//! in a row are then the same whenever the code is, and are kept joined.

use std::sync::Arc;

use super::{Layout, push_text};

/// Bytes of texts kept at once.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// The entries of dictionaries that share their codes, as JSON, side by side.
#[derive(Debug, Default)]
pub(super) struct JoinedTexts {
    dictionaries: Vec<Arc<[Option<Arc<str>>]>>,
    bytes: Vec<u8>,
    /// Where the text of each code begins and ends; empty until it is first wanted.
    places: Vec<(u32, u32)>,
}

impl JoinedTexts {
    /// Makes these the texts of `dictionaries`; what is known of the same ones stays.
    pub(super) fn prepare<'a>(
        &mut self,
        dictionaries: impl Iterator<Item = &'a Arc<[Option<Arc<str>>]>> + Clone,
    ) {
        let is_same = self.dictionaries.len() == dictionaries.clone().count()
            && self.dictionaries.iter().zip(dictionaries.clone()).all(|(own, other)| Arc::ptr_eq(own, other));
        if is_same {
            return;
        }
        self.dictionaries.clear();
        self.dictionaries.extend(dictionaries.cloned());
        let codes = self.dictionaries.iter().map(|dictionary| dictionary.len()).min().unwrap_or(0);
        self.bytes.clear();
        self.places.clear();
        self.places.resize(codes, (0, 0));
    }

    /// Appends the texts of a code, with what separates the cells of a row between them.
    #[inline]
    pub(super) fn push<const PRETTY: bool>(&mut self, buf: &mut Vec<u8>, code: u32) {
        let (start, end) = self.places[code as usize];
        if start < end {
            buf.extend_from_slice(&self.bytes[start as usize..end as usize]);
        } else {
            self.write::<PRETTY>(buf, code);
        }
    }

    #[cold]
    fn write<const PRETTY: bool>(&mut self, buf: &mut Vec<u8>, code: u32) {
        if self.bytes.len() > KEPT_BYTES_MAX {
            self.bytes.clear();
            self.places.fill((0, 0));
        }
        let start = self.bytes.len();
        for (position, dictionary) in self.dictionaries.iter().enumerate() {
            if position > 0 {
                self.bytes.push(b',');
                Layout::<PRETTY>::line(&mut self.bytes, 7);
            }
            push_text(&mut self.bytes, dictionary[code as usize].as_deref());
        }
        buf.extend_from_slice(&self.bytes[start..]);
        if let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(self.bytes.len())) {
            self.places[code as usize] = (start, end);
        }
    }
}
