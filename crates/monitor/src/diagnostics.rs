//! Settings and circumstances, as `SHOW DIAGNOSTICS` lists them.

use std::time::Duration;

/// What a cell of a table of diagnostics holds. How it is written is up to the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A span of time.
    Duration(Duration),
    /// Nanoseconds since the epoch.
    Time(i64),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Duration> for Cell {
    fn from(span: Duration) -> Self {
        Self::Duration(span)
    }
}

/// One module's row, or several, the columns sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    cells: Vec<(&'static str, Cell)>,
    /// Further rows, of the same columns.
    further: Vec<Vec<Cell>>,
}

impl Diagnostics {
    /// Without columns yet.
    pub const fn new() -> Self {
        Self { cells: Vec::new(), further: Vec::new() }
    }

    /// Rows of the same columns as one table; without rows there is nothing to show.
    pub fn table(rows: impl IntoIterator<Item = Self>) -> Self {
        let mut rows = rows.into_iter();
        let first = rows.next().unwrap_or_default();
        let further = rows.map(|row| row.cells.into_iter().map(|(_, cell)| cell).collect()).collect();
        Self { further, ..first }
    }

    /// With one more column; a name is given once.
    #[must_use]
    pub fn with(mut self, name: &'static str, cell: impl Into<Cell>) -> Self {
        let position = self.cells.partition_point(|(other, _)| *other < name);
        self.cells.insert(position, (name, cell.into()));
        self
    }

    /// The cells of a column, row by row; its place is that in [`Self::cells`].
    pub fn column(&self, place: usize) -> impl Iterator<Item = &Cell> {
        let first = self.cells.get(place).map(|(_, cell)| cell);
        first.into_iter().chain(self.further.iter().filter_map(move |row| row.get(place)))
    }

    /// Those of the first row, sorted by name.
    pub fn cells(&self) -> &[(&'static str, Cell)] {
        &self.cells
    }
}
