//! The table of transformations: a new one is one more entry here, and its state in a file of its family.

use skywatch_model::FieldType;

pub(crate) use super::smooth::Warmup;
use super::{
    Transform,
    accumulate::{CumulativeSum, MovingAverage},
    change::{Derivative, Difference, Elapsed, Rise},
    holt_winters::{Forecast, HoltWinters},
    kaufman::{AdaptiveAverage, EfficiencyRatio},
    momentum::{ChandeMomentum, RelativeStrength},
    smooth::{Order, Smooth},
    streaming,
};

/// A transformation.
#[derive(Debug)]
pub(crate) struct TransformFunction {
    /// As written in a query.
    pub(crate) name: &'static str,
    /// What InfluxDB calls it when it refuses an argument.
    pub(crate) title: &'static str,
    /// What it takes after its first argument.
    pub(crate) arguments: Arguments,
    /// Type of its answers, even to points it refuses: operators complain first.
    pub(crate) nominal: Nominal,
    /// Whether it takes points of every type, not just numbers.
    pub(crate) takes_all: bool,
    /// Whether it needs points before the first of a range, so that one more window is read.
    pub(crate) looks_back: bool,
    /// Its state for points of a type it takes.
    make: fn(FieldType, &Settings) -> Option<Box<dyn Transform>>,
}

/// What follows the first argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// Nothing.
    None,
    /// A unit of time, or nothing: then it is the length of a window or a second, or else a nanosecond.
    Unit { of_window: bool },
    /// How many values.
    Window,
    /// A period, and how many points to hold back (at least so many), and if any how to warm up.
    Period { hold_min: i64, warmups: &'static [(&'static str, Warmup)] },
    /// How many predictions, and the length of a season.
    Forecast,
}

/// Type of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nominal {
    /// Floats.
    Float,
    /// Integers.
    Integer,
    /// That of the points.
    Same,
    /// That of the points, but integers for unsigneds.
    SignedSame,
}

/// How one call is parametrised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Unit of time, or the length of a window for predictions, in nanoseconds; above zero.
    pub(crate) unit_ns: i64,
    /// Values in a window, length of a period, or predictions.
    pub(crate) count: u64,
    /// Points to hold back, where the query says so.
    pub(crate) hold: Option<u64>,
    /// How averages begin.
    pub(crate) warmup: Warmup,
    /// Windows in a season.
    pub(crate) season: u64,
}

/// The transformation of that name.
pub(crate) fn find(name: &str) -> Option<&'static TransformFunction> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl TransformFunction {
    /// Type of its answers to points of a type; `None` if it refuses them.
    pub(crate) const fn output(&self, points: FieldType) -> Option<FieldType> {
        let is_number = matches!(points, FieldType::Float | FieldType::Integer | FieldType::Unsigned);
        if is_number || self.takes_all { Some(self.nominal.of(points)) } else { None }
    }

    /// Its state for points of a type it takes.
    pub(crate) fn state(&self, points: FieldType, settings: &Settings) -> Option<Box<dyn Transform>> {
        (self.make)(points, settings)
    }
}

impl Nominal {
    /// Type of answers to points of a type.
    pub(crate) const fn of(self, points: FieldType) -> FieldType {
        match (self, points) {
            (Self::Float, _) => FieldType::Float,
            (Self::Integer, _) | (Self::SignedSame, FieldType::Unsigned) => FieldType::Integer,
            (Self::Same | Self::SignedSame, points) => points,
        }
    }

    /// The type of answers whatever the points, if it is always the same.
    pub(crate) const fn fixed(self) -> Option<FieldType> {
        match self {
            Self::Float => Some(FieldType::Float),
            Self::Integer => Some(FieldType::Integer),
            Self::Same | Self::SignedSame => None,
        }
    }
}

/// A transformation of numbers by a machine that is made for the Rust type behind the field type.
macro_rules! numeric {
    ($field_type:expr, $machine:expr) => {
        match $field_type {
            FieldType::Float => Some(streaming::<f64, _>($machine)),
            FieldType::Integer => Some(streaming::<i64, _>($machine)),
            FieldType::Unsigned => Some(streaming::<u64, _>($machine)),
            FieldType::String | FieldType::Boolean => None,
        }
    };
}

const WARMUPS: &[(&str, Warmup)] = &[("exponential", Warmup::Exponential), ("simple", Warmup::Simple)];
const WARMUPS_OR_NONE: &[(&str, Warmup)] =
    &[("none", Warmup::None), ("exponential", Warmup::Exponential), ("simple", Warmup::Simple)];

const TRANSFORM: TransformFunction = TransformFunction {
    name: "",
    title: "",
    arguments: Arguments::None,
    nominal: Nominal::Float,
    takes_all: false,
    looks_back: true,
    make: |_, _| None,
};

const SMOOTHING: TransformFunction =
    TransformFunction { arguments: Arguments::Period { hold_min: 0, warmups: WARMUPS }, ..TRANSFORM };

const PREDICTION: TransformFunction = TransformFunction {
    // InfluxDB's slip of the pen.
    title: "elapsed",
    arguments: Arguments::Forecast,
    looks_back: false,
    ..TRANSFORM
};

fn smooth(order: Order, points: FieldType, settings: &Settings) -> Option<Box<dyn Transform>> {
    let Settings { count, warmup, hold, .. } = *settings;
    numeric!(points, Smooth::new(order, count, warmup, hold))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the table")]
fn predict(with_fit: bool, settings: &Settings) -> Option<Box<dyn Transform>> {
    let Settings { count: predictions, season, unit_ns: interval_ns, .. } = *settings;
    Some(Box::new(HoltWinters::new(Forecast { predictions, season, interval_ns, with_fit })))
}

static FUNCTIONS: &[TransformFunction] = &[
    TransformFunction {
        name: "derivative",
        title: "derivative",
        arguments: Arguments::Unit { of_window: true },
        make: |points, settings| numeric!(points, Derivative::new(settings.unit_ns, false)),
        ..TRANSFORM
    },
    TransformFunction {
        name: "non_negative_derivative",
        title: "derivative",
        arguments: Arguments::Unit { of_window: true },
        make: |points, settings| numeric!(points, Derivative::new(settings.unit_ns, true)),
        ..TRANSFORM
    },
    TransformFunction {
        name: "difference",
        title: "difference",
        nominal: Nominal::SignedSame,
        make: |points, _| numeric!(points, Difference::new()),
        ..TRANSFORM
    },
    TransformFunction {
        name: "non_negative_difference",
        title: "difference",
        nominal: Nominal::Same,
        make: |points, _| numeric!(points, Rise::new()),
        ..TRANSFORM
    },
    TransformFunction {
        name: "elapsed",
        title: "elapsed",
        arguments: Arguments::Unit { of_window: false },
        nominal: Nominal::Integer,
        takes_all: true,
        make: |_, settings| Some(Box::new(Elapsed::new(settings.unit_ns))),
        ..TRANSFORM
    },
    TransformFunction {
        name: "cumulative_sum",
        title: "cumulative sum",
        nominal: Nominal::Same,
        looks_back: false,
        make: |points, _| numeric!(points, CumulativeSum::new()),
        ..TRANSFORM
    },
    TransformFunction {
        name: "moving_average",
        title: "moving average",
        arguments: Arguments::Window,
        make: |points, settings| {
            let window = usize::try_from(settings.count).unwrap_or(usize::MAX);
            numeric!(points, MovingAverage::new(window))
        },
        ..TRANSFORM
    },
    TransformFunction {
        name: "exponential_moving_average",
        title: "exponential moving average",
        make: |points, settings| smooth(Order::Single, points, settings),
        ..SMOOTHING
    },
    TransformFunction {
        name: "double_exponential_moving_average",
        title: "double exponential moving average",
        make: |points, settings| smooth(Order::Double, points, settings),
        ..SMOOTHING
    },
    TransformFunction {
        name: "triple_exponential_moving_average",
        title: "triple exponential moving average",
        make: |points, settings| smooth(Order::Triple, points, settings),
        ..SMOOTHING
    },
    TransformFunction {
        name: "triple_exponential_derivative",
        title: "triple exponential derivative",
        arguments: Arguments::Period { hold_min: 1, warmups: WARMUPS },
        make: |points, settings| smooth(Order::Derivative, points, settings),
        ..SMOOTHING
    },
    TransformFunction {
        name: "relative_strength_index",
        title: "relative strength index",
        make: |points, settings| {
            numeric!(points, RelativeStrength::new(settings.count, settings.warmup, settings.hold))
        },
        ..SMOOTHING
    },
    TransformFunction {
        name: "chande_momentum_oscillator",
        title: "chande momentum oscillator",
        arguments: Arguments::Period { hold_min: 0, warmups: WARMUPS_OR_NONE },
        make: |points, settings| {
            numeric!(points, ChandeMomentum::new(settings.count, settings.warmup, settings.hold))
        },
        ..SMOOTHING
    },
    TransformFunction {
        name: "kaufmans_efficiency_ratio",
        title: "kaufmans efficiency ratio",
        arguments: Arguments::Period { hold_min: 0, warmups: &[] },
        make: |points, settings| numeric!(points, EfficiencyRatio::new(settings.count, settings.hold)),
        ..SMOOTHING
    },
    TransformFunction {
        name: "kaufmans_adaptive_moving_average",
        title: "kaufmans adaptive moving average",
        arguments: Arguments::Period { hold_min: 0, warmups: &[] },
        make: |points, settings| numeric!(points, AdaptiveAverage::new(settings.count, settings.hold)),
        ..SMOOTHING
    },
    TransformFunction { name: "holt_winters", make: |_, settings| predict(false, settings), ..PREDICTION },
    TransformFunction {
        name: "holt_winters_with_fit",
        make: |_, settings| predict(true, settings),
        ..PREDICTION
    },
];
