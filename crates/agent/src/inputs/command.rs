//! Running a tool and reading what it prints, within a time limit and a limit of length.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a tool may print at most.
const OUTPUT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How much of its complaints is quoted.
const QUOTE_BYTES_MAX: u64 = 1024;

/// What a tool printed, if it ended well within `patience`. One that does not end is killed.
pub(super) fn output(command: &mut Command, patience: Duration) -> Result<String, String> {
    output_of(command, patience, &[])
}

/// The same for a tool that ends with one of the codes in `well` although all is well.
pub(super) fn output_of(command: &mut Command, patience: Duration, well: &[i32]) -> Result<String, String> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "it is not installed, or not in PATH".to_owned(),
        _ => format!("cannot start it: {error}"),
    })?;
    let output = read_on_a_thread(child.stdout.take(), OUTPUT_BYTES_MAX + 1);
    let complaints = read_on_a_thread(child.stderr.take(), QUOTE_BYTES_MAX);
    let deadline = Instant::now() + patience;
    let Some(output) = output.recv_timeout(patience).ok().filter(|_| ends_before(&mut child, deadline))
    else {
        end(&mut child);
        return Err(format!("no answer within {patience:?}"));
    };
    // Before the status: one that finds nobody reading any more dies of it.
    if output.len() as u64 > OUTPUT_BYTES_MAX {
        return Err(format!("it printed more than {OUTPUT_BYTES_MAX} bytes"));
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() && !status.code().is_some_and(|code| well.contains(&code)) {
        let complaints = complaints.recv_timeout(Duration::from_millis(100)).unwrap_or_default();
        return Err(format!("{status}: {}", String::from_utf8_lossy(&complaints).trim()));
    }
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// A thread's reads do not keep anyone waiting: should a grandchild hold the pipe open, only the thread waits.
fn read_on_a_thread(from: Option<impl Read + Send + 'static>, bytes_max: u64) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.map(|from| from.take(bytes_max).read_to_end(&mut bytes));
        if matches!(read, Some(Ok(_))) {
            // Whoever asked may have lost patience.
            sender.send(bytes).ok();
        }
    });
    receiver
}

fn ends_before(child: &mut Child, deadline: Instant) -> bool {
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
            Ok(None) | Err(_) => return false,
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself meanwhile; waiting for it lets the system forget it.
    child.kill().ok();
    child.wait().ok();
}

#[cfg(test)]
mod tests {
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
        assert!(error.contains("more than"), "{error}");
        let error = output(&mut Command::new("/nonexistent/tool"), patience).expect_err("no such tool");
        assert!(error.contains("not installed"), "{error}");
    }

    #[test]
    fn one_that_hangs_is_killed() {
        let started = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(100)).expect_err("hangs");
        assert!(error.contains("no answer"), "{error}");
        let error = shell("exec >&-; exec sleep 60", Duration::from_millis(100)).expect_err("hangs silently");
        assert!(error.contains("no answer"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
