//! Flux at work: values, tables, the functions of its standard library, and what of a query the storage can do itself.
//!
//! [`run`] takes a text and a [`Storage`]; results go to a [`Results`], table by table. Pure but for what the storage
//! does: the time is told, memory is counted, and every loop looks whether the query has to stop.
//!
//! Nothing here knows InfluxQL, HTTP or how answers are written.

#![allow(
    clippy::mutable_key_type,
    reason = "what of a value can change, the tables of a stream, has no part in its order"
)]

mod call;
mod column;
mod context;
mod error;
mod evaluate;
mod function;
mod functions;
mod memory;
mod packages;
mod read;
mod run;
mod scope;
mod storage;
mod stream;
mod table;
mod value;

pub use call::Call;
pub use column::{Cells, Column, ColumnBuilder, Values};
pub use context::Context;
pub use error::{Error, ErrorClass};
pub use function::Function;
pub use memory::{MemoryAccount, NoMemory};
pub use read::{Comparison, Predicate, Subject};
pub use run::{Request, Results, analyze, run};
pub use skywatch_flux::{Duration, parse_time};
pub use storage::{
    Bucket, Names, NamesRequest, ReadRequest, Reduction, ReductionFunction, Series, Storage, StorageError,
    Windows,
};
pub use stream::Stream;
pub use table::{GroupKey, KeyColumn, Table, Tables, empty_column};
pub use value::{Kind, Members, Nest, Ordered, Pattern, Record, Value, show};
