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

    /// Takes series out; whether any are left. If not, nothing else may be done with this.
    pub(super) fn retire(&mut self, gone: &RoaringBitmap) -> bool {
        match self {
            Self::One(only) => !gone.contains(*only),
            Self::Many(ids) => {
                **ids -= gone;
                !ids.is_empty()
            }
        }
    }

    /// The smallest number.
    pub(super) fn min(&self) -> u32 {
        match self {
            Self::One(only) => *only,
            Self::Many(ids) => ids.min().unwrap_or(u32::MAX),
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

    pub(super) fn to_bitmap(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        self.add_to(&mut all);
        all
    }

    pub(super) fn merge(&mut self, more: &RoaringBitmap) {
        match (&mut *self, more.len()) {
            (Self::Many(ids), _) => **ids |= more,
            (Self::One(_), 0) => {}
            (Self::One(only), _) => {
                let mut ids = more.clone();
                ids.insert(*only);
                if ids.len() > 1 {
                    *self = Self::Many(Box::new(ids));
                }
            }
        }
    }

    /// The postings of these series; `None` if there are none.
    pub(super) fn from_bitmap(ids: RoaringBitmap) -> Option<Self> {
        match ids.len() {
            0 => None,
            1 => ids.min().map(Self::One),
            _ => Some(Self::Many(Box::new(ids))),
        }
    }
}
