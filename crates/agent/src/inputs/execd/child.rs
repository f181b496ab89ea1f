//! A running program: threads that read what it says, and an end that takes everything it started along.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::process;

/// Things said that wait to be taken; then the program waits.
const SAID_QUEUED_MAX: usize = 16;
/// Lines handed on together.
const LINES_AT_ONCE: usize = 1000;
/// Bytes of a line of standard error.
const COMPLAINT_MAX: usize = 4096;
/// What a program is given to end by itself.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// How a program is asked for metrics.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    Nothing,
    LineFeed,
    Signal(Signal),
}

/// What comes from a program.
#[derive(Debug)]
pub(super) enum Said {
    /// Lines of standard output, without their ends.
    Lines(Vec<Vec<u8>>),
    /// A line of standard error.
    Complaint(String),
    /// A line of standard output was too long and is left out.
    TooLong,
    /// Nothing more will come.
    Ended(Option<ExitStatus>),
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    said: mpsc::Receiver<Said>,
    asks: std::sync::mpsc::SyncSender<()>,
}

impl Child {
    pub(super) fn start(
        words: &[String],
        environment: &[(String, String)],
        line_max: usize,
    ) -> Result<Self, String> {
        let (program, arguments) = words.split_first().ok_or("there is no command")?;
        let arguments: Vec<_> = arguments.iter().collect();
        let mut process = process::command(program, &arguments, environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let (sender, said) = mpsc::channel(SAID_QUEUED_MAX);
        if let Some(stdout) = process.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || read_lines(stdout, line_max, &sender));
        }
        if let Some(stderr) = process.stderr.take() {
            thread::spawn(move || read_complaints(stderr, &sender));
        }
        // A program that does not read must not hold up the agent: one line feed waits for it, and no more.
        let (asks, asked) = std::sync::mpsc::sync_channel::<()>(1);
        if let Some(mut stdin) = process.stdin.take() {
            thread::spawn(move || {
                while asked.recv().is_ok() {
                    if stdin.write_all(b"\n").and_then(|()| stdin.flush()).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { process, said, asks })
    }

    /// The next thing said. Safe to drop half-way.
    pub(super) async fn next(&mut self) -> Said {
        match self.said.recv().await {
            Some(said) => said,
            None => Said::Ended(self.reap().await),
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Nothing => {}
            // One that waits already is enough.
            Ask::LineFeed => drop(self.asks.try_send(())),
            Ask::Signal(signal) => process::kill_group(&self.process, signal),
        }
    }

    /// Asks the program to end, and after a while does not ask any more.
    pub(super) async fn stop(&mut self) {
        process::kill_group(&self.process, Signal::TERM);
        tokio::time::timeout(STOP_MAX, self.ended()).await.ok();
        process::kill_group(&self.process, Signal::KILL);
        self.ended().await;
    }

    /// How it ended, once it has closed its output.
    async fn reap(&mut self) -> Option<ExitStatus> {
        let status = tokio::time::timeout(STOP_MAX, self.ended()).await.unwrap_or_default();
        process::kill_group(&self.process, Signal::KILL);
        match status {
            Some(status) => Some(status),
            None => self.ended().await,
        }
    }

    async fn ended(&mut self) -> Option<ExitStatus> {
        loop {
            match self.process.try_wait() {
                Ok(None) => tokio::time::sleep(LOOK).await,
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        process::kill_group(&self.process, Signal::KILL);
        // Reaps it; a failure means that it is gone.
        self.process.try_wait().ok();
    }
}

fn read_lines(pipe: impl Read, line_max: usize, sender: &mpsc::Sender<Said>) {
    let mut reader = BufReader::with_capacity(64 * 1024, pipe);
    let mut lines = Vec::new();
    loop {
        let line = read_line(&mut reader, line_max);
        let is_last = matches!(line, Ok(None) | Err(_));
        let mut too_long = false;
        match line {
            Ok(Some(Line::Whole(line))) if line.iter().any(|byte| !byte.is_ascii_whitespace()) => {
                lines.push(line);
            }
            Ok(Some(Line::TooLong)) => too_long = true,
            _ => {}
        }
        // Everything that is there goes together.
        let more_is_there = !reader.buffer().is_empty() && lines.len() < LINES_AT_ONCE;
        let hand_on = !lines.is_empty() && (is_last || too_long || !more_is_there);
        if hand_on && sender.blocking_send(Said::Lines(std::mem::take(&mut lines))).is_err() {
            return;
        }
        if too_long && sender.blocking_send(Said::TooLong).is_err() {
            return;
        }
        if is_last {
            return;
        }
    }
}

fn read_complaints(pipe: impl Read, sender: &mpsc::Sender<Said>) {
    let mut reader = BufReader::new(pipe);
    while let Ok(Some(line)) = read_line(&mut reader, COMPLAINT_MAX) {
        let Line::Whole(line) = line else { continue };
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() && sender.blocking_send(Said::Complaint(text)).is_err() {
            return;
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// The next line without its end; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead, line_max: usize) -> std::io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let (taken, ended) = {
            let chunk = match reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok(match (too_long, line.is_empty()) {
                    (true, _) => Some(Line::TooLong),
                    (false, true) => None,
                    (false, false) => Some(Line::Whole(line)),
                });
            }
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if line.len() + part.len() > line_max {
                too_long = true;
                line.clear();
            } else if !too_long {
                line.extend_from_slice(part);
            }
            (end.map_or(chunk.len(), |end| end + 1), end.is_some())
        };
        reader.consume(taken);
        if ended {
            return Ok(Some(if too_long { Line::TooLong } else { Line::Whole(line) }));
        }
    }
}
