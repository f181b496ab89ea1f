//! What a person sees while bytes move: bars on a terminal, a line now and then elsewhere, nothing if so wished.
//! All of it goes to standard error.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How often a task says how far it is where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A bar that moves.
    Bars,
    /// Lines of text.
    Lines,
    /// Nothing.
    Quiet,
}

impl Progress {
    /// Bars where standard error is a terminal, lines where it is not.
    pub fn detect(is_quiet: bool) -> Self {
        match (is_quiet, io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bars,
            (false, false) => Self::Lines,
        }
    }

    /// Begins a task of so many bytes.
    pub fn task(self, what: &str, total_bytes: u64) -> Task {
        let bar = match self {
            Self::Bars => {
                let style = "{msg:<12} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
                let style =
                    ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = ProgressBar::new(total_bytes).with_style(style.progress_chars("=> "));
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            }
            Self::Lines | Self::Quiet => ProgressBar::hidden(),
        };
        let now = Instant::now();
        Task { progress: self, bar, what: what.to_owned(), total_bytes, bytes: 0, begun: now, told: now }
    }
}

/// One stretch of work. Dropping it unfinished clears its bar.
#[derive(Debug)]
pub struct Task {
    progress: Progress,
    bar: ProgressBar,
    what: String,
    total_bytes: u64,
    bytes: u64,
    begun: Instant,
    told: Instant,
}

impl Task {
    /// So many bytes more are done.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.bar.inc(bytes);
        if self.progress == Progress::Lines && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let percent = (self.bytes * 100).checked_div(self.total_bytes).unwrap_or(100);
            self.line(&format!(
                "{percent}% ({} of {})",
                HumanBytes(self.bytes),
                HumanBytes(self.total_bytes)
            ));
        }
    }

    /// All is done.
    pub fn finish(self) {
        match self.progress {
            Progress::Bars => self.bar.finish(),
            Progress::Lines => {
                let seconds = self.begun.elapsed().as_secs_f64();
                self.line(&format!("{} in {seconds:.1} s", HumanBytes(self.bytes)));
            }
            Progress::Quiet => {}
        }
    }

    fn line(&self, text: &str) {
        // Standard error may be closed; then there is nobody to tell.
        drop(writeln!(io::stderr(), "{}: {text}", self.what));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}
