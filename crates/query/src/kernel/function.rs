//! The table of functions: a new one is one more entry here, and a [`super::State`].

use std::sync::Arc;

use skywatch_model::FieldType;
use skywatch_storage::WantedStats;

use super::{
    Kernel,
    basic::{Count, MeanOf, Spread, SumOf},
    collect::{
        Collected, DistinctValues, EachValue, Median, Mode, NumberOfValues, Percentile, PercentileConfig,
        StdDev,
    },
    extreme::{First, Last, Max, Min, Selected, SelectorConfig},
    integral::{IntegralConfig, Line},
    kernel,
    ranked::{Ranked, RankedConfig},
    sample::{SampleConfig, Sampled},
};
use crate::window::Windows;

/// An aggregate or selector.
#[derive(Debug)]
pub(crate) struct Function {
    /// As written in a query.
    pub(crate) name: &'static str,
    /// What may stand beside the field.
    pub(crate) parameters: Parameters,
    /// Whether it selects a point, whose time and other columns may be shown.
    pub(crate) selector: bool,
    /// Whether `order` (first, last) rather than size decides, so that a scan can stop early.
    pub(crate) seek: Seek,
    /// Whether `fill` fills windows in which it has no answer.
    pub(crate) filled: bool,
    /// Whether points keep their own times even with `GROUP BY time()`, so that a window may have any number of them
    /// and a time occur more than once.
    pub(crate) own_times: bool,
    /// Whether it may stand beside another function.
    pub(crate) alone: bool,
    /// Whether the answer has the same type whatever the argument. `fill` with a number then also fills where the
    /// argument does not exist.
    pub(crate) fixed_output: bool,
    /// What it answers from in the place of rows, if their order in time ascends or it does not matter; `None` if it has to
    /// see them.
    pub(crate) statistics: Option<WantedStats>,
    /// Type of the answer for an argument of a type; `None` if it takes no such argument.
    pub(crate) output: fn(FieldType) -> Option<FieldType>,
    /// A kernel for an argument of a type that `output` accepts.
    pub(crate) kernel: fn(FieldType, CallConfig) -> Option<Box<dyn Kernel>>,
}

/// What stands beside the field among the arguments of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameters {
    /// Nothing.
    None,
    /// A number.
    Number,
    /// How many points.
    Size,
    /// A unit of time, which may be left out.
    Unit,
    /// Any number of tags, then how many points.
    TagsAndSize,
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
#[derive(Debug, Clone)]
pub(crate) struct CallConfig {
    /// For selectors.
    pub(crate) selector: SelectorConfig,
    /// The number that ends the arguments: a percentage, how many points, or nanoseconds.
    pub(crate) number: f64,
    /// Which accompanying values are the tags among the arguments; `None` if nothing stands where tags may.
    pub(crate) keys: Option<Arc<[usize]>>,
    /// What draws of points depend on.
    pub(crate) seed: u64,
    /// Start of the one window that there is without `GROUP BY time()`.
    pub(crate) origin: i64,
    /// `GROUP BY time()`, where one window depends on its neighbours.
    pub(crate) windows: Option<Windows>,
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
    parameters: Parameters::None,
    selector: false,
    seek: Seek::No,
    filled: true,
    own_times: false,
    alone: false,
    fixed_output: false,
    statistics: None,
    output: |_| None,
    kernel: |_, _| None,
};

const COUNT: WantedStats =
    WantedStats { sum: false, min: false, max: false, first: false, last: false, untimed: true };

const SELECTOR: Function = Function { selector: true, ..AGGREGATE };

const RANKING: Function = Function {
    parameters: Parameters::TagsAndSize,
    filled: false,
    own_times: true,
    alone: true,
    output: same_number,
    ..SELECTOR
};

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
        statistics: Some(COUNT),
        fixed_output: true,
        output: integer,
        kernel: |field_type, _| any!(field_type, (), Count),
        ..AGGREGATE
    },
    Function {
        name: "sum",
        statistics: Some(WantedStats { sum: true, ..COUNT }),
        output: same_number,
        kernel: |field_type, config| numeric!(field_type, config.descending, SumOf),
        ..AGGREGATE
    },
    Function {
        name: "mean",
        statistics: Some(WantedStats { sum: true, ..COUNT }),
        fixed_output: true,
        output: float,
        kernel: |field_type, config| numeric!(field_type, config.descending, MeanOf),
        ..AGGREGATE
    },
    Function {
        name: "spread",
        statistics: Some(WantedStats { min: true, max: true, ..COUNT }),
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
        statistics: Some(WantedStats { min: true, ..COUNT }),
        output: same_ordered,
        kernel: |field_type, config| match field_type {
            FieldType::Boolean => Some(kernel::<bool, Selected<bool, Min>>(config.selector)),
            field_type => numeric!(field_type, config.selector, Selected, Min),
        },
        ..SELECTOR
    },
    Function {
        name: "max",
        statistics: Some(WantedStats { max: true, ..COUNT }),
        output: same_ordered,
        kernel: |field_type, config| match field_type {
            FieldType::Boolean => Some(kernel::<bool, Selected<bool, Max>>(config.selector)),
            field_type => numeric!(field_type, config.selector, Selected, Max),
        },
        ..SELECTOR
    },
    Function {
        name: "first",
        statistics: Some(WantedStats { first: true, ..COUNT }),
        seek: Seek::First,
        output: same,
        kernel: |field_type, config| any!(field_type, config.selector, Selected, First),
        ..SELECTOR
    },
    Function {
        name: "last",
        statistics: Some(WantedStats { last: true, ..COUNT }),
        seek: Seek::Last,
        output: same,
        kernel: |field_type, config| any!(field_type, config.selector, Selected, Last),
        ..SELECTOR
    },
    Function {
        name: "percentile",
        parameters: Parameters::Number,
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
    Function {
        name: "top",
        kernel: |field_type, config| numeric!(field_type, ranked(config), Ranked, Max),
        ..RANKING
    },
    Function {
        name: "bottom",
        kernel: |field_type, config| numeric!(field_type, ranked(config), Ranked, Min),
        ..RANKING
    },
    Function {
        name: "sample",
        parameters: Parameters::Size,
        filled: false,
        own_times: true,
        output: same,
        kernel: |field_type, config| {
            any!(field_type, SampleConfig { size: config.number as usize, seed: config.seed }, Sampled)
        },
        ..SELECTOR
    },
    Function {
        name: "integral",
        parameters: Parameters::Unit,
        filled: false,
        fixed_output: true,
        output: float,
        kernel: |field_type, config| {
            let (unit, descending) = (config.number, config.descending);
            // Without windows InfluxDB shows 1970 beside the integral of floats.
            let origin = if field_type == FieldType::Float { 0 } else { config.origin };
            let config = IntegralConfig { unit, windows: config.windows, origin, descending };
            match field_type {
                FieldType::Float => Some(kernel::<f64, Line>(config)),
                FieldType::Integer => Some(kernel::<i64, Line>(config)),
                FieldType::Unsigned => Some(kernel::<u64, Line>(config)),
                FieldType::String | FieldType::Boolean => None,
            }
        },
        ..AGGREGATE
    },
];

fn ranked(config: CallConfig) -> RankedConfig {
    RankedConfig { size: config.number as usize, keys: config.keys }
}

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
