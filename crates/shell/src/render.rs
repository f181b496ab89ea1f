//! Series as text. Each renderer takes series as they arrive, a few rows at a time, and keeps no more than a window.

mod csv;
mod json;
mod line;
mod table;

use std::io::{self, Write};

pub(crate) use csv::Csv;
pub(crate) use json::ErrorScanner;
pub(crate) use line::{FieldKinds, Lines, NumberKind, source_of};
pub(crate) use table::{Layout, Tables};

use crate::answer::Series;

/// Something that prints series.
pub(crate) trait Render {
    /// Takes rows of a series. Those of one series may come in several pieces, one after the other.
    fn series(&mut self, series: Series, out: &mut dyn Write) -> io::Result<()>;

    /// All series of the statement were given.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;
}
