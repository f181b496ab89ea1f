//! A continuous query as its text defines it.

use jiff::tz::TimeZone;
use skywatch_influxql::{
    BinaryExpr, BinaryOp, ConditionError, CreateContinuousQuery, Expr, GroupByTimeError, Select, Statement,
    VarRef, parse_query, split_condition,
};

use crate::{Schedule, Window};

/// Why a text defines no query that could run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// It is no InfluxQL.
    #[error("{0}")]
    Syntax(String),
    /// It is another statement.
    #[error("the text is no CREATE CONTINUOUS QUERY")]
    OtherStatement,
    /// Its `GROUP BY time` is none.
    #[error(transparent)]
    GroupByTime(#[from] GroupByTimeError),
    /// It does not group by time, so that there is no interval to run at.
    #[error("continuous queries must be aggregate queries that GROUP BY time")]
    NoInterval,
    /// A condition on time makes no sense.
    #[error(transparent)]
    Condition(#[from] ConditionError),
}

/// A parsed continuous query.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    schedule: Schedule,
    /// Its condition says nothing of time: each run has its own.
    select: Select,
}

impl Definition {
    /// Reads a `CREATE CONTINUOUS QUERY` statement.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let query = parse_query(text).map_err(|error| DefinitionError::Syntax(error.to_string()))?;
        let [Statement::CreateContinuousQuery(create)] = query.statements.as_slice() else {
            return Err(DefinitionError::OtherStatement);
        };
        let CreateContinuousQuery { resample_every, resample_for, select, .. } = create;
        let mut select = (**select).clone();
        let zone = select.time_zone.as_ref().map_or(TimeZone::UTC, |zone| zone.zone().clone());
        let (condition, _) = split_condition(select.condition.as_ref(), 0, &zone)?;
        select.condition = condition;
        let schedule = Schedule {
            interval_ns: Some(select.group_by_interval()?)
                .filter(|interval| *interval > 0)
                .ok_or(DefinitionError::NoInterval)?,
            offset_ns: group_by_offset(&select),
            every_ns: resample_every.filter(|every| *every > 0),
            for_ns: resample_for.filter(|reach| *reach > 0),
            zone,
        };
        Ok(Self { schedule, select })
    }

    /// When it runs.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The statement that computes a window.
    pub fn statement(&self, window: Window) -> Statement {
        let mut select = self.select.clone();
        let bounds = binary(
            BinaryOp::And,
            time_bound(BinaryOp::GtEq, window.start_ns),
            time_bound(BinaryOp::Lt, window.end_ns),
        );
        select.condition = Some(match select.condition {
            Some(condition) => binary(BinaryOp::And, Expr::Paren(Box::new(condition)), bounds),
            None => bounds,
        });
        Statement::Select(Box::new(select))
    }
}

/// The second argument of `GROUP BY time`, where it is a fixed span; moving a query by `now()` moves nothing.
fn group_by_offset(select: &Select) -> i64 {
    let offset = select.group_by.iter().find_map(|dimension| match dimension {
        Expr::Call(call) if call.name == "time" => match call.args.as_slice() {
            [_, Expr::Duration(offset)] => Some(*offset),
            _ => None,
        },
        _ => None,
    });
    offset.unwrap_or(0)
}

fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    Expr::Binary(Box::new(BinaryExpr { op, lhs, rhs }))
}

fn time_bound(op: BinaryOp, time_ns: i64) -> Expr {
    binary(op, Expr::VarRef(VarRef { name: "time".to_owned(), cast: None }), Expr::Time(time_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_text_says_when_and_what() {
        let definition = Definition::parse(
            "CREATE CONTINUOUS QUERY q ON db RESAMPLE EVERY 10s FOR 2m BEGIN SELECT mean(v) INTO db.autogen.a FROM \
             db.autogen.m WHERE host = 'a' AND time > now() - 1h GROUP BY time(1m, 5s), * END",
        )
        .unwrap();
        let expected = Schedule {
            interval_ns: 60 * SECOND,
            offset_ns: 5 * SECOND,
            every_ns: Some(10 * SECOND),
            for_ns: Some(120 * SECOND),
            zone: TimeZone::UTC,
        };
        assert_eq!(definition.schedule(), &expected);
        let window = Window { start_ns: 0, end_ns: 60 * SECOND };
        assert_eq!(
            definition.statement(window).to_string(),
            "SELECT mean(v) INTO db.autogen.a FROM db.autogen.m WHERE (host = 'a') AND time >= \
             '1970-01-01T00:00:00Z' AND time < '1970-01-01T00:01:00Z' GROUP BY time(1m, 5s), *"
        );
    }

    #[test]
    fn without_a_condition_there_are_only_the_bounds() {
        let text = "CREATE CONTINUOUS QUERY q ON db BEGIN SELECT count(v) INTO n FROM m GROUP BY time(1h) \
                    tz('Europe/Berlin') END";
        let definition = Definition::parse(text).unwrap();
        assert_eq!(definition.schedule().zone.iana_name(), Some("Europe/Berlin"));
        let statement = definition.statement(Window { start_ns: -SECOND, end_ns: SECOND });
        let parsed = parse_query(&statement.to_string()).unwrap();
        let [Statement::Select(select)] = parsed.statements.as_slice() else { panic!("{parsed:?}") };
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (rest, bounds) = split_condition(select.condition.as_ref(), 0, &zone).unwrap();
        assert_eq!((rest, bounds.min, bounds.max), (None, Some(-SECOND), Some(SECOND - 1)));
    }

    #[test]
    fn what_could_not_run_is_refused() {
        for (text, why) in
            [("SELECT v FROM m", "no CREATE CONTINUOUS QUERY"), ("CREATE CONTINUOUS", "found EOF")]
        {
            let error = Definition::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
