//! `execd`: a program that runs as long as the agent and says lines whenever it wants, or when it is asked.
//!
//! ```text
//!   stdout --thread--> lines --> parser --> metrics
//!   stderr --thread--> log
//!   tick   ----------> a signal, or a line feed on stdin
//! ```

mod child;

use std::time::Duration;

use child::{Ask, Child, Said};

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::GatherError;
use crate::inputs::command_line::{self, CommandLine};
use crate::metric::Metric;
use crate::parser::{Defaults, Parser};
use crate::service::{Feed, Service, ServiceFuture};

/// Bytes of a line where the configuration says nothing.
const LINE_MAX: usize = 64 * 1024;

/// The input.
#[derive(Debug)]
struct Execd {
    command: CommandLine,
    environment: Vec<(String, String)>,
    ask: Ask,
    restart_delay: Duration,
    line_max: usize,
    stop_on_error: bool,
    parser: Box<dyn Parser>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Service>, ConfigError> {
    let words = section.strings("command")?.unwrap_or_default();
    let command = CommandLine::of_words(words).map_err(|why| section.bad("command", why))?;
    let ask = match section.string("signal")?.as_deref() {
        None | Some("" | "none") => Ask::Nothing,
        Some("STDIN") => Ask::LineFeed,
        Some("SIGHUP") => Ask::Signal(rustix::process::Signal::HUP),
        Some("SIGUSR1") => Ask::Signal(rustix::process::Signal::USR1),
        Some("SIGUSR2") => Ask::Signal(rustix::process::Signal::USR2),
        Some(other) => {
            let reason = format!("{other:?} is none of none, STDIN, SIGHUP, SIGUSR1, SIGUSR2");
            return Err(section.bad("signal", reason));
        }
    };
    let restart_delay = section.duration("restart_delay")?.unwrap_or(10_000_000_000);
    let line_max = section.size("buffer_size")?.and_then(|size| usize::try_from(size).ok());
    Ok(Box::new(Execd {
        command,
        environment: command_line::environment(section)?,
        ask,
        restart_delay: Duration::from_nanos(restart_delay.unsigned_abs()),
        line_max: line_max.filter(|size| *size > 0).unwrap_or(LINE_MAX),
        stop_on_error: section.boolean("stop_on_error")?.unwrap_or(false),
        parser: crate::parsers::from_section(section, context, "influx")?,
    }))
}

impl Service for Execd {
    fn run<'a>(&'a mut self, feed: &'a mut Feed) -> ServiceFuture<'a> {
        Box::pin(async move {
            loop {
                let words = self.command.expanded().into_iter().next().unwrap_or_default();
                let name = words.join(" ");
                let failed = |reason: String| GatherError::Service { service: name.clone(), reason };
                let mut child = Child::start(&words, &self.environment, self.line_max).map_err(failed)?;
                let mut stopped = feed.clone();
                let ended = tokio::select! {
                    ended = attend(&mut child, self.parser.as_mut(), self.ask, feed, &name) => ended,
                    () = stopped.stopped() => {
                        child.stop().await;
                        return Ok(());
                    }
                };
                let failed_to_go_on = ended.is_some_and(|status| !status.success());
                let how =
                    ended.map_or_else(|| "has ended".to_owned(), |status| format!("has ended: {status}"));
                feed.report(failed(how)).await;
                if failed_to_go_on && self.stop_on_error {
                    tracing::error!("inputs.execd: {name}: is not started again, as stop_on_error says");
                    feed.stopped().await;
                    return Ok(());
                }
                let mut stopped = feed.clone();
                tokio::select! {
                    () = tokio::time::sleep(self.restart_delay) => {}
                    () = stopped.stopped() => return Ok(()),
                }
            }
        })
    }
}

/// Takes what a child says until it ends, and asks it at every tick.
async fn attend(
    child: &mut Child,
    parser: &mut dyn Parser,
    ask: Ask,
    feed: &mut Feed,
    name: &str,
) -> Option<std::process::ExitStatus> {
    loop {
        let said = tokio::select! {
            said = child.next() => said,
            _ = feed.tick() => {
                child.ask(ask);
                continue;
            }
        };
        match said {
            Said::Lines(lines) => {
                let mut metrics: Vec<Metric> = Vec::new();
                let now_ns = crate::agent::wall_clock_ns();
                let mut problem = None;
                for line in lines {
                    let defaults = Defaults { name: "execd".into(), now_ns };
                    if let Err(error) = parser.parse(&line, &defaults, &mut metrics) {
                        problem.get_or_insert(error);
                    }
                }
                feed.send(metrics).await;
                if let Some(error) = problem {
                    let reason = error.to_string();
                    feed.report(GatherError::Service { service: name.to_owned(), reason }).await;
                }
            }
            Said::Complaint(line) => complain(name, &line),
            Said::TooLong => {
                let reason = "a line is longer than buffer_size and left out".to_owned();
                feed.report(GatherError::Service { service: name.to_owned(), reason }).await;
            }
            Said::Ended(status) => return status,
        }
    }
}

/// A line of standard error: at the level it says, else as an error.
fn complain(name: &str, line: &str) {
    match line.split_at_checked(3) {
        Some(("W! ", text)) => tracing::warn!("inputs.execd: {name}: {text}"),
        Some(("I! ", text)) => tracing::info!("inputs.execd: {name}: {text}"),
        Some(("D! ", text)) => tracing::debug!("inputs.execd: {name}: {text}"),
        Some(("T! ", text)) => tracing::trace!("inputs.execd: {name}: {text}"),
        Some(("E! ", text)) => tracing::error!("inputs.execd: {name}: {text}"),
        _ => tracing::error!("inputs.execd: {name}: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::processors::testing::lines;
    use crate::service::testing::Running;

    fn start(options: &str) -> Running {
        let mut section = section_for_tests(options);
        let service = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok(), "unknown options in {options}");
        Running::start(service)
    }

    #[tokio::test]
    async fn a_program_says_lines_when_it_is_asked() {
        let script = r#"n=0; while read line; do n=$((n+1)); echo "m n=${n}i $n"; done"#;
        let mut running = start(&format!("command = ['/bin/sh', '-c', '''{script}''']\nsignal = 'STDIN'"));
        for n in 1..=2 {
            running.tick(n);
            assert_eq!(lines(&running.metrics().await), [format!("m n={n}i {n}")]);
        }
        running.stop().await;
    }

    #[tokio::test]
    async fn one_that_ends_is_started_again_and_bad_lines_cost_only_themselves() {
        let options =
            "command = ['/bin/sh', '-c', 'echo m x=1i 5; echo bad; exit 3']\nrestart_delay = '10ms'";
        let mut running = start(options);
        for _ in 0..2 {
            assert_eq!(lines(&running.metrics().await), ["m x=1i 5"]);
            assert!(running.error().await.contains("unable to parse 'bad'"));
            assert!(running.error().await.ends_with("has ended: exit status: 3"));
        }
        running.stop().await;
    }

    #[tokio::test]
    async fn lines_that_are_too_long_are_left_out() {
        let options = "command = ['/bin/sh', '-c', 'echo m x=1i,y=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; echo n x=2i 5; sleep 60']\nbuffer_size = 24";
        let mut running = start(options);
        assert!(running.error().await.contains("longer than buffer_size"));
        assert_eq!(lines(&running.metrics().await), ["n x=2i 5"]);
        running.stop().await;
    }
}
