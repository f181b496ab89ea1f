//! The processors: one file each, and the table by which the configuration finds them.

mod complaint;
mod converter;
mod dedup;
mod r#enum;
mod filter;
mod r#override;
mod pivot;
mod regex;
mod rename;
mod scale;
mod strings;
mod tag_limit;
mod topk;
mod unpivot;

use crate::processor::Processor;
use crate::registry::Entry;

/// Every processor there is.
pub const PROCESSORS: &[Entry<dyn Processor>] = &[
    Entry { name: "converter", build: converter::build },
    Entry { name: "dedup", build: dedup::build },
    Entry { name: "enum", build: r#enum::build },
    Entry { name: "filter", build: filter::build },
    Entry { name: "override", build: r#override::build },
    Entry { name: "pivot", build: pivot::build },
    Entry { name: "regex", build: regex::build },
    Entry { name: "rename", build: rename::build },
    Entry { name: "scale", build: scale::build },
    Entry { name: "strings", build: strings::build },
    Entry { name: "tag_limit", build: tag_limit::build },
    Entry { name: "topk", build: topk::build },
    Entry { name: "unpivot", build: unpivot::build },
];

#[cfg(test)]
pub(crate) mod testing;
