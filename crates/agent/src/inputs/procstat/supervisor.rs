//! What `supervisorctl status` says about processes under supervisor.

use std::process::Command;
use std::time::Duration;

use crate::input::GatherError;
use crate::inputs::command;

const PATIENCE: Duration = Duration::from_secs(5);
/// What `supervisorctl` ends with when some of the processes do not run.
const NOT_ALL_RUN: i32 = 3;

/// Units and their processes. One that does not run has none.
pub(super) fn pids(units: &[String]) -> Result<Vec<(String, Vec<i32>)>, GatherError> {
    let mut tool = Command::new("supervisorctl");
    let printed = command::output_of(tool.arg("status").args(units), PATIENCE, &[NOT_ALL_RUN]);
    printed
        .map(|(text, _)| parse(&text))
        .map_err(|reason| GatherError::Service { service: "supervisorctl status".to_owned(), reason })
}

/// `web:web_00  RUNNING   pid 412, uptime 3 days, 1:02:03`.
fn parse(text: &str) -> Vec<(String, Vec<i32>)> {
    let unit = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let name = words.next()?.to_owned();
        words.next()?;
        let pid = (words.next() == Some("pid")).then(|| words.next()?.trim_end_matches(',').parse().ok());
        Some((name, pid.flatten().into_iter().collect()))
    };
    text.lines().filter_map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_run_and_others() {
        let text =
            "web:web_00   RUNNING   pid 412, uptime 3 days, 1:02:03\nworker   STOPPED   Nov 28 05:00 PM\n\n";
        assert_eq!(parse(text), [("web:web_00".to_owned(), vec![412]), ("worker".to_owned(), vec![])]);
    }
}
