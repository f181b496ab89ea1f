//! The standard library, a file for what belongs together.

mod aggregates;
mod array;
mod columns;
mod conversions;
mod csv;
mod date;
mod dict;
mod experimental;
mod generate;
mod group;
mod interpolate;
mod join;
mod json;
mod map;
mod math;
mod pivot;
mod regexp;
mod rows;
mod schema;
mod selectors;
mod series;
mod sources;
mod strings;
mod system;
mod table_access;
mod technical;
mod timezone;
mod types;
mod unavailable;
mod window;

pub(crate) use unavailable::why_unavailable;

use crate::packages::Library;

/// All that there is to import, and what needs no import.
pub(crate) static LIBRARIES: &[&Library] = &[
    &aggregates::LIBRARY,
    &array::LIBRARY,
    &columns::LIBRARY,
    &conversions::LIBRARY,
    &csv::LIBRARY,
    &date::BOUNDARIES,
    &date::EXPERIMENTAL_BOUNDARIES,
    &date::LIBRARY,
    &date::UNIVERSE,
    &dict::LIBRARY,
    &experimental::LIBRARY,
    &generate::LIBRARY,
    &group::LIBRARY,
    &interpolate::LIBRARY,
    &join::LIBRARY,
    &join::PACKAGE,
    &json::LIBRARY,
    &map::LIBRARY,
    &math::LIBRARY,
    &pivot::LIBRARY,
    &regexp::LIBRARY,
    &rows::LIBRARY,
    &schema::INFLUXDB,
    &schema::LIBRARY,
    &schema::V1,
    &schema::DATABASES,
    &selectors::LIBRARY,
    &series::LIBRARY,
    &sources::LIBRARY,
    &strings::LIBRARY,
    &system::LIBRARY,
    &system::RUNTIME,
    &table_access::LIBRARY,
    &technical::LIBRARY,
    &timezone::LIBRARY,
    &types::LIBRARY,
    &unavailable::LIBRARY,
    &window::LIBRARY,
];
