//! A buffer on disk: an output's metrics in files, from their collection until they are delivered.
//!
//! ```text
//! buffer_directory/outputs.influxdb/
//!   lock                           held by the agent that uses the buffer
//!   cursor                         number of the first metric still to be sent
//!   00000000000000000000.metrics   segments, named after their first metric;
//!   00000000000000041300.metrics   frames are appended to the last
//! ```
//!
//! - Every metric has a number. [`store`] appends frames of them ([`encoding`]), notes how far the output is
//!   ([`cursor`]) and removes segments: those done with, and when the buffer is full the oldest.
//! - [`load`] reads them back, and names what is damaged and passes it over.
//! - [`worker`] is the thread that does all of it; what is to be done is decided in [`Delivery`](super::Delivery).
//!
//! Of several metrics collected meanwhile all are written with one sync. In memory are only those next to be sent,
//! those being written, and the part of a segment being read.

mod cursor;
mod encoding;
mod identity;
mod load;
mod store;
mod worker;

pub(crate) use identity::directory_names;
pub use load::Loaded;
pub(crate) use store::DiskBuffer;
pub use store::{Appended, DiskOptions, OpenError, Opened};
pub(crate) use worker::DiskWorker;
pub use worker::{DiskAnswer, DiskRequest};

#[cfg(test)]
mod tests;
