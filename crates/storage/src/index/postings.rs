//! The series that carry one value of one tag. Most values of a tag such as `host` belong to few series, so a
//! single number takes no bitmap.

use roaring::RoaringBitmap;

/// See the module's header. Never empty.
#[derive(Debug, Clone)]
pub(super) enum Postings {
    One(u32),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    pub(super) fn add(&mut self, id: u32) {
        match self {
            Self::One(only) if *only == id => {}
            Self::One(only) => *self = Self::Many(Box::new([*only, id].into_iter().collect())),
            Self::Many(ids) => {
                ids.insert(id);
            }
        }
    }

    pub(super) fn add_to(&self, all: &mut RoaringBitmap) {
        match self {
            Self::One(only) => {
                all.insert(*only);
            }
            Self::Many(ids) => *all |= &**ids,
        }
    }
}
