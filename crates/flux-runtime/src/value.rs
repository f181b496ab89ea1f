//! What expressions stand for while a query runs.

mod compare;
mod nest;
mod pattern;
mod record;
mod show;

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use skywatch_flux::Duration;

pub use compare::Ordered;
pub(crate) use compare::total;
pub use nest::Nest;
pub use pattern::Pattern;
pub use record::{Members, Record};
pub use show::show;

use crate::{function::Function, stream::Stream};

/// A value of Flux.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of no type: a cell without a value, a member that a row lacks.
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `uint`
    Uint(u64),
    /// `float`
    Float(f64),
    /// `string`
    String(Arc<str>),
    /// `bytes`
    Bytes(Arc<[u8]>),
    /// `time`: nanoseconds since 1970, UTC
    Time(i64),
    /// `duration`
    Duration(Duration),
    /// `regexp`
    Regex(Rc<Pattern>),
    /// `array`
    Array(Rc<Nest<Vec<Self>>>),
    /// `dict`
    Dictionary(Rc<Nest<BTreeMap<Ordered, Self>>>),
    /// `record`
    Record(Record),
    /// `function`
    Function(Rc<Function>),
    /// `stream`: tables
    Stream(Stream),
}

/// The type of a value, as far as it is told to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Flux's own")]
pub enum Kind {
    Null,
    Bool,
    Int,
    Uint,
    Float,
    String,
    Bytes,
    Time,
    Duration,
    Regex,
    Array,
    Dictionary,
    Record,
    Function,
    Stream,
}

impl Kind {
    /// As Flux names the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Float => "float",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Regex => "regexp",
            Self::Array => "array",
            Self::Dictionary => "dict",
            Self::Record => "record",
            Self::Function => "function",
            Self::Stream => "stream",
        }
    }
}

impl Value {
    /// Its type.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Uint(_) => Kind::Uint,
            Self::Float(_) => Kind::Float,
            Self::String(_) => Kind::String,
            Self::Bytes(_) => Kind::Bytes,
            Self::Time(_) => Kind::Time,
            Self::Duration(_) => Kind::Duration,
            Self::Regex(_) => Kind::Regex,
            Self::Array(_) => Kind::Array,
            Self::Dictionary(_) => Kind::Dictionary,
            Self::Record(_) => Kind::Record,
            Self::Function(_) => Kind::Function,
            Self::Stream(_) => Kind::Stream,
        }
    }

    /// A text.
    pub fn text(text: &str) -> Self {
        Self::String(Arc::from(text))
    }

    /// Several.
    pub fn array(values: Vec<Self>) -> Self {
        Self::Array(Rc::new(Nest::array(values)))
    }

    /// By key.
    pub fn dictionary(entries: BTreeMap<Ordered, Self>) -> Self {
        Self::Dictionary(Rc::new(Nest::entries(entries)))
    }

    /// Whether it is of no type.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A number of any type, as a floating-point one.
    pub const fn as_float(&self) -> Option<f64> {
        match *self {
            Self::Int(value) => Some(value as f64),
            Self::Uint(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Self {
        Self::String(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::text(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(Arc::from(value))
    }
}

impl From<Record> for Value {
    fn from(value: Record) -> Self {
        Self::Record(value)
    }
}
