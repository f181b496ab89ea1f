//! Flux over HTTP: buckets asked of the query engine in InfluxQL, tables written as annotated CSV.

mod buckets;
mod condition;
mod csv;
mod dialect;
mod externs;
mod gather;
mod select;

pub(crate) use buckets::{Asker, Buckets};
pub(crate) use csv::CsvWriter;
pub(crate) use dialect::{AskedDialect, Dialect};
pub(crate) use externs::extern_options;
