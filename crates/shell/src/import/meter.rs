//! How far an import is: a bar with bytes, points a second and the time left. Where nobody looks, nothing.

use std::{
    io::{self, IsTerminal, Read},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// See the module's header.
pub(super) struct Meter {
    bar: ProgressBar,
    begun: Instant,
}

impl Meter {
    /// `size_bytes` is not known of a pipe.
    pub(super) fn new(size_bytes: Option<u64>, is_quiet: bool) -> Self {
        let bar = match size_bytes {
            _ if is_quiet || !io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(size) => styled(ProgressBar::new(size), "[{bar:24}] {bytes}/{total_bytes} {msg} ETA {eta}"),
            None => styled(ProgressBar::new_spinner(), "{spinner} {bytes} {msg} {elapsed}"),
        };
        Self { bar, begun: Instant::now() }
    }

    /// Counts what is read from `inner`.
    pub(super) fn counted(&self, inner: Box<dyn Read>) -> impl Read + use<> {
        Counted { inner, bar: self.bar.clone() }
    }

    /// So many points were stored so far.
    pub(super) fn points(&mut self, points: u64) {
        if !self.bar.is_hidden() {
            let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
            let rate = HumanCount((points as f64 / seconds) as u64);
            self.bar.set_message(format!("{} points, {rate}/s", HumanCount(points)));
        }
    }

    /// To standard error, above the bar.
    pub(super) fn tell(&self, text: &str) {
        self.bar.suspend(|| crate::session::tell(text));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = bar.with_style(style.progress_chars("=> "));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

struct Counted {
    inner: Box<dyn Read>,
    bar: ProgressBar,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bar.inc(count as u64);
        Ok(count)
    }
}
