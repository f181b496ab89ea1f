//! The table of functions: a new one is one more entry here, and a [`super::State`].

use std::sync::Arc;

use skywatch_model::FieldType;

use super::{
    Kernel,
    basic::{Count, MeanOf, Spread, SumOf},
    collect::{
        Collected, DistinctValues, EachValue, Median, Mode, NumberOfValues, Percentile, PercentileConfig,
        StdDev,
    },
    extreme::{First, Last, Max, Min, Selected, SelectorConfig},
    kernel,
};

/// An aggregate or selector.
#[derive(Debug)]
pub(crate) struct Function {
    /// As written in a query.
    pub(crate) name: &'static str,
    /// Number of arguments, the field included.
    pub(crate) args: usize,
    /// Whether it selects a point, whose time and other columns may be shown.
    pub(crate) selector: bool,
    /// Whether `order` (first, last) rather than size decides, so that a scan can stop early.
    pub(crate) seek: Seek,
    /// Whether `fill` fills windows in which it has no answer.
    pub(crate) filled: bool,
    /// Whether the answer has the same type whatever the argument. `fill` with a number then also fills where the
    /// argument does not exist.
    pub(crate) fixed_output: bool,
    /// Type of the answer for an argument of a type; `None` if it takes no such argument.
    pub(crate) output: fn(FieldType) -> Option<FieldType>,
    /// A kernel for an argument of a type that `output` accepts.
    pub(crate) kernel: fn(FieldType, CallConfig) -> Option<Box<dyn Kernel>>,
}

/// Which end of a window is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seek {
    /// Every value counts.
    No,
    /// The earliest.
    First,
    /// The latest.
    Last,
}

/// How one call is parametrised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallConfig {
    /// For selectors.
    pub(crate) selector: SelectorConfig,
    /// The number that follows the field, if the function takes one.
    pub(crate) number: f64,
    /// Whether rows come latest first, which decides between equals.
    pub(crate) descending: bool,
}

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// A kernel of `$state<T, ...>` for the Rust type `T` behind a numeric field type; `None` for others.
macro_rules! numeric {
    ($field_type:expr, $config:expr, $state:ident $(, $more:ty)?) => {
        match $field_type {
            FieldType::Float => Some(kernel::<f64, $state<f64 $(, $more)?>>($config)),
            FieldType::Integer => Some(kernel::<i64, $state<i64 $(, $more)?>>($config)),
            FieldType::Unsigned => Some(kernel::<u64, $state<u64 $(, $more)?>>($config)),
            FieldType::String | FieldType::Boolean => None,
        }
    };
}

/// A kernel of `$state<T, ...>` for the Rust type `T` behind any field type.
macro_rules! any {
    ($field_type:expr, $config:expr, $state:ident $(, $more:ty)?) => {
        match $field_type {
            FieldType::String => Some(kernel::<Arc<str>, $state<Arc<str> $(, $more)?>>($config)),
            FieldType::Boolean => Some(kernel::<bool, $state<bool $(, $more)?>>($config)),
            field_type => numeric!(field_type, $config, $state $(, $more)?),
        }
    };
}

const AGGREGATE: Function = Function {
    name: "",
    args: 1,
    selector: false,
    seek: Seek::No,
    filled: true,
    fixed_output: false,
    output: |_| None,
    kernel: |_, _| None,
};

const SELECTOR: Function = Function { selector: true, ..AGGREGATE };

/// `count(distinct(x))`, which has no name of its own.
pub(crate) static COUNT_DISTINCT: Function = Function {
    name: "count",
    output: integer,
    fixed_output: true,
    kernel: |field_type, config| any!(field_type, config.descending, DistinctValues, NumberOfValues),
    ..AGGREGATE
};

static FUNCTIONS: &[Function] = &[
    Function {
        name: "count",
        fixed_output: true,
        output: integer,
        kernel: |field_type, _| any!(field_type, (), Count),
        ..AGGREGATE
    },
    Function {
        name: "sum",
        output: same_number,
        kernel: |field_type, config| numeric!(field_type, config.descending, SumOf),
        ..AGGREGATE
    },
    Function {
        name: "mean",
        fixed_output: true,
        output: float,
        kernel: |field_type, config| numeric!(field_type, config.descending, MeanOf),
        ..AGGREGATE
    },
    Function {
        name: "spread",
        output: same_number,
        kernel: |field_type, _| numeric!(field_type, (), Spread),
        ..AGGREGATE
    },
    Function {
        name: "median",
        fixed_output: true,
        output: float,
        kernel: |field_type, _| numeric!(field_type, (), Collected, Median),
        ..AGGREGATE
    },
    Function {
        name: "stddev",
        fixed_output: true,
        output: float,
        kernel: |field_type, config| numeric!(field_type, config.descending, Collected, StdDev),
        ..AGGREGATE
    },
    Function {
        name: "mode",
        output: same,
        kernel: |field_type, config| any!(field_type, config.descending, Collected, Mode),
        ..AGGREGATE
    },
    Function {
        name: "distinct",
        filled: false,
        output: same,
        kernel: |field_type, config| any!(field_type, config.descending, DistinctValues, EachValue),
        ..AGGREGATE
    },
    Function {
        name: "min",
        output: same_ordered,
        kernel: |field_type, config| match field_type {
            FieldType::Boolean => Some(kernel::<bool, Selected<bool, Min>>(config.selector)),
            field_type => numeric!(field_type, config.selector, Selected, Min),
        },
        ..SELECTOR
    },
    Function {
        name: "max",
        output: same_ordered,
        kernel: |field_type, config| match field_type {
            FieldType::Boolean => Some(kernel::<bool, Selected<bool, Max>>(config.selector)),
            field_type => numeric!(field_type, config.selector, Selected, Max),
        },
        ..SELECTOR
    },
    Function {
        name: "first",
        seek: Seek::First,
        output: same,
        kernel: |field_type, config| any!(field_type, config.selector, Selected, First),
        ..SELECTOR
    },
    Function {
        name: "last",
        seek: Seek::Last,
        output: same,
        kernel: |field_type, config| any!(field_type, config.selector, Selected, Last),
        ..SELECTOR
    },
    Function {
        name: "percentile",
        args: 2,
        output: same_number,
        kernel: |field_type, config| {
            let config = PercentileConfig {
                percent: config.number,
                selector: config.selector,
                descending: config.descending,
            };
            numeric!(field_type, config, Collected, Percentile)
        },
        ..SELECTOR
    },
];

const fn is_number(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::Float | FieldType::Integer | FieldType::Unsigned)
}

fn integer(_: FieldType) -> Option<FieldType> {
    Some(FieldType::Integer)
}

fn float(argument: FieldType) -> Option<FieldType> {
    is_number(argument).then_some(FieldType::Float)
}

fn same_number(argument: FieldType) -> Option<FieldType> {
    is_number(argument).then_some(argument)
}

fn same_ordered(argument: FieldType) -> Option<FieldType> {
    (is_number(argument) || argument == FieldType::Boolean).then_some(argument)
}

fn same(argument: FieldType) -> Option<FieldType> {
    Some(argument)
}
