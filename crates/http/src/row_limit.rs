//! `max-row-limit`: an answer that is not sent in chunks ends after so many rows, as in InfluxDB.
//!
//! The series in which the limit falls is cut and marked as partial; what would follow, other series and other
//! statements, is left out without a trace.

use skywatch_query::StatementResult;

/// Counts the rows of one answer.
#[derive(Debug)]
pub(crate) struct RowLimit {
    /// Rows that may still come; `None` for all.
    left: Option<usize>,
}

impl RowLimit {
    /// At most `rows_max` rows; 0 means no limit.
    pub(crate) const fn new(rows_max: usize) -> Self {
        Self { left: if rows_max == 0 { None } else { Some(rows_max) } }
    }

    /// Takes a piece's rows into account, cutting it where the limit is; tells whether that is reached.
    pub(crate) fn apply(&mut self, piece: &mut StatementResult) -> bool {
        let Some(left) = &mut self.left else { return false };
        for (at, series) in piece.series.iter_mut().enumerate() {
            if series.len() > *left {
                series.truncate(*left);
                series.partial = true;
            }
            *left -= series.len();
            if *left == 0 {
                piece.series.truncate(at + 1);
                // The result is kept open, to be ended by whoever was told.
                piece.partial = true;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skywatch_query::{OutputColumn, ResultSeries};

    use super::*;

    fn piece(rows: &[i64]) -> StatementResult {
        let series = |rows: i64| ResultSeries {
            name: Arc::from("m"),
            tags: Arc::new([]),
            columns: Arc::new([Arc::from("time")]),
            values: vec![OutputColumn::Time((0..rows).collect())],
            partial: false,
        };
        StatementResult {
            series: rows.iter().map(|&rows| series(rows)).collect(),
            ..StatementResult::default()
        }
    }

    fn shape(piece: &StatementResult) -> Vec<(usize, bool)> {
        piece.series.iter().map(|series| (series.len(), series.partial)).collect()
    }

    #[test]
    fn the_series_in_which_it_falls_is_cut() {
        let mut limit = RowLimit::new(5);
        let mut first = piece(&[2, 1]);
        assert!(!limit.apply(&mut first));
        assert_eq!(shape(&first), [(2, false), (1, false)]);
        let mut second = piece(&[3, 4]);
        assert!(limit.apply(&mut second));
        assert_eq!(shape(&second), [(2, true)]);
    }

    #[test]
    fn a_series_that_just_fits_is_whole() {
        let mut exact = piece(&[2, 3, 1]);
        assert!(RowLimit::new(5).apply(&mut exact));
        assert_eq!(shape(&exact), [(2, false), (3, false)]);
        let mut all = piece(&[2, 3, 1]);
        assert!(!RowLimit::new(0).apply(&mut all));
        assert_eq!(all.series.len(), 3);
    }
}
