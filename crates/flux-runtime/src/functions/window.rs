//! Tables are cut into windows of time.

mod aggregate;
mod bounds;
mod calendar;
mod cut;
mod slim;
mod times;

use std::rc::Rc;

use bounds::Every;
use calendar::Calendar;
use cut::{Cut, Labels, range_of};
use skywatch_flux::Duration;

use crate::{
    Call, Error, Stream, Tables, Value,
    context::Location,
    function::{Builtin, optional, piped, required},
    packages::Library,
};

/// Tables are cut into windows of time.
pub(crate) static LIBRARY: Library = Library {
    path: "",
    builtins: &[
        Builtin {
            name: "window",
            parameters: &[
                piped("tables"),
                optional("every"),
                optional("period"),
                optional("offset"),
                optional("location"),
                optional("timeColumn"),
                optional("startColumn"),
                optional("stopColumn"),
                optional("createEmpty"),
            ],
            run: window,
        },
        Builtin {
            name: "aggregateWindow",
            parameters: &[
                piped("tables"),
                required("every"),
                optional("period"),
                required("fn"),
                optional("offset"),
                optional("location"),
                optional("column"),
                optional("timeSrc"),
                optional("timeDst"),
                optional("createEmpty"),
            ],
            run: aggregate::aggregate_window,
        },
        Builtin {
            name: "timedMovingAverage",
            parameters: &[piped("tables"), required("every"), required("period"), optional("column")],
            run: aggregate::timed_moving_average,
        },
        Builtin {
            name: "timeShift",
            parameters: &[piped("tables"), required("duration"), optional("columns")],
            run: times::time_shift,
        },
        Builtin {
            name: "hourSelection",
            parameters: &[
                piped("tables"),
                required("start"),
                required("stop"),
                optional("location"),
                optional("timeColumn"),
            ],
            run: times::hour_selection,
        },
        Builtin {
            name: "truncateTimeColumn",
            parameters: &[piped("tables"), required("unit"), optional("timeColumn")],
            run: times::truncate_time_column,
        },
    ],
    constants: || vec![("inf", Value::Duration(INFINITE))],
    text: "",
};

/// `inf`
const INFINITE: Duration = Duration { months: 0, nanoseconds: i64::MAX, is_negative: false };

/// The windows that a call describes.
fn every_of(call: &Call<'_, '_>) -> Result<Every, Error> {
    let (every, period) = (call.opt_duration("every")?, call.opt_duration("period")?);
    // No period at all is how a call says that it is that of `every`.
    let period = period.filter(|period| period.months != 0 || period.nanoseconds != 0);
    let Some(every) = every.or(period) else {
        return Err(call.error("give every or period, the length of the windows"));
    };
    let offset = call.opt_duration("offset")?.unwrap_or_default();
    let location = location_of(call)?;
    Every::new(every, period.unwrap_or(every), offset, location).map_err(|text| call.error(text))
}

/// The argument `location`, or the option of that name.
fn location_of(call: &Call<'_, '_>) -> Result<Location, Error> {
    match call.opt_record("location")? {
        Some(record) => Location::of_record(&record).map_err(|text| call.error(format!("location: {text}"))),
        None => Ok(call.context.location.clone()),
    }
}

fn window(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let labels = Labels {
        time: call.string_or("timeColumn", "_time")?,
        start: call.string_or("startColumn", "_start")?,
        stop: call.string_or("stopColumn", "_stop")?,
    };
    let cut = Cut { every: every_of(call)?, labels, create_empty: call.bool_or("createEmpty", false)? };
    let stream = call.stream("tables")?;
    let range = stream.range();
    let cut = Rc::new(cut);
    let made = Stream::step(call.name, call.span, vec![stream], move |context, inputs| {
        let mut made = Tables::new();
        for table in inputs.iter().flat_map(|tables| tables.iter()) {
            let range = range.or_else(|| range_of(table));
            made.append(&mut cut.tables(context, table, table, range)?);
        }
        // Two tables that differed only in their windows may have become one.
        super::group::merged(context, made)
    });
    Ok(Value::Stream(made))
}
