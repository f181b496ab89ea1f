//! How far long work is, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::records::Copying;

/// Work at a server that somebody waits for.
#[derive(Debug)]
pub(crate) struct Watched {
    bar: ProgressBar,
    /// Which copy it is, if it is one.
    copy: Option<(u64, String)>,
}

impl Watched {
    /// Shows nothing where nobody watches.
    pub(crate) fn new(is_terminal: bool, what: &str) -> Self {
        let bar = if is_terminal {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        } else {
            ProgressBar::hidden()
        };
        bar.set_message(what.to_owned());
        Self { bar, copy: None }
    }

    /// The work is to copy this shard to that node.
    pub(crate) fn of_copy(mut self, shard: u64, dest: &str) -> Self {
        self.copy = Some((shard, dest.to_owned()));
        self
    }

    /// The copy that is watched, among those the server tells of.
    pub(crate) fn find<'c>(&self, copies: &'c [Copying]) -> Option<&'c Copying> {
        let (shard, dest) = self.copy.as_ref()?;
        copies.iter().find(|copy| copy.shard_id == *shard && copy.dest == *dest)
    }

    /// Says something without the bar getting in the way.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        self.bar.suspend(say);
    }

    /// Shows how far the copy is.
    pub(crate) fn show(&self, copy: &Copying) {
        if copy.total_size == 0 {
            return;
        }
        if self.bar.length() != Some(copy.total_size) {
            let style = "{msg:<12} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            self.bar.set_style(style.progress_chars("=> "));
            self.bar.set_length(copy.total_size);
        }
        self.bar.set_position(copy.current_size);
    }

    /// It is done.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
