//! The outputs, one file each.

pub(crate) mod file;
pub(crate) mod influxdb;
