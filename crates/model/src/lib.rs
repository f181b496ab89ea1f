//! Points, series keys, field values, timestamps, versions, line protocol: the data model every other crate
//! speaks. Pure: no I/O, no randomness of its own, and no clock but the one it names for others.

pub mod line;
pub mod serialize;
pub mod series;

mod column;
mod time_range;
mod value;
mod version;
mod wall_clock;

pub use column::{Bitmap, Column, RowBlock, Values};
pub use time_range::{MAX_TIME, MIN_TIME, TimeRange};
pub use value::{FieldRef, FieldType, FieldValue};
pub use version::{Clock, TooFarAhead, Version};
pub use wall_clock::{SystemClock, WallClock, wall_clock_ns};
