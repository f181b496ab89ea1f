//! Points, series keys, field values, timestamps, versions, line protocol: the data model every other crate
//! speaks. Pure: no I/O, no clock, no randomness of its own.

pub mod line;
pub mod serialize;
pub mod series;

mod column;
mod time_range;
mod value;
mod version;

pub use column::{Bitmap, Column, RowBlock, Values};
pub use time_range::{MAX_TIME, MIN_TIME, TimeRange};
pub use value::{FieldRef, FieldType, FieldValue};
pub use version::{Clock, TooFarAhead, Version};
