//! Programs that inputs run: with a deadline, bounded output, and an end that takes their children along.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Bytes kept of a program's standard error.
const STDERR_MAX: usize = 64 * 1024;
/// Between two looks at whether a program has ended, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// What a program that ended by itself has said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A program that has a process group of its own.
pub(crate) fn command<S: AsRef<OsStr>>(
    program: S,
    arguments: &[S],
    environment: &[(String, String)],
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().map(|(key, value)| (key, value))).process_group(0);
    command
}

/// Runs a program to its end. One that takes longer than `timeout`, or says more than `stdout_max` bytes, is killed
/// with everything it started.
pub(crate) fn run(command: &mut Command, timeout: Duration, stdout_max: usize) -> Result<Finished, String> {
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "cannot be started: it is not installed, or not in PATH".to_owned(),
            _ => format!("cannot be started: {error}"),
        })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let deadline = Instant::now() + timeout;
    thread::scope(|scope| {
        let stdout = scope.spawn(move || read(out, stdout_max));
        let stderr = scope.spawn(move || read(err, STDERR_MAX));
        let status = wait(&mut child, deadline, || stdout.is_finished());
        // What outlives the program would hold its pipes open.
        kill_group(&child, Signal::KILL);
        let status = match status {
            Ok(Some(status)) => Ok(status),
            Ok(None) => {
                child.wait().ok();
                Err(format!("did not end within {} ms and was killed", timeout.as_millis()))
            }
            Err(error) => Err(error.to_string()),
        };
        let stdout = stdout.join().unwrap_or_default();
        let stderr = stderr.join().unwrap_or_default();
        let status = status?;
        if stdout.len() > stdout_max {
            return Err(format!("said more than {stdout_max} bytes"));
        }
        Ok(Finished { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    })
}

/// Waits for the end of a child, `None` at the deadline. One whose output is read to its limit is not waited for.
fn wait(
    child: &mut Child,
    deadline: Instant,
    output_ended: impl Fn() -> bool,
) -> io::Result<Option<ExitStatus>> {
    let (mut pause, longest) = LOOK;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = if output_ended() { LOOK.0 } else { (pause * 2).min(longest) };
    }
}

/// Reads at most one byte more than `limit`; the rest is the writer's problem.
fn read(pipe: Option<impl Read>, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // A pipe that breaks has said what it said.
        pipe.take(limit as u64 + 1).read_to_end(&mut bytes).ok();
    }
    bytes
}

/// Sends a signal to a child and everything in its process group.
pub(crate) fn kill_group(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Nobody left in the group is what is wanted.
        kill_process_group(pid, signal).ok();
    }
}

/// The first line that says something, at most `limit` bytes of it.
pub(crate) fn first_line(text: &str, limit: usize) -> &str {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut end = limit.min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: u64, stdout_max: usize) -> Result<Finished, String> {
        run(&mut command("/bin/sh", &["-c", script], &[]), Duration::from_millis(timeout), stdout_max)
    }

    #[test]
    fn output_and_status() {
        let finished = shell("echo out; echo err >&2; exit 3", 5000, 100).expect("ended");
        assert_eq!((finished.stdout.as_slice(), finished.stderr.as_str()), (b"out\n".as_slice(), "err\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn children_end_with_their_parent() {
        let began = Instant::now();
        let error = shell("sleep 60 & sleep 60", 200, 100).expect_err("too slow");
        assert!(error.contains("within 200 ms"), "{error}");
        // The shell ends at once and leaves a child with its pipe.
        let finished = shell("sleep 60 & echo x", 5000, 100).expect("ended");
        assert_eq!(finished.stdout, b"x\n");
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn too_much_is_not_kept() {
        let error = shell("yes", 2000, 1000).expect_err("endless");
        assert!(error.contains("1000 bytes") || error.contains("was killed"), "{error}");
        assert_eq!(first_line("\n  fault é\nmore", 7), "fault ");
    }
}
