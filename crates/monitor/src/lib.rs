//! What a server says of itself, under InfluxDB's names.
//!
//! Every part of the server that counts something is a [`StatisticsSource`] and adds itself to the one [`Monitor`] of
//! the process; its settings are [`Diagnostics`]. `SHOW STATS`, `SHOW DIAGNOSTICS` and `/debug/vars` read the monitor,
//! and the [`Recorder`] writes what it reads to the database `_internal`. Names are a contract: dashboards and
//! Telegraf's `inputs.influxdb` look for them. A field without a true counterpart here is left out, not made up;
//! `docs/metrics.md` lists them.

mod diagnostics;
mod points;
mod recorder;
mod registry;
mod statistic;

pub use diagnostics::{Cell, Diagnostics};
pub use points::to_lines;
pub use recorder::{Recorder, RecorderConfig, RecorderStore};
pub use registry::{Monitor, Selection, StatisticsSource};
pub use statistic::Statistic;
