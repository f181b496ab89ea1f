//! Prometheus' remote write and remote read as InfluxDB 1.8 understands them. Pure: bytes in, points or InfluxQL out.
//!
//! | Prometheus | InfluxDB |
//! |---|---|
//! | metric name (label `__name__`) | measurement, and the tag `__name__` |
//! | other labels | tags |
//! | sample | field `value`, a float |
//! | timestamp, milliseconds | timestamp |
//!
//! Bodies are snappy blocks of protobuf messages. They are read in place, without a copy of any label, so that what a
//! hostile body makes us allocate is bounded by its size; the messages are in [`wire`].

mod read;
mod response;
mod snappy;
pub mod wire;
mod write;

pub use read::{MatchKind, Matcher, QUERIES_MAX, ReadError, ReadQuery, decode_read};
pub use response::{Labels, ReadResponse};
pub use snappy::{SnappyError, compress, unpack, unpacked_length};
pub use write::{DEFAULT_MEASUREMENT, FIELD, WriteReport, decode_write};

/// The label that holds the name of a metric.
pub const NAME_LABEL: &str = "__name__";
