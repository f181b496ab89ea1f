//! The aggregators: one file each, and the table by which the configuration finds them.

use crate::aggregator::Aggregator;
use crate::registry::Entry;

/// Every aggregator there is.
pub const AGGREGATORS: &[Entry<dyn Aggregator>] = &[];
