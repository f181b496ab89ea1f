//! `tail`: lines as they are appended to files, in any data format.
//!
//! ```text
//!   files by patterns --Follower each--> lines --multiline--> parser --> metrics, tracked
//!   delivered -----------------------------------------------> offsets in the state file
//! ```
//!
//! An offset is remembered only once the outputs have what stands before it, so that a crash repeats lines and loses
//! none. A file that is renamed is read to its end while its successor is read already; one that is cut to nothing is
//! read from its start.

mod files;
mod follower;
mod multiline;
mod offsets;
mod options;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::GatherError;
use crate::parser::{Defaults, Parser};
use crate::service::{Feed, Service, ServiceFuture};
use crate::state::PluginState;
use files::Files;
use follower::Line;
use offsets::Offsets;
use options::Options;

/// Between two looks at files that have had nothing new.
const LOOK: Duration = Duration::from_millis(200);
/// Lines that become metrics together.
const LINES_AT_ONCE: usize = 500;

/// The input.
#[derive(Debug)]
struct Tail {
    options: Arc<Options>,
    parser: Box<dyn Parser>,
    state: PluginState,
    /// Kept over restarts of the service.
    offsets: Option<Offsets>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let options = Arc::new(Options::from_section(section)?);
    let parser = crate::parsers::from_section(section, context, "influx")?;
    Ok(Box::new(Tail { options, parser, state: context.state(), offsets: None }))
}

impl Service for Tail {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            let offsets = self.offsets.get_or_insert_with(|| Offsets::new(self.state.clone())).clone();
            let places = Arc::new(Semaphore::new(self.options.undelivered_max));
            let mut files = Files::new(Arc::clone(&self.options), offsets.clone());
            let mut stopped = feed.clone();
            loop {
                let mut busy = false;
                for problem in files.look() {
                    feed.report(problem).await;
                }
                for file in files.iter_mut() {
                    let read = file.read(LINES_AT_ONCE);
                    if let Err(error) = &read {
                        let error = GatherError::Read { path: file.path().to_owned(), source: copy(error) };
                        feed.report(error).await;
                    }
                    let lines = read.unwrap_or_default();
                    if lines.is_empty() {
                        continue;
                    }
                    busy = true;
                    // Waits while too many lines are under way.
                    let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
                    let most = u32::try_from(self.options.undelivered_max).unwrap_or(u32::MAX);
                    let place = tokio::select! {
                        place = Arc::clone(&places).acquire_many_owned(count.min(most)) => place,
                        () = stopped.stopped() => {
                            offsets.save();
                            return Ok(());
                        }
                    };
                    let batch = Batch { options: &self.options, path: file.shown().to_owned() };
                    let parser = file.parser(self.parser.as_ref());
                    let (metrics, problem) = batch.parse(parser, &lines);
                    let delivered = file.under_way(&lines);
                    let done = offsets.clone();
                    feed.send_tracked(metrics, move || {
                        delivered.done();
                        done.save();
                        drop(place);
                    })
                    .await;
                    if let Some(error) = problem {
                        feed.report(error).await;
                    }
                }
                files.forget_ended();
                if !busy {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK) => {}
                        () = stopped.stopped() => {
                            offsets.save();
                            return Ok(());
                        }
                    }
                } else if tokio::time::timeout(Duration::ZERO, stopped.stopped()).await.is_ok() {
                    offsets.save();
                    return Ok(());
                }
            }
        })
    }
}

/// An error of the system once more.
fn copy(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), error.to_string())
}

/// Lines of one file on their way to metrics.
struct Batch<'a> {
    options: &'a Options,
    path: String,
}

impl Batch<'_> {
    fn parse(
        &self,
        parser: &mut dyn Parser,
        lines: &[Line],
    ) -> (Vec<crate::metric::Metric>, Option<GatherError>) {
        let mut metrics = Vec::new();
        let mut problem = None;
        let now_ns = crate::agent::wall_clock_ns();
        for line in lines {
            let text = self.options.encoding.decode(&line.text);
            let text = if self.options.without_colors { without_colors(&text).into() } else { text };
            let defaults = Defaults { name: "tail".into(), now_ns };
            if let Err(error) = parser.parse(&text, &defaults, &mut metrics) {
                problem.get_or_insert(GatherError::Malformed {
                    path: self.path.clone().into(),
                    reason: error.reason,
                });
            }
        }
        if let Some(tag) = &self.options.path_tag {
            metrics.iter_mut().for_each(|metric| metric.set_tag(tag.clone(), self.path.clone()));
        }
        (metrics, problem)
    }
}

/// Text without the sequences by which terminals are told of colours (ECMA-48, `ESC [ ... letter`).
fn without_colors(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        out.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.split_first() {
            Some((b'[', sequence)) => {
                let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
                end.map_or(&[], |end| &sequence[end + 1..])
            }
            _ => after,
        };
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests;
