//! Points, series keys, field values, timestamps, versions: the data model every other crate speaks.
//! Pure: no I/O, no clock.

mod column;
mod time_range;
mod value;
mod version;

pub use column::{Bitmap, Column, RowBlock, Values};
pub use time_range::{MAX_TIME, MIN_TIME, TimeRange};
pub use value::{FieldType, FieldValue};
pub use version::Version;
