//! The aggregators: one file each, and the table by which the configuration finds them.

mod basicstats;
mod derivative;
mod r#final;
mod histogram;
mod merge;
mod minmax;
mod quantile;
mod valuecounter;

use crate::aggregator::Aggregator;
use crate::registry::Entry;

/// Every aggregator there is.
pub const AGGREGATORS: &[Entry<dyn Aggregator>] = &[
    Entry { name: "basicstats", build: basicstats::build },
    Entry { name: "derivative", build: derivative::build },
    Entry { name: "final", build: r#final::build },
    Entry { name: "histogram", build: histogram::build },
    Entry { name: "merge", build: merge::build },
    Entry { name: "minmax", build: minmax::build },
    Entry { name: "quantile", build: quantile::build },
    Entry { name: "valuecounter", build: valuecounter::build },
];

#[cfg(test)]
pub(crate) mod testing;
