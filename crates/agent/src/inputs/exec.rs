//! `exec`: what programs say, run at every interval, in any data format.

use std::thread;
use std::time::Duration;

use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input};
use crate::inputs::command_line::{self, CommandLine};
use crate::metric::Metric;
use crate::parser::{Defaults, Parser};
use crate::process::{self, first_line};

/// Programs at the same time.
const AT_ONCE_MAX: usize = 16;
/// Bytes a program may say.
const STDOUT_MAX: usize = 64 << 20;
/// Bytes of a program's complaint that errors repeat.
const COMPLAINT_MAX: usize = 512;

/// The input.
#[derive(Debug)]
struct Exec {
    commands: Vec<CommandLine>,
    environment: Vec<(String, String)>,
    timeout: Duration,
    ignore_error: bool,
    log_stderr: bool,
    parser: Box<dyn Parser>,
}

pub(super) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let mut commands = command_line::many(section, "commands")?;
    // Its name before there were several.
    if let Some(text) = section.string("command")?.filter(|text| !text.is_empty()) {
        commands.push(CommandLine::parse(&text).map_err(|why| section.bad("command", why))?);
    }
    if commands.is_empty() {
        return Err(section.bad("commands", "say what is run"));
    }
    let timeout = section.duration("timeout")?.filter(|nanos| *nanos > 0).unwrap_or(5_000_000_000);
    Ok(Box::new(Exec {
        commands,
        environment: command_line::environment(section)?,
        timeout: Duration::from_nanos(timeout.unsigned_abs()),
        ignore_error: section.boolean("ignore_error")?.unwrap_or(false),
        log_stderr: section.boolean("log_stderr")?.unwrap_or(false),
        parser: crate::parsers::from_section(section, context, "json")?,
    }))
}

impl Input for Exec {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        let runs: Vec<_> = self.commands.iter().flat_map(CommandLine::expanded).collect();
        let now_ns = acc.now_ns();
        for batch in runs.chunks(AT_ONCE_MAX) {
            let parsers: Vec<_> = batch.iter().map(|_| self.parser.fresh()).collect();
            let (environment, timeout) = (&self.environment, self.timeout);
            let (ignore_error, log_stderr) = (self.ignore_error, self.log_stderr);
            let results: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = batch
                    .iter()
                    .zip(parsers)
                    .map(|(words, parser)| {
                        scope.spawn(move || {
                            let job = Job { words, environment, timeout, ignore_error, log_stderr };
                            job.run(parser, now_ns)
                        })
                    })
                    .collect();
                threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
            });
            for (words, result) in batch.iter().zip(results) {
                let (metrics, problem) = result
                    .unwrap_or_else(|_| (Vec::new(), Some("its output could not be handled".to_owned())));
                metrics.into_iter().for_each(|metric| acc.add(metric));
                if let Some(reason) = problem {
                    acc.report(GatherError::Service { service: words.join(" "), reason });
                }
            }
        }
        Ok(())
    }
}

/// One program to run.
struct Job<'a> {
    words: &'a [String],
    environment: &'a [(String, String)],
    timeout: Duration,
    ignore_error: bool,
    log_stderr: bool,
}

impl Job<'_> {
    fn run(&self, mut parser: Box<dyn Parser>, now_ns: i64) -> (Vec<Metric>, Option<String>) {
        let mut metrics = Vec::new();
        let Some((program, arguments)) = self.words.split_first() else { return (metrics, None) };
        let arguments: Vec<_> = arguments.iter().collect();
        let mut command = process::command(program, &arguments, self.environment);
        let finished = match process::run(&mut command, self.timeout, STDOUT_MAX) {
            Ok(finished) => finished,
            Err(reason) => return (metrics, Some(reason)),
        };
        if self.log_stderr {
            for line in finished.stderr.lines().filter(|line| !line.is_empty()) {
                tracing::error!("inputs.exec: {}: {line}", self.words.join(" "));
            }
        }
        if !finished.status.success() && !self.ignore_error {
            let complaint = first_line(&finished.stderr, COMPLAINT_MAX);
            let said = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
            return (metrics, Some(format!("{}{said}", finished.status)));
        }
        let defaults = Defaults { name: "exec".into(), now_ns };
        let parsed = parser.parse(&finished.stdout, &defaults, &mut metrics);
        (metrics, parsed.err().map(|error| error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;
    use crate::processors::testing::lines;

    fn gather(options: &str) -> (Vec<String>, Vec<String>) {
        let mut section = section_for_tests(&format!("data_format = 'influx'\n{options}"));
        let mut input = build(&mut section, &Context::default()).expect("valid");
        assert!(section.finish().is_ok(), "unknown options in {options}");
        let mut acc = Accumulator::new(9);
        input.gather(&mut acc).expect("gathered");
        let (metrics, errors) = acc.into_parts();
        (lines(&metrics), errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn programs_with_arguments_and_environment() {
        let (lines, errors) = gather(
            r#"commands = ["/bin/sh -c 'echo m,t=$WHO x=1i 5'", ["/bin/echo", "n", "x=2i 6"], "/bin/ech* 'o x=3i 7'"]
               environment = ["WHO=me"]"#,
        );
        assert_eq!(errors, [""; 0]);
        assert_eq!(lines, ["m,t=me x=1i 5", "n x=2i 6", "o x=3i 7"]);
    }

    #[test]
    fn one_that_fails_costs_only_itself() {
        let script = "echo m x=1i 5; echo why >&2; exit 3";
        let commands = format!(
            "commands = [\"/bin/sh -c '{script}'\", '/bin/sleep 60', '/bin/none', '/bin/echo n x=1i 6']"
        );
        let (lines, errors) = gather(&format!("{commands}\ntimeout = '300ms'"));
        assert_eq!(lines, ["n x=1i 6"]);
        assert!(errors[0].ends_with("exit status: 3: why"), "{errors:?}");
        assert!(errors[1].contains("/bin/sleep 60: did not end within 300 ms"), "{errors:?}");
        assert!(errors[2].contains("/bin/none: cannot be started"), "{errors:?}");
        let (lines, errors) = gather(&format!("commands = [\"/bin/sh -c '{script}'\"]\nignore_error = true"));
        assert_eq!((lines, errors.len()), (vec!["m x=1i 5".to_owned()], 0));
    }
}
