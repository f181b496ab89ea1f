//! Flux over HTTP: buckets asked of the query engine in InfluxQL, tables written as annotated CSV.

mod buckets;
mod condition;
mod csv;
mod externs;
mod gather;
mod select;

pub(crate) use buckets::{Asker, Buckets};
pub(crate) use csv::{Annotations, CsvWriter, Dialect};
pub(crate) use externs::extern_options;
