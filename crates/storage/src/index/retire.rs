//! Series that were dropped. They vanish from every lookup; their numbers stay, because rows on disk still carry them,
//! and mean nothing from then on. A measurement left without series loses its fields too, so that their names may come
//! back with other types; so may a field be retired by itself.

use std::{collections::BTreeMap, sync::Arc};

use roaring::RoaringBitmap;

use super::{Index, Recent, select::Tagged};
use crate::rows::SeriesId;

/// Numbers that mean nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Retired {
    pub(crate) series: RoaringBitmap,
    pub(crate) fields: RoaringBitmap,
}

impl Index {
    /// Numbers retired so far.
    pub(crate) fn retired(&self) -> Retired {
        Retired { series: self.retired_series().clone(), fields: self.fields.retired().clone() }
    }

    /// Series retired so far.
    pub(crate) fn retired_series(&self) -> &RoaringBitmap {
        &self.view.retired
    }

    /// Whether a series has been retired.
    pub(crate) fn is_retired(&self, id: SeriesId) -> bool {
        self.view.retired.contains(id.0)
    }

    /// What there is to retire if these series are dropped: they, and the fields of measurements that have no other.
    pub(crate) fn retirement(&self, series: RoaringBitmap) -> Retired {
        let gone = &series | &*self.view.retired;
        // Whether a measurement loses a series, and whether one is left.
        let mut touched: BTreeMap<Arc<str>, (bool, bool)> = BTreeMap::new();
        let mut see = |name: &Arc<str>, measurement: &dyn Tagged| {
            let (loses, keeps) = touched.entry(Arc::clone(name)).or_default();
            for (_, ids) in measurement.tables() {
                *loses |= !ids.is_disjoint(&series);
                *keeps |= !ids.is_subset(&gone);
            }
        };
        self.view.every_measurement(&mut see);
        self.head.measurements().for_each(|(name, measurement)| see(name, &measurement));
        let emptied = touched.into_iter().filter(|(_, (loses, keeps))| *loses && !keeps);
        let fields = emptied.flat_map(|(name, _)| self.field_ids(&name)).map(|id| id.0).collect();
        Retired { series, fields }
    }

    /// Takes series and fields out of every lookup, whatever file or record defined them, or may still define them.
    pub(crate) fn retire(&mut self, retired: &Retired) {
        self.retirements += 1;
        let gone = &retired.series - &*self.view.retired;
        *Arc::make_mut(&mut self.view.retired) |= &gone;
        self.recent = Recent::for_series(self.recent.capacity() as u64 / 2);
        let mut known = 0;
        let mut see = |_: &Arc<str>, measurement: &dyn Tagged| {
            known += measurement.tables().iter().map(|(_, ids)| ids.intersection_len(&gone)).sum::<u64>();
        };
        self.view.every_measurement(&mut see);
        self.head.measurements().for_each(|(name, measurement)| see(name, &measurement));
        self.series -= known;
        self.fields.retire(&retired.fields);
    }
}
