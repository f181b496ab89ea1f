//! Checks of transformations: their arguments, in InfluxDB's order and wording.

use skywatch_influxql::{Call, Expr};

use super::{MathFunction, Survey, expect_args};
use crate::{
    QueryError,
    transform::function::{Arguments, Settings, TransformFunction, Warmup},
};

/// Values that a moving average is over at least.
const WINDOW_MIN: i64 = 2;
/// Points to hold back, where the query leaves that to the function.
const DEFAULT_HOLD: i64 = -1;
/// The unit of `derivative` where neither the query nor its windows tell one.
const SECOND_NS: i64 = 1_000_000_000;

impl Survey {
    /// A transformation: what follows its first argument, then that.
    pub(super) fn transform(
        &mut self,
        function: &TransformFunction,
        args: &[Expr],
    ) -> Result<(), QueryError> {
        settings(function, args, None)?;
        self.only_selectors = false;
        let name = function.name;
        let [points, ..] = args else { return Err(QueryError::invalid(NO_ARGUMENT)) };
        match points {
            Expr::Call(_) if !self.has_interval => {
                Err(QueryError::invalid(format!("{name} aggregate requires a GROUP BY interval")))
            }
            Expr::Call(call) => self.aggregate_inside(function, call),
            _ if function.arguments == Arguments::Forecast => {
                Err(QueryError::invalid(format!("must use aggregate function with {name}")))
            }
            _ if self.has_interval && !self.inherits_interval => {
                Err(QueryError::invalid(format!("aggregate function required inside the call to {name}")))
            }
            points => self.argument(name, points),
        }
    }

    fn aggregate_inside(&mut self, function: &TransformFunction, call: &Call) -> Result<(), QueryError> {
        if MathFunction::find(&call.name).is_some() {
            self.misplaced.get_or_insert_with(|| call.name.clone());
        }
        // Distinct values are a series of points like any other, but not to the functions of technical analysis.
        let takes_distinct = !matches!(function.arguments, Arguments::Period { .. });
        if call.name == "distinct" && takes_distinct { self.distinct(&call.args) } else { self.call(call) }
    }
}

const NO_ARGUMENT: &str = "a transformation needs something to transform";

/// What a call of a transformation says after its first argument. `interval_ns` is the length of the query's windows.
pub(in crate::plan) fn settings(
    function: &TransformFunction,
    args: &[Expr],
    interval_ns: Option<i64>,
) -> Result<Settings, QueryError> {
    let name = function.name;
    let settings = Settings { unit_ns: 1, count: 0, hold: None, warmup: Warmup::Exponential, season: 0 };
    match function.arguments {
        Arguments::None => {
            expect_args(name, 1, args.len())?;
            Ok(settings)
        }
        Arguments::Unit { of_window } => {
            expect_args_between(name, 1, 2, args.len())?;
            let default = if of_window { interval_ns.unwrap_or(SECOND_NS) } else { 1 };
            let unit_ns = args.get(1).map_or(Ok(default), |unit| self::unit(name, unit))?;
            Ok(Settings { unit_ns, ..settings })
        }
        Arguments::Window => {
            expect_args(name, 2, args.len())?;
            Ok(Settings { count: window(name, &args[1])?, ..settings })
        }
        Arguments::Period { hold_min, warmups } => {
            let most = if warmups.is_empty() { 3 } else { 4 };
            expect_args_between(name, 2, most, args.len())?;
            let count = period(name, &args[1])?;
            let hold = args.get(2).map_or(Ok(None), |hold| self::hold(name, hold, hold_min))?;
            let first = warmups.first().map_or(Warmup::Exponential, |(_, warmup)| *warmup);
            let warmup = args.get(3).map_or(Ok(first), |warmup| self::warmup(name, warmup, warmups))?;
            Ok(Settings { count, hold, warmup, ..settings })
        }
        Arguments::Forecast => {
            expect_args(name, 3, args.len())?;
            let count = predictions(name, &args[1])?;
            let season = season(name, &args[2])?;
            Ok(Settings { count, season, unit_ns: interval_ns.unwrap_or(SECOND_NS), ..settings })
        }
    }
}

fn expect_args_between(name: &str, least: usize, most: usize, got: usize) -> Result<(), QueryError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(QueryError::invalid(format!(
        "invalid number of arguments for {name}, expected at least {least} but no more than {most}, got {got}"
    )))
}

fn unit(name: &str, unit: &Expr) -> Result<i64, QueryError> {
    match unit {
        Expr::Duration(unit_ns) if *unit_ns > 0 => Ok(*unit_ns),
        Expr::Duration(_) => {
            Err(QueryError::invalid(format!("duration argument must be positive, got {unit}")))
        }
        _ => Err(QueryError::invalid(format!(
            "second argument to {name} must be a duration, got {}",
            type_name(unit)
        ))),
    }
}

fn window(name: &str, window: &Expr) -> Result<u64, QueryError> {
    match window {
        Expr::Integer(values) if *values >= WINDOW_MIN => Ok(values.unsigned_abs()),
        Expr::Integer(values) => {
            Err(QueryError::invalid(format!("{name} window must be greater than 1, got {values}")))
        }
        _ => Err(QueryError::invalid(format!(
            "second argument for {name} must be an integer, got {}",
            type_name(window)
        ))),
    }
}

fn period(name: &str, period: &Expr) -> Result<u64, QueryError> {
    match period {
        Expr::Integer(points) if *points >= 1 => Ok(points.unsigned_abs()),
        Expr::Integer(_) => {
            Err(QueryError::invalid(format!("{name} period must be greater than or equal to 1")))
        }
        _ => Err(QueryError::invalid(format!("{name} period must be an integer"))),
    }
}

fn hold(name: &str, hold: &Expr, least: i64) -> Result<Option<u64>, QueryError> {
    match hold {
        Expr::Integer(DEFAULT_HOLD) => Ok(None),
        Expr::Integer(points) if *points >= least => Ok(Some(points.unsigned_abs())),
        Expr::Integer(_) => {
            Err(QueryError::invalid(format!("{name} hold period must be greater than or equal to {least}")))
        }
        _ => Err(QueryError::invalid(format!("{name} hold period must be an integer"))),
    }
}

fn warmup(name: &str, warmup: &Expr, known: &[(&str, Warmup)]) -> Result<Warmup, QueryError> {
    let Expr::String(text) = warmup else {
        return Err(QueryError::invalid(format!("{name} warmup type must be a string")));
    };
    known.iter().find(|(known, _)| known == text).map(|(_, warmup)| *warmup).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(known, _)| format!("'{known}'")).collect();
        QueryError::invalid(format!("{name} warmup type must be one of: {}", names.join(" ")))
    })
}

fn predictions(name: &str, predictions: &Expr) -> Result<u64, QueryError> {
    match predictions {
        Expr::Integer(windows) if *windows > 0 => Ok(windows.unsigned_abs()),
        Expr::Integer(windows) => {
            Err(QueryError::invalid(format!("second arg to {name} must be greater than 0, got {windows}")))
        }
        _ => Err(QueryError::invalid(format!("expected integer argument as second arg in {name}"))),
    }
}

fn season(name: &str, season: &Expr) -> Result<u64, QueryError> {
    match season {
        Expr::Integer(windows) if *windows >= 0 => Ok(windows.unsigned_abs()),
        Expr::Integer(windows) => {
            Err(QueryError::invalid(format!("third arg to {name} cannot be negative, got {windows}")))
        }
        _ => Err(QueryError::invalid(format!("expected integer argument as third arg in {name}"))),
    }
}

/// What InfluxDB calls an argument.
const fn type_name(expr: &Expr) -> &'static str {
    match expr {
        // A time has been a call of `now()`.
        Expr::Time(_) => "*influxql.Call",
        other => skywatch_influxql::type_name(other),
    }
}
