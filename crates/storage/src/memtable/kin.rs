//! Which layouts may write the same cells.
//!
//! Layouts that share a field, directly or through others, are *kin*: they are of one measurement. Only between kin
//! does it matter which row arrived first, so only a change from one layout to another of its kin is counted; where a
//! measurement has one layout, nothing is.

use rustc_hash::FxHashMap;

use crate::rows::{FieldId, Layout};

/// Layouts by number, and the order in which those of a kin were written.
#[derive(Debug, Default)]
pub(super) struct Kinship {
    kin_of_layout: Vec<u32>,
    kin_of_field: FxHashMap<FieldId, u32>,
    kins: Vec<Kin>,
}

#[derive(Debug)]
struct Kin {
    latest_layout: u32,
    /// How often rows of another layout than before came.
    sequence: u32,
}

impl Kinship {
    /// Enters the layout with the next number.
    pub(super) fn add(&mut self, layout: &Layout) {
        let number = self.kin_of_layout.len() as u32;
        let mut known: Vec<u32> =
            layout.fields.iter().filter_map(|field| self.kin_of_field.get(field).copied()).collect();
        known.sort_unstable();
        known.dedup();
        // Rows to come are later than all there are.
        let sequence = known.iter().map(|kin| self.kins[*kin as usize].sequence + 1).max().unwrap_or(0);
        let kin = known.first().copied().unwrap_or(self.kins.len() as u32);
        let joined = Kin { latest_layout: number, sequence };
        match self.kins.get_mut(kin as usize) {
            Some(first) => *first = joined,
            None => self.kins.push(joined),
        }
        if known.len() > 1 {
            let others = &known[1..];
            let all = self.kin_of_layout.iter_mut().chain(self.kin_of_field.values_mut());
            all.filter(|of| others.contains(of)).for_each(|of| *of = kin);
        }
        self.kin_of_layout.push(kin);
        self.kin_of_field.extend(layout.fields.iter().map(|field| (*field, kin)));
    }

    /// The sequence of rows of this layout that come now.
    pub(super) fn sequence(&mut self, layout: u32) -> u32 {
        let kin = &mut self.kins[self.kin_of_layout[layout as usize] as usize];
        if kin.latest_layout != layout {
            kin.latest_layout = layout;
            kin.sequence += 1;
        }
        kin.sequence
    }
}

#[cfg(test)]
mod tests {
    use skywatch_model::FieldType;

    use super::*;

    fn layout(fields: &[u32]) -> Layout {
        Layout {
            fields: fields.iter().copied().map(FieldId).collect(),
            types: fields.iter().map(|_| FieldType::Float).collect(),
        }
    }

    #[test]
    fn only_changes_among_kin_are_counted() {
        let mut kinship = Kinship::default();
        kinship.add(&layout(&[1]));
        kinship.add(&layout(&[2]));
        assert_eq!([0, 1, 0, 1].map(|number| kinship.sequence(number)), [0; 4], "strangers");
        kinship.add(&layout(&[3, 2]));
        assert_eq!([2, 1, 1, 2, 0].map(|number| kinship.sequence(number)), [1, 2, 2, 3, 0]);
        kinship.add(&layout(&[1, 3]));
        assert_eq!([3, 0, 1, 2].map(|number| kinship.sequence(number)), [4, 5, 6, 7], "all kin now");
    }
}
