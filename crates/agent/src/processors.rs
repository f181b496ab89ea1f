//! The processors: one file each, and the table by which the configuration finds them.

use crate::processor::Processor;
use crate::registry::Entry;

/// Every processor there is.
pub const PROCESSORS: &[Entry<dyn Processor>] = &[];
