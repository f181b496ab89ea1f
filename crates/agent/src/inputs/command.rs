//! Tools that are asked for a text: run within a time limit, their failures in words.

use std::process::Command;
use std::time::Duration;

use crate::process::{self, first_line};

/// What a tool may print at most.
const OUTPUT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of its complaints is quoted.
const QUOTE_BYTES_MAX: usize = 1024;

/// What a tool printed, if it ended well within `patience`. One that does not end is killed.
pub(super) fn output(command: &mut Command, patience: Duration) -> Result<String, String> {
    output_of(command, patience, &[]).map(|(text, _)| text)
}

/// The same for a tool that ends with one of the codes in `well` although all is well, and with which it ended.
pub(super) fn output_of(
    command: &mut Command,
    patience: Duration,
    well: &[i32],
) -> Result<(String, i32), String> {
    let finished = process::run(command, patience, OUTPUT_BYTES_MAX)?;
    match finished.status.code().filter(|code| *code == 0 || well.contains(code)) {
        Some(code) => Ok((String::from_utf8_lossy(&finished.stdout).into_owned(), code)),
        None => Err(format!("{}: {}", finished.status, first_line(&finished.stderr, QUOTE_BYTES_MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String, String> {
        output(Command::new("sh").args(["-c", script]), patience)
    }

    #[test]
    fn what_it_prints_or_why_it_failed() {
        let patience = Duration::from_secs(20);
        assert_eq!(shell("echo yes; echo no >&2", patience), Ok("yes\n".to_owned()));
        let error = shell("echo broken >&2; exit 3", patience).expect_err("failed");
        assert!(error.contains('3') && error.contains("broken"), "{error}");
        let error = shell("yes | head -c 5000000", patience).expect_err("too much");
        assert!(error.contains("said more than"), "{error}");
        let error = output(&mut Command::new("/nonexistent/tool"), patience).expect_err("no such tool");
        assert!(error.contains("not installed"), "{error}");
    }

    #[test]
    fn one_that_hangs_is_killed() {
        let started = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(100)).expect_err("hangs");
        assert!(error.contains("did not end within 100 ms"), "{error}");
        let error = shell("exec >&-; exec sleep 60", Duration::from_millis(100)).expect_err("hangs silently");
        assert!(error.contains("did not end within 100 ms"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
