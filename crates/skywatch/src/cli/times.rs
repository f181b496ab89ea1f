//! `--start` and `--end`, of commands about the points of some times only.

use anyhow::{Context, Result, ensure};
use clap::Args;
use jiff::Timestamp;
use skywatch_model::TimeRange;

#[derive(Debug, Args)]
pub(crate) struct TimeArgs {
    /// Only points from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Only points up to this time, inclusive (RFC 3339)
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
}

impl TimeArgs {
    /// The times meant; `None` where no option says anything. A range without any is an error.
    pub(crate) fn range(&self) -> Result<Option<TimeRange>> {
        let (start, end) = match (&self.start, &self.end) {
            (None, None) => return Ok(None),
            (Some(start), None) => (parse("--start", start)?, TimeRange::ALL.end),
            (None, Some(end)) => (TimeRange::ALL.start, parse("--end", end)?),
            (Some(start), Some(end)) => {
                let (first, last) = (parse("--start", start)?, parse("--end", end)?);
                ensure!(first <= last, "--start {start} is later than --end {end}: no point is in between");
                (first, last)
            }
        };
        Ok(Some(TimeRange::new(start, end)))
    }
}

/// Nanoseconds since the epoch.
fn parse(option: &str, text: &str) -> Result<i64> {
    let time: Timestamp = text
        .parse()
        .with_context(|| format!("{option} {text:?} is not a time such as 2026-05-01T00:00:00Z"))?;
    i64::try_from(time.as_nanosecond())
        .with_context(|| format!("{option} {text:?} lies beyond what can be stored"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<&str>, end: Option<&str>) -> Result<Option<TimeRange>, String> {
        let args = TimeArgs { start: start.map(str::to_owned), end: end.map(str::to_owned) };
        args.range().map_err(|error| error.to_string())
    }

    #[test]
    fn both_ends_are_in_it_and_either_may_be_left_out() {
        let (first, last) = ("1970-01-01T00:00:01Z", "1970-01-01T02:00:02+02:00");
        assert_eq!(range(None, None), Ok(None));
        assert_eq!(range(Some(first), Some(last)), Ok(Some(TimeRange::new(1_000_000_000, 2_000_000_000))));
        assert_eq!(range(Some(last), None), Ok(Some(TimeRange::new(2_000_000_000, TimeRange::ALL.end))));
        assert_eq!(range(None, Some(first)), Ok(Some(TimeRange::new(TimeRange::ALL.start, 1_000_000_000))));
        assert!(range(Some(first), Some(first)).is_ok(), "one moment is a range");
    }

    #[test]
    fn what_is_no_range_is_refused_in_words() {
        let told = range(Some("1970-01-01T00:00:02Z"), Some("1970-01-01T00:00:01Z")).unwrap_err();
        assert!(told.contains("no point is in between"), "{told}");
        let told = range(Some("yesterday"), None).unwrap_err();
        assert_eq!(told, "--start \"yesterday\" is not a time such as 2026-05-01T00:00:00Z");
        let told = range(None, Some("9999-01-01T00:00:00Z")).unwrap_err();
        assert!(told.contains("--end \"9999-01-01T00:00:00Z\" lies beyond"), "{told}");
    }
}
