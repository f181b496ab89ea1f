//! SHOW STATS and SHOW DIAGNOSTICS: what the server says of itself.

use std::sync::Arc;

use jiff::Timestamp;
use skywatch_model::{Column, Values};
use skywatch_monitor::{Cell, Diagnostics, Selection, Statistic};

use super::{Context, integers, show::go_duration, strings, table};
use crate::{OutputColumn, QueryError, ResultSeries, executor::Sender};

pub(super) fn statistics(
    context: &Context<'_>,
    module: Option<&str>,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    for statistic in context.monitor.statistics(selection(module)) {
        sender.series(statistic_series(&statistic))?;
    }
    Ok(())
}

pub(super) fn diagnostics(
    context: &Context<'_>,
    module: Option<&str>,
    sender: &mut Sender<'_>,
) -> Result<(), QueryError> {
    let told = context.monitor.diagnostics(selection(module));
    for (module, rows) in told.iter().filter(|(_, rows)| !rows.cells().is_empty()) {
        sender.series(diagnostics_series(module, rows))?;
    }
    Ok(())
}

fn selection(module: Option<&str>) -> Selection<'_> {
    module.map_or(Selection::All, Selection::Module)
}

fn statistic_series(statistic: &Statistic) -> ResultSeries {
    let (names, values): (Vec<&str>, Vec<OutputColumn>) =
        statistic.fields().iter().map(|(name, value)| (*name, integers([*value]))).unzip();
    let tags = statistic.tags().iter().map(|(key, value)| (Arc::from(*key), Arc::from(value.as_str())));
    ResultSeries { tags: tags.collect(), ..table(statistic.name(), &names, values) }
}

fn diagnostics_series(module: &str, rows: &Diagnostics) -> ResultSeries {
    let names: Vec<&str> = rows.cells().iter().map(|(name, _)| *name).collect();
    let values = (0..names.len()).map(|place| column(&rows.column(place).collect::<Vec<_>>())).collect();
    table(module, &names, values)
}

/// Spans of time as Go writes them, times as in RFC 3339. A column has one kind of cells: that of the first.
fn column(cells: &[&Cell]) -> OutputColumn {
    match cells.first() {
        Some(Cell::Integer(_)) => integers(cells.iter().map(|cell| match cell {
            Cell::Integer(value) => *value,
            _ => 0,
        })),
        Some(Cell::Boolean(_)) => {
            let values = cells.iter().map(|cell| matches!(cell, Cell::Boolean(true)));
            OutputColumn::Values(Column { values: Values::Boolean(values.collect()), valid: None })
        }
        _ => strings(cells.iter().map(|cell| Arc::from(text(cell)))),
    }
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(value) => value.clone(),
        Cell::Integer(value) => value.to_string(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Duration(span) => go_duration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        Cell::Time(time_ns) => {
            Timestamp::from_nanosecond(i128::from(*time_ns)).unwrap_or_default().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skywatch_model::FieldValue;

    use super::*;

    #[test]
    fn a_statistic_is_a_series_of_one_row_with_its_tags() {
        let statistic = Statistic::new("shard").tag("id", "1").values([("writeReq", 2), ("diskBytes", 3)]);
        let series = statistic_series(&statistic);
        assert_eq!((&*series.name, series.len()), ("shard", 1));
        assert_eq!(*series.tags, [(Arc::from("id"), Arc::from("1"))]);
        assert_eq!(*series.columns, [Arc::from("diskBytes"), Arc::from("writeReq")]);
        assert_eq!(series.values[1].get(0), Some(FieldValue::Integer(2)));
    }

    #[test]
    fn cells_are_written_as_in_influxdb() {
        let row = Diagnostics::new()
            .with("uptime", Duration::from_nanos(9_241_966_879))
            .with("started", Cell::Time(1_795_872_010_091_600_543))
            .with("enabled", true)
            .with("PID", 7u64);
        let both = Diagnostics::table([row.clone(), row.clone()]);
        assert_eq!(diagnostics_series("system", &both).len(), 2);
        assert!(Diagnostics::table([]).cells().is_empty());
        let series = diagnostics_series("system", &row);
        let values: Vec<_> = series.values.iter().map(|column| column.get(0)).collect();
        let text = |text: &str| Some(FieldValue::String(text.into()));
        assert_eq!(
            values,
            [
                Some(FieldValue::Integer(7)),
                Some(FieldValue::Boolean(true)),
                text("2026-11-28T13:20:10.091600543Z"),
                text("9.241966879s"),
            ]
        );
    }
}
